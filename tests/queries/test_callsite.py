"""From where a statement comes, as one request after the other asks: what is remembered is looked at again."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from perfsuite.queries import callsite, files
from perfsuite.queries.callsite import STEADY, Seen
from perfsuite.queries.fingerprint import MAX_CACHED_CHARS
from perfsuite.queries.repeats import Site


@pytest.fixture(autouse=True)
def walks(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Return a list that each walk up the stack is added to; nothing is known at first."""
    monkeypatch.setattr(callsite, "_known", {})
    made: list[object] = []
    walk = callsite._Look.site

    def counted(self: Any, frame: Any) -> Site:
        made.append(frame)
        return walk(self, frame)

    monkeypatch.setattr(callsite._Look, "site", counted)
    return made


def third(what: object = "SELECT 1") -> Site:
    """Return where a statement comes from that comes the third time in a request."""
    seen = Seen(what)
    seen.count = 3
    return seen.again()


def by_one_way() -> Site:
    return third()


def by_another() -> Site:
    return third()


def test_a_statement_that_comes_from_the_same_line_in_the_next_request_takes_no_walk(
    walks: list[object],
) -> None:
    first, *others = [by_one_way() for _ in range(5)]
    assert first.where.endswith(" in third")
    assert others == [first] * 4
    assert len(walks) == 1


@pytest.mark.parametrize("times", [1, 3])
def test_one_that_comes_from_another_line_is_looked_up_there(walks: list[object], times: int) -> None:
    def here() -> str:
        seen = Seen("SELECT 1")
        seen.count = 3
        return seen.again().where

    def there() -> str:
        seen = Seen("SELECT 1")
        seen.count = 3
        return seen.again().where

    for _ in range(times):
        assert (here().rpartition(" ")[2], there().rpartition(" ")[2]) == ("here", "there")
    assert len(walks) == 2 * times


def test_one_of_another_text_and_one_that_is_not_to_be_remembered_are_looked_up(walks: list[object]) -> None:
    for what in ("SELECT 1", "SELECT 2", None, None):
        third(what)
    assert len(walks) == 4


def test_the_place_of_a_very_long_statement_is_not_remembered(walks: list[object]) -> None:
    for what in ("x" * MAX_CACHED_CHARS, "x" * MAX_CACHED_CHARS, "y" * (MAX_CACHED_CHARS + 1)):
        third(what)
    assert [len(what) for what in callsite._known] == [MAX_CACHED_CHARS]
    assert len(walks) == 2


def test_only_so_many_places_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callsite, "MAX_KNOWN", 10)
    for number in range(1_000):
        third(f"SELECT {number}")
        assert len(callsite._known) <= 10


def test_what_was_the_same_in_one_request_is_not_taken_to_be_so_in_the_next() -> None:
    def request(*all_params: tuple[int, ...]) -> tuple[Any, ...]:
        seen = Seen("SELECT 1")
        for seen.count, params in enumerate(all_params, 3):
            seen.again()
            site = seen.compare(params)
        return site.fixed

    assert request((7, 1), (7, 2), (7, 3)) == (0,)
    assert request((1, 7), (2, 7), (3, 7)) == (1,)
    assert request((1, 1), (2, 2), (3, 3)) == ()
    assert request((7, 1), (7, 2), (7, 3)) == (0,)


def test_parameters_of_which_none_stays_the_same_are_compared_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared: list[object] = []
    hashes = callsite.hashes_of
    monkeypatch.setattr(callsite, "hashes_of", lambda params: compared.append(params) or hashes(params))
    seen = Seen("SELECT 1")
    for seen.count in range(3, 3 + 4 * STEADY):
        seen.again()
        assert not seen.compare((seen.count, -seen.count)).fixed or seen.count == 3
    assert len(compared) == 2


def test_a_file_is_shown_alike_where_python_was_told_its_program_on_the_command_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for first in (str(tmp_path), ""):
        monkeypatch.setattr(sys, "path", [first])
        monkeypatch.setattr(files, "_shown", {})
        assert (
            files.shown(str(tmp_path / "site" / "shop" / "views" / "books.py")) == "site/shop/views/books.py"
        )
