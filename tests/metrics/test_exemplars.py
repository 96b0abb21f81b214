"""Exemplars: the slowest and the most recent of each series, a few of them kept, nothing of the host's harmed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings

from perfsuite.exceptions import StoreUnavailable
from perfsuite.metrics import flush, guard, kinds, merging
from perfsuite.metrics.exemplars import (
    MAX_CHARS,
    MAX_DATA_CHARS,
    MAX_SERIES,
    RECENT_EVERY_S,
    SLOWEST_FOR_S,
    ExemplarRow,
    exemplars,
    exemplars_of,
    remember,
    take,
)
from perfsuite.metrics.recorder import recorder
from perfsuite.metrics.storages import StoredExemplar
from tests.metrics.conftest import Clock, run_host
from tests.metrics.rows import stored

KIND = "queries.fingerprint"
A, B = ("SELECT ?", "default", "/a/"), ("SELECT ?", "default", "/b/")
AWAY = {"METRICS": {"DATABASE": "away", "MAX_PENDING_ROWS": 100}}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch, "perfsuite.metrics.exemplars", "perfsuite.metrics.flusher", "perfsuite.timing")


def values(rows: list[StoredExemplar]) -> list[float]:
    return sorted(row.value for row in rows)


def stored_values(labels: tuple[str, ...] = A) -> list[float]:
    return [row.value for row in exemplars(KIND, labels)]


# In the process


@pytest.mark.parametrize(
    ("given", "kept"),
    [([5], [5]), ([5, 9, 7], [7, 9]), ([5, 7, 9], [9]), ([9, 7, 5], [5, 9]), ([5, 5], [5])],
)
def test_of_each_series_the_slowest_and_the_most_recent_are_kept(
    given: list[float], kept: list[float]
) -> None:
    for value in given:
        remember(KIND, A, value, {"us": value})
    assert values(take("w")) == kept
    assert take("w") == []


def test_series_are_told_apart() -> None:
    remember(KIND, A, 1, {})
    remember(KIND, B, 2, {})
    assert values(take("w")) == [1, 2]


def test_details_are_copied_at_once_and_cut() -> None:
    data = {"sql": "SELECT ?", "params": [1]}
    remember(KIND, A, 1, data)
    data["params"] = ["changed"]
    remember(KIND, B, 1, {"sql": "x" * 1_000_000})
    kept, cut = take("w")
    assert json.loads(kept.data) == {"sql": "SELECT ?", "params": [1]}
    assert len(cut.data) <= MAX_DATA_CHARS


def test_what_is_beyond_the_cap_is_counted() -> None:
    for n in range(MAX_SERIES + 3):
        remember(KIND, (str(n), "", ""), 1, {})
    remember(KIND, ("0", "", ""), 9, {})
    taken = take("w")
    assert len(taken) == MAX_SERIES
    assert max(values(taken)) == 9
    assert recorder.take()[kinds.SELF_FOLDED.name, ("exemplars",)].sum == 3


def test_the_details_together_are_bounded_and_replaced_ones_make_room() -> None:
    for n in range(300):
        remember(KIND, (str(n), "", ""), 1, {"sql": "x" * 15_000})
    assert 0 < sum(len(row.data) for row in take("w")) <= MAX_CHARS
    assert recorder.take()[kinds.SELF_FOLDED.name, ("exemplars",)].sum > 100
    for n in range(1_000):
        remember(KIND, A, n, {"sql": "x" * 15_000})
    assert values(take("w")) == [999]
    assert (kinds.SELF_FOLDED.name, ("exemplars",)) not in recorder.take()


class Odd:
    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize("value", [None, "slow", float("nan"), float("inf")])
def test_a_value_that_is_none_is_counted_and_raises_nothing(value: Any) -> None:
    remember(KIND, A, value, {})
    remember(KIND, A, 1, {})
    assert values(take("w")) == [1]
    assert guard.take_failures() == {"exemplars": 1}


def test_labels_that_cannot_be_written_cost_nothing_but_their_exemplar() -> None:
    odd: Any = (Odd(), "", "")
    remember(KIND, odd, 1, {})
    remember(KIND, A, 2, {})
    assert values(take("w")) == [2]
    assert guard.take_failures() == {"exemplars": 1}


def test_the_most_recent_is_written_once_a_minute_and_the_slowest_when_it_is_slower(clock: Clock) -> None:
    def written(value: float, after_s: float) -> list[float]:
        clock.move(after_s)
        remember(KIND, A, value, {})
        return values(take("w"))

    assert written(5, 0) == [5]
    assert written(4, 10) == []
    assert written(6, 10) == [6]
    assert written(5, RECENT_EVERY_S - 21) == []
    assert written(5, 1) == [5]
    assert written(6, 10) == []
    # After an hour it begins anew, so that the slowest of last week is not the only one.
    assert written(1, SLOWEST_FOR_S) == [1]
    assert written(2, 10) == [2]


def test_a_clock_that_was_set_back_does_not_keep_the_most_recent_away(clock: Clock) -> None:
    remember(KIND, A, 5, {})
    assert values(take("w")) == [5]
    clock.move(-50_000)
    remember(KIND, A, 4, {})
    assert values(take("w")) == [4]


# In the store


@pytest.mark.django_db(databases="__all__")
def test_what_is_remembered_is_read_back_slowest_first(clock: Clock) -> None:
    for value in (5, 9, 7):
        remember(KIND, A, value, {"us": value, "sql": "é\0\ud83c", "params": None})
    remember(KIND, B, 100, {})
    assert flush()
    at = int(clock.epoch)
    assert exemplars(KIND, A) == [
        ExemplarRow(at, 9.0, {"us": 9, "sql": "é\0\ud83c", "params": None}),
        ExemplarRow(at, 7.0, {"us": 7, "sql": "é\0\ud83c", "params": None}),
    ]
    assert exemplars(KIND, ("SELECT ?", "default", "/none/")) == []
    assert [(labels, row.value) for labels, row in exemplars_of(KIND, [A, B])] == [(B, 100), (A, 9), (A, 7)]
    assert exemplars_of(KIND, []) == []


@pytest.mark.django_db(databases="__all__")
def test_a_few_of_the_slowest_and_most_recent_are_left_of_each_series(clock: Clock) -> None:
    for value in (900, 1, 2, 3, 800, 4, 5, 700, 600, 6, 7, 8, 500, 400, 9, 10):
        clock.move(RECENT_EVERY_S)
        remember(KIND, A, value, {})
        assert flush()
    remember(KIND, B, 1, {})
    assert flush()
    assert len(stored_values()) == 16
    assert merging.trim(now=clock.epoch, checkpoint=lambda: None)["exemplars"] == 7
    assert stored_values() == [
        900,
        800,
        700,
        600,
        500,
        400,
        10,
        9,
        8,
    ]  # 500 and 400 are among the most recent
    assert stored_values(B) == [1]
    assert merging.trim(now=clock.epoch, checkpoint=lambda: None)["exemplars"] == 0


@pytest.mark.django_db(databases="__all__")
def test_old_ones_go(clock: Clock) -> None:
    remember(KIND, A, 900, {})
    assert flush()
    clock.move(merging.KEEP_EXEMPLARS_S - 100)
    remember(KIND, A, 5, {})
    assert flush()
    merging.trim(now=clock.epoch, checkpoint=lambda: None)
    assert stored_values() == [900, 5]
    merging.trim(now=clock.epoch + 101, checkpoint=lambda: None)
    assert stored_values() == [5]


@pytest.mark.django_db(databases="__all__")
def test_what_waits_while_the_store_is_away_is_bounded_and_counted() -> None:
    with override_settings(PERFSUITE=AWAY):
        for n in range(6):
            for m in range(5):
                remember(KIND, (f"{n}", f"{m}", ""), 1, {"sql": "x" * 10_000})
            assert not flush()
    assert flush()
    assert flush()
    dropped = stored(10, kinds.SELF_DROPPED.name).sum
    kept = sum(len(stored_values((f"{n}", f"{m}", ""))) for n in range(6) for m in range(5))
    assert dropped > 0
    assert kept + dropped == 30
    assert stored_values(("5", "0", "")) == [1]


@pytest.mark.django_db(databases="__all__")
def test_a_store_that_is_away_cannot_be_read() -> None:
    with override_settings(PERFSUITE=AWAY), pytest.raises(StoreUnavailable):
        exemplars(KIND, A)


@pytest.mark.alike
@pytest.mark.skipif("not hasattr(__import__('os'), 'fork')")
def test_a_forked_child_writes_its_own_and_not_its_parent_s(tmp_path: Path) -> None:
    printed = run_host(
        """
        from perfsuite.metrics.exemplars import remember, exemplars
        flush()
        remember("k", ("a",), 1.0, {"by": "parent"})
        child = os.fork()
        if child == 0:
            remember("k", ("b",), 2.0, {"by": "child"})
            os._exit(0 if flush() else 1)
        _, status = os.waitpid(child, 0)
        assert status == 0
        flush()
        print(len(exemplars("k", ("a",))), len(exemplars("k", ("b",))))
        """,
        tmp_path,
    )
    assert printed == "1 1"
