"""The summary of a run must not make it look better than it was."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests import lanes

if TYPE_CHECKING:
    from pathlib import Path

FACTS = {"title": "a lane", "python": "3.11", "django": "5.2", "seconds": 3, "ended": True}
PASSED = "<testcase name='a'/>"
FAILED = "<testcase name='b'><failure/></testcase>"
ERROR = "<testcase name='c'><error/></testcase>"
SKIPPED = "<testcase name='d'><skipped message='no browser'/></testcase>"


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(lanes, "RESULTS", tmp_path)
    return tmp_path


def write(folder: Path, cases: str | None, name: str = "lane", **facts: object) -> None:
    (folder / f"{name}.json").write_text(json.dumps({**FACTS, **facts}))
    if cases is not None:
        (folder / f"{name}.xml").write_text(f"<testsuites><testsuite>{cases}</testsuite></testsuites>")


def test_the_last_line_is_the_sum_over_the_lanes(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(results, PASSED * 3 + SKIPPED, name="one")
    write(results, PASSED + FAILED + ERROR, name="two", ended=False)
    assert lanes.main() == 1
    assert capsys.readouterr().out.splitlines()[-1] == "4 passed, 2 failed"


def test_what_failed_is_named_with_the_first_line_of_why(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(
        results,
        "<testcase classname='tests.test_x' name='b'><failure message='assert 1 == 2&#10;more'/></testcase>",
    )
    lanes.main()
    assert "FAILED tests.test_x.b: assert 1 == 2\n" in capsys.readouterr().out


def test_a_run_in_which_all_passed_is_a_success(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(results, PASSED * 2)
    assert lanes.main() == 0
    assert capsys.readouterr().out.splitlines()[-1] == "2 passed, 0 failed"


@pytest.mark.parametrize(
    ("cases", "facts", "why"),
    [
        (None, {"ended": False}, "a lane that broke before its tests"),
        ("", {}, "a lane that selected no test"),
        (SKIPPED, {}, "a lane that skipped all its tests"),
        (PASSED, {"ended": False}, "a lane that ended with an error although its tests passed"),
    ],
)
def test_a_broken_lane_is_a_failure(
    results: Path, cases: str | None, facts: dict[str, object], why: str
) -> None:
    write(results, PASSED, name="good")
    write(results, cases, name="bad", **facts)
    assert lanes.main() == 1, why


def test_a_run_without_any_lane_is_a_failure(results: Path) -> None:
    assert lanes.main() == 1


def test_lanes_left_out_and_tests_skipped_are_named_with_their_reason(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(results, PASSED + SKIPPED, name="one")
    write(results, None, name="two", title="Django 9", left_out="no Python 4 found")
    assert lanes.main() == 0
    printed = capsys.readouterr().out
    assert "left out: no Python 4 found" in printed
    assert "1 skipped: no browser" in printed
