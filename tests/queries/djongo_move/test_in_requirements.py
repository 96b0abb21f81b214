"""Pins that keep out the new backend, in each kind of file that holds them."""

from __future__ import annotations

from pathlib import Path

import pytest

from perfsuite.queries.djongo_move.in_requirements import allows, scan, scan_project


@pytest.mark.parametrize(
    ("clauses", "allowed"),
    [
        ("", True),
        (">=3.1", True),
        ("==3.1.12", False),
        ("<=3.1.12", False),
        ("<4", False),
        ("<5.2", False),
        ("<5.2.1", True),
        ("<6", True),
        (">=3.1,<4", False),
        ("==5.2", True),
        ("==5.2.7", True),
        ("~=3.1", False),
        ("~=5.2.0", True),
        ("!=3.1", True),
    ],
)
def test_whether_a_pin_lets_in_django_5_2(clauses: str, allowed: bool) -> None:
    assert allows(clauses, (5, 2)) is allowed


@pytest.mark.parametrize(
    ("line", "path", "names"),
    [
        ("Django==3.1.12", "requirements.txt", ["Django==3.1.12"]),
        ("django <= 3.1.12  # djongo needs it", "requirements.txt", ["django<= 3.1.12"]),
        ("djongo", "requirements.txt", ["djongo"]),
        ("djongo[json]==1.3.7", "requirements.txt", ["djongo"]),
        ('dependencies = ["djongo==1.3.7", "pymongo<4"]', "pyproject.toml", ["djongo", "pymongo<4"]),
        ('django = "==3.1.12"', "Pipfile", ["django==3.1.12"]),
        ("    sqlparse==0.2.4", "setup.cfg", ["sqlparse==0.2.4"]),
        ("Django>=5.2,<5.3", "requirements.txt", []),
        ("pymongo>=4.7", "requirements.txt", []),
        ("django-redis==4.0", "requirements.txt", []),
        ("django-mongodb-backend==5.2.0", "requirements.txt", []),
        ("# Django==3.1.12", "requirements.txt", []),
        ("djongo =", "setup.cfg", []),  # the name of an extra
    ],
)
def test_pins_are_found_by_line(line: str, path: str, names: list[str]) -> None:
    found = scan(f"\n{line}\n", path)
    assert [each.what.partition(" keeps")[0].partition(" is")[0] for each in found] == names
    assert {each.place for each in found} <= {f"{path}:2"}
    assert {each.kind for each in found} <= {"requirement"}


def test_the_files_of_a_project_are_read(tmp_path: Path) -> None:
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "base.txt").write_text("djongo==1.3.7\n")
    (tmp_path / "requirements-dev.txt").write_text("sqlparse<0.3\n")
    (tmp_path / "notes.txt").write_text("djongo==1.3.7\n")
    places = [each.place for each in scan_project(tmp_path)]
    assert sorted(places) == ["requirements-dev.txt:1", "requirements/base.txt:1"]
