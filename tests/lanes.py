"""Print what the lanes of a run came to: ``python -m tests.lanes`` ends with the line ``N passed, N failed``.

Exits with 1 when a test failed, a lane broke, or no test ran at all. A lane left out is named with its reason.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

RESULTS = Path(__file__).resolve().parent.parent / ".nox" / "run" / "results"


@dataclasses.dataclass
class Result:
    """What one lane came to; ``note`` says why it did not run or end as it should."""

    title: str
    versions: str = ""
    passed: int = 0
    failed: int = 0
    seconds: int = 0
    note: str = ""
    skips: Counter[str] = dataclasses.field(default_factory=Counter)
    failures: list[str] = dataclasses.field(default_factory=list)


def read(facts_file: Path) -> Result:
    """Read the lane that wrote ``facts_file``, and the JUnit report beside it."""
    facts = json.loads(facts_file.read_text())
    result = Result(facts["title"])
    if reason := facts.get("left_out"):
        result.note = f"left out: {reason}"
        return result
    report = facts_file.with_suffix(".xml")
    result.seconds = facts.get("seconds", 0)
    if "python" in facts:
        result.versions = f"Python {facts['python']}, Django {facts['django']}"
    if not report.exists():
        return dataclasses.replace(result, failed=1, note=" BROKE before its tests had run to the end")
    for case in ElementTree.parse(report).iter("testcase"):
        broken = [part for part in case if part.tag in ("failure", "error")]
        if broken:
            result.failed += 1
            why = broken[0].get("message", "").splitlines()[:1]
            result.failures.append(": ".join([f"{case.get('classname', '')}.{case.get('name')}", *why]))
        elif (skipped := case.find("skipped")) is not None:
            result.skips[skipped.get("message", "")] += 1
        else:
            result.passed += 1
    if not result.passed + result.failed:
        result = dataclasses.replace(result, failed=1, note=" BROKE: it ran no test")
    if not facts.get("ended") and not result.failed:
        result = dataclasses.replace(
            result, failed=1, note=" BROKE: it ended with an error although no test failed"
        )
    return result


def _counts(result: Result) -> str:
    if result.note.startswith("left out"):
        return "  "
    return f"{result.passed:5} passed {result.failed:4} failed {result.seconds:5} s  "


def main() -> int:
    """Print one line a lane, then the sum."""
    results = [read(path) for path in sorted(RESULTS.glob("*.json"))]
    print()
    for result in results:
        print(f"{result.title:26} {_counts(result)}{result.versions}{result.note}")
        for reason, times in result.skips.items():
            print(f"{'':26} {times:5} skipped: {reason}")
        for failure in result.failures:
            print(f"{'':26} FAILED {failure}")
    passed, failed = sum(r.passed for r in results), sum(r.failed for r in results)
    print(f"\n{passed} passed, {failed} failed")
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
