"""One reading: what several figures need is read once, and what they say fits together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from perfsuite.metrics.query import Window, series, top, totals, totals_of
from perfsuite.metrics.reading import one_reading, reading
from perfsuite.metrics.storages import get_storage
from tests.metrics.rows import TIMING
from tests.metrics.world import SERIES, World, new_world

pytestmark = pytest.mark.django_db(databases="__all__")


@pytest.fixture
def world() -> Iterator[World]:
    with new_world() as made:
        yield made


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the list into which the storage writes what it is asked for."""
    names: list[str] = []

    def noting(name: str) -> Any:
        original = getattr(type(get_storage()), name)

        def note(self: object, *args: Any, **kwargs: Any) -> Any:
            names.append(name)
            return original(self, *args, **kwargs)

        return note

    for name in ("marks", "sums", "cells", "kinds"):
        monkeypatch.setattr(type(get_storage()), name, noting(name))
    return names


def test_inside_one_reading_marks_and_sums_are_asked_for_once(world: World, asked: list[str]) -> None:
    world.write(SERIES[0], [1.0])
    window = Window.last(600)
    with one_reading():
        asked.clear()
        answers = [
            [
                row.value.count
                for row in top(TIMING.name, window, by=("route",), order=order, percentiles=False)
            ]
            for order in ("sum", "count", "mean")
        ]
        totals(TIMING.name, window)
        series(TIMING.name, window, 60)
    assert answers == [[1]] * 3
    assert [asked.count(name) for name in ("marks", "sums", "cells")] == [1, 1, 2]


def test_inside_one_reading_a_kind_without_a_series_costs_nothing(world: World, asked: list[str]) -> None:
    world.write(SERIES[0], [1.0])
    absent, window = SERIES[3][0].name, Window.last(600)
    with one_reading():
        totals(TIMING.name, window)
        asked.clear()
        assert top(absent, window, by=("route",)) == []
        assert totals(absent, window).count == 0
        assert totals_of(absent, window, [("/a/",)])["/a/",].count == 0
        assert asked == []
    world.write(SERIES[3], [1.0])
    with one_reading():
        assert totals(absent, window).count == 1


def test_outside_every_answer_is_read_anew(world: World, asked: list[str]) -> None:
    window = Window.last(600)
    with one_reading():
        top(TIMING.name, window, by=("route",))
    world.write(SERIES[0], [1.0])
    asked.clear()
    assert [row.value.count for row in top(TIMING.name, window, by=("route",))] == [1]
    world.write(SERIES[0], [1.0])
    assert [row.value.count for row in top(TIMING.name, window, by=("route",))] == [2]
    assert asked.count("sums") == 2


def test_another_kind_or_window_is_not_answered_from_the_first(world: World) -> None:
    world.write(SERIES[0], [1.0])
    world.write(SERIES[3], [1.0, 2.0])
    window = Window.last(600)
    with one_reading():
        assert top(TIMING.name, window, by=("route",))[0].value.count == 1
        assert top(SERIES[3][0].name, window, by=("route",))[0].value.count == 2
        assert top(TIMING.name, window.previous(), by=("route",)) == []


def test_a_reading_ends_with_its_block_also_when_that_fails() -> None:
    inside: list[object] = []

    def fail() -> None:
        inside.extend([reading(), reading()])
        raise RuntimeError

    with pytest.raises(RuntimeError), one_reading():
        fail()
    assert inside[0] is inside[1]
    assert reading() is not inside[0]
