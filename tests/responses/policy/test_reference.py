"""Each requirement in the reference of HTTP caching has a test, and the test exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

HERE = Path(__file__).resolve().parent
TESTS = HERE.parent.parent
PAGE = TESTS.parent / "docs" / "reference" / "http-caching.md"
ROW = re.compile(r"^\| (?P<section>[\d. ]+) \| (?P<level>[\w ]+) \| (?P<what>.+) \| (?P<shown>.+) \|$", re.M)
TEST = re.compile(r"`(?P<file>[\w/]+\.py)::(?P<name>test_\w+)`")
MAX_UNMET = 3
LEVELS = {"MUST", "MUST NOT", "SHOULD", "SHOULD NOT", "MAY", "rule", "advice"}


def rows() -> list[re.Match[str]]:
    found = list(ROW.finditer(PAGE.read_text(encoding="utf-8")))
    assert len(found) > 70
    return found


def names_in(file: str) -> set[str]:
    path = TESTS.parent / file if file.startswith("tests/") else HERE / file
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_each_requirement_has_a_test_that_exists_or_a_reason() -> None:
    for row in rows():
        assert row["level"] in LEVELS
        shown = TEST.findall(row["shown"])
        assert bool(shown) is not row["shown"].startswith(("unmet: ", "caller: ")), row[0]
        for file, name in shown:
            assert name in names_in(file), row[0]


def test_at_most_three_requirements_are_unmet() -> None:
    assert sum(row["shown"].startswith("unmet: ") for row in rows()) <= MAX_UNMET
