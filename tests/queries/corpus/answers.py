"""How a view says what the right answer is, and where the marked lines are."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse

FOLDER = Path(__file__).parent
HERE = re.compile(r"# here: (.+)$")


@dataclass(frozen=True)
class Answer:
    """One finding that there must be: its kind, the model and field it is about, what to do, and the name of its marker."""

    kind: str
    about: str
    advice: str
    at: str = ""


@dataclass(frozen=True)
class Case:
    """A view with all findings that there must be, and no other; ``slow_ms`` is from when on a statement of it is slow."""

    name: str
    view: Callable[[HttpRequest], Any]
    answers: tuple[Answer, ...]
    needs: frozenset[str]
    slow_ms: float


CASES: dict[str, Case] = {}

View = Callable[[HttpRequest], Any]


def answer(*answers: Answer, needs: str = "", slow_ms: float = 60_000) -> Callable[[View], View]:
    """Add a view to the corpus. ``needs`` names what not every database and Django has: "async", "sql", "joins", "params"."""

    def add(view: View) -> View:
        name = view.__name__
        assert name not in CASES, name
        CASES[name] = Case(name, view, answers, frozenset(needs.split()), slow_ms)
        return view

    return add


# A view in which there is nothing to find.
fine = answer()


def n_plus_one(about: str, advice: str, at: str = "") -> Answer:
    return Answer("n_plus_one", f"corpus.{about}", advice, at)


def duplicate(about: str, at: str = "") -> Answer:
    return Answer("duplicate", f"corpus.{about}", "hoist or cache", at)


def texts(rows: Any) -> HttpResponse:
    """Answer with a line for each of some rows."""
    return HttpResponse("\n".join(str(row) for row in rows))


@lru_cache(maxsize=1)
def marked() -> dict[str, str]:
    """Return the place of each marker, as ``models.py:42``."""
    places = {}
    for path in sorted(FOLDER.glob("*.py")):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if not path.name.startswith(("answers", "__init__")) and (found := HERE.search(line)):
                for name in found.group(1).split(", "):
                    assert name not in places, name
                    places[name] = f"{path.name}:{number}"
    return places


def place(case: Case, of: Answer) -> str:
    """Return the place of an answer; only what is about a whole request has none."""
    if of.kind == "chatty":
        return ""
    name = of.at or case.name
    if name not in marked():
        pytest.fail(f"No line is marked with '# here: {name}'.")
    return marked()[name]
