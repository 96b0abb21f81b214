"""Finds the pins that djongo forced upon a project and that keep out what django-mongodb-backend needs."""

from __future__ import annotations

import re
from pathlib import Path

from perfsuite.queries.djongo_move.findings import Finding

FILES = (
    *("requirements*.txt", "requirements/*.txt", "constraints*.txt"),
    *("pyproject.toml", "setup.cfg", "setup.py", "Pipfile"),
)
# What django-mongodb-backend 5.2 and Django 5.2 need at least, and what to write.
NEEDED = {
    "django": ((5, 2), "Django>=5.2,<5.3"),
    "pymongo": ((4, 7), "nothing: django-mongodb-backend brings pymongo"),
    "sqlparse": ((0, 3, 1), "nothing: Django brings sqlparse"),
}
REQUIREMENT = re.compile(
    r"""(?<![\w./-])(?P<name>djongo|django|pymongo|sqlparse)(?![\w.-])
    (?:\[[^\]]*\])?["']?\s*(?:=\s*["'](?=[<>=!~]))?  # Pipfile and poetry write name = "==1.0"
    (?P<clauses>(?:[<>=!~]=?=?\s*[\d.*]+\s*,?\s*)*)""",
    re.IGNORECASE | re.VERBOSE,
)
CLAUSE = re.compile(r"(===|==|~=|<=|<|>=|>|!=)\s*([\d.]+)")


def scan(text: str, path: str) -> list[Finding]:
    """Return the pins of the file ``path`` that stand in the way."""
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        for match in REQUIREMENT.finditer(line.partition("#")[0]):
            name, clauses = match["name"].lower(), match["clauses"].strip().rstrip(",")
            if name == "djongo":
                if clauses or path.endswith(".txt"):
                    found.append(
                        _finding(path, number, "djongo is required.", "django-mongodb-backend>=5.2,<5.3")
                    )
            elif not allows(clauses, NEEDED[name][0]):
                least = ".".join(map(str, NEEDED[name][0]))
                what = f"{match['name']}{clauses} keeps out {least}, which the new backend needs."
                found.append(_finding(path, number, what, NEEDED[name][1]))
    return found


def scan_project(root: Path) -> list[Finding]:
    """Return the pins in the requirement files of the project in the folder ``root``."""
    found = []
    for path in sorted({path for pattern in FILES for path in root.glob(pattern)}):
        found += scan(path.read_text(encoding="utf-8", errors="replace"), str(path.relative_to(root)))
    return found


def allows(clauses: str, least: tuple[int, ...]) -> bool:
    """Tell whether the version specifier ``clauses`` lets in some version from ``least`` on."""
    for operator, text in CLAUSE.findall(clauses):
        version = tuple(int(part) for part in text.strip(".").split(".") if part)
        width = max(len(version), len(least))
        ours, theirs = (each + (0,) * (width - len(each)) for each in (version, least))
        if operator == "<" and ours <= theirs:
            return False
        if operator in {"<=", "==", "==="} and ours < theirs:
            return False
        if operator == "~=" and version[:-1] < least[: len(version) - 1]:
            return False
    return True


def _finding(path: str, line: int, what: str, instead: str) -> Finding:
    return Finding("requirement", f"{path}:{line}", what, instead)
