"""Compaction and retention: whatever happens, nothing is lost and nothing counts twice."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from django.db import connections
from django.test import override_settings
from hypothesis import given

from perfsuite.exceptions import StoreUnavailable
from perfsuite.metrics import compaction, leader
from perfsuite.metrics.compaction import (
    GRACE_S,
    compact,
    cutoffs,
    earliest_open,
    expired,
    trim,
    waiting,
    watermark,
    watermarks,
)
from perfsuite.metrics.leader import LeaseLost
from perfsuite.metrics.models import Bucket, Series
from perfsuite.metrics.storages import RESOLUTIONS, Cell, get_storage
from perfsuite.metrics.storages.alias import store_alias
from perfsuite.metrics.storages.orm import ORMStorage
from tests.metrics.rows import TIMING, VOLUME, Measured, stored, write
from tests.metrics.world import SERIES, Step, World, fewer, histories, new_world

pytestmark = pytest.mark.django_db(databases="__all__")

DAY = 86_400
A, V = SERIES[0], SERIES[3]


@pytest.fixture
def world() -> Iterator[World]:
    with new_world() as made:
        yield made


def rows(resolution: int) -> list[Bucket]:
    return list(Bucket.objects.using(store_alias()).filter(resolution=resolution).order_by("start", "series"))


def nothing() -> None:
    pass


# Histories


@fewer(3)
@given(histories)
def test_below_each_watermark_the_rows_are_complete_for_any_history(steps: list[Step]) -> None:
    with new_world() as world:
        world.run([step for step in steps if step[0] != "trim"])
        world.compact()
        marks = watermarks(get_storage())
        world.assert_complete_below_the_watermarks()
        levels = [marks.get(resolution, 0) for resolution in RESOLUTIONS[1:]]
        assert levels == sorted(levels, reverse=True)
        assert all(level % resolution == 0 for level, resolution in zip(levels, RESOLUTIONS[1:], strict=True))


def test_the_rows_of_many_processes_become_one_row_per_series_and_minute(world: World) -> None:
    world.clock.epoch -= world.now % 60
    for n in range(6):
        for value in (1.0, 10.0, 100.0):
            world.write(A, [value, value])
            world.write(V, [value])
        if n < 5:
            world.clock.move(10)
    start = world.now - 50
    assert len(rows(10)) == 36
    world.clock.move(10 + GRACE_S)
    assert world.compact() == 1
    timing, volume = sorted(rows(60), key=lambda row: row.kind)
    assert (timing.start, timing.kind, timing.count, timing.sum) == (start, TIMING.name, 36, 6 * 222)
    assert (volume.start, volume.kind, volume.count, volume.sum) == (start, VOLUME.name, 18, 6 * 111)
    assert bytes(volume.histogram) == b""
    assert watermarks(get_storage()) == {60: start + 60}
    assert len(rows(10)) == 36  # until their own retention ends
    assert world.compact() == 0


@pytest.mark.long_history
def test_every_level_follows_when_it_is_closed(world: World) -> None:
    world.clock.epoch -= world.now % DAY
    start = world.now
    for _ in range(30):  # one value an hour, for a day and six hours
        world.write(A, [5.0])
        world.clock.move(3_600)
    world.compact()
    assert [row.start for row in rows(DAY)] == [start]
    assert [row.count for row in rows(DAY)] == [24]
    assert len(rows(60)) == 30
    # A stretch is closed by what comes after it in the finer level, so each level is one value behind.
    assert len(rows(600)) == 29
    assert len(rows(3_600)) == 28
    world.assert_complete_below_the_watermarks()


def test_the_minute_that_is_still_open_is_left(world: World) -> None:
    world.clock.epoch -= world.now % 60
    world.write(A, [1.0])
    world.clock.move(60 + GRACE_S - 1)
    assert world.compact() == 0
    world.clock.move(1)
    assert world.compact() == 1


def test_a_gap_of_days_is_stepped_over_at_once(world: World) -> None:
    world.write(A, [1.0])
    world.clock.move(9 * DAY + 7)
    world.write(A, [2.0])
    world.clock.move(200)
    assert world.compact() < 12
    world.assert_complete_below_the_watermarks()
    assert stored(60).count == 2


def test_an_empty_store_has_nothing_to_compact(world: World) -> None:
    assert world.compact() == 0
    assert watermarks(get_storage()) == {}
    assert earliest_open(get_storage()) == 0
    assert waiting() == 0


def test_what_waits_is_told_in_seconds(world: World) -> None:
    world.clock.epoch -= world.now % 60
    world.write(A, [1.0])
    world.clock.move(600)
    assert waiting() == 600 - GRACE_S
    world.compact()
    assert waiting() == 0


@pytest.mark.by_store
def test_a_row_never_lands_in_a_closed_minute(world: World) -> None:
    for _ in range(40):
        world.write(A, [1.0], waited=300)
        world.clock.move(7)
        world.compact()
    world.clock.move(500)
    world.compact()
    assert stored(60).count == 40
    world.assert_complete_below_the_watermarks()


@pytest.mark.by_store
@pytest.mark.parametrize("back_s", [30, 100, 3_600, 2 * DAY])
def test_a_clock_that_steps_back_loses_and_doubles_nothing(world: World, back_s: int) -> None:
    for _ in range(20):
        world.write(A, [1.0])
        world.clock.move(30)
        world.compact()
    world.clock.epoch -= back_s
    for _ in range(20):
        world.write(A, [2.0])
        world.clock.move(30)
        world.compact()
        world.trim()
    world.clock.move(back_s + 1_000)
    world.write(A, [3.0])
    world.clock.move(1_000)
    world.compact()
    assert stored(60).count == 41
    world.assert_complete_below_the_watermarks()


@pytest.mark.by_store
@pytest.mark.parametrize("ahead_s", [300, 3_600])
def test_a_leader_whose_clock_runs_ahead_loses_and_doubles_nothing(world: World, ahead_s: int) -> None:
    for _ in range(30):
        world.write(A, [1.0])
        world.write(V, [1.0])
        world.clock.move(10)
        compact(now=world.now + ahead_s, checkpoint=nothing)
    world.clock.move(ahead_s + 1_000)
    world.compact()
    assert stored(60, TIMING.name).count == 30
    world.assert_complete_below_the_watermarks()


# Crashes


class Killed(Exception):
    """The process ends here."""


class Mortal(ORMStorage):
    """Dies before or after a step, by chance. Each step itself happens wholly or not at all, as its transaction does."""

    chance = random.Random(1)
    risk = 0.0

    def _maybe(self) -> None:
        if self.chance.random() < type(self).risk:
            raise Killed

    def _step(self, name: str, *args: Any, **kwargs: Any) -> Any:
        self._maybe()
        result = getattr(ORMStorage, name)(self, *args, **kwargs)
        self._maybe()
        return result

    def append(self, *args: Any, **kwargs: Any) -> None:
        self._step("append", *args, **kwargs)

    def cells(self, *args: Any, **kwargs: Any) -> list[Cell]:
        found: list[Cell] = self._step("cells", *args, **kwargs)
        return found

    def move_mark(self, *args: Any, **kwargs: Any) -> bool:
        moved: bool = self._step("move_mark", *args, **kwargs)
        return moved

    def trim(self, *args: Any, **kwargs: Any) -> int:
        deleted: int = self._step("trim", *args, **kwargs)
        return deleted


# A statement takes several times as long on a server.
KILLS = 200 if connections["default"].vendor == "sqlite" else 50


@pytest.mark.long_history
@override_settings(PERFSUITE={"METRICS": {"STORAGE": f"{__name__}.Mortal"}})
def test_killed_anywhere_again_and_again_the_totals_are_exact(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = 0
    chance = random.Random(3)
    for _ in range(20_000):
        if killed >= KILLS:
            break
        monkeypatch.setattr(Mortal, "risk", 0.0)
        world.write(chance.choice(SERIES), [chance.choice([0.0, 3.0, 500.0])])
        world.clock.move(chance.choice([5, 20, 60, 60, 200, 700, 4_000, 40_000]))
        monkeypatch.setattr(Mortal, "risk", 0.08)
        try:
            compact(checkpoint=lambda: get_storage()._maybe())  # type: ignore[attr-defined]
        except Killed:
            killed += 1
    assert killed == KILLS
    monkeypatch.setattr(Mortal, "risk", 0.0)
    world.clock.move(3 * DAY)
    world.write(A, [1.0])
    world.clock.move(300)
    world.compact()
    world.assert_complete_below_the_watermarks()
    assert stored(60).count == len(world.measured)


def test_a_compaction_that_stopped_before_the_mark_is_completed_and_not_repeated(world: World) -> None:
    world.write(A, [1.0, 2.0])
    world.clock.move(200)
    steps = iter([None, Killed])

    def die_before_the_mark() -> None:
        if next(steps) is not None:
            raise Killed

    with pytest.raises(Killed):
        compact(checkpoint=die_before_the_mark)
    assert stored(60).count == 2
    assert watermarks(get_storage()) == {}
    assert world.compact() == 1
    assert stored(60).count == 2


def test_of_two_that_compact_at_once_one_gives_up_and_nothing_doubles(world: World) -> None:
    for _ in range(30):
        world.write(A, [1.0])
        world.clock.move(10)
    world.clock.move(GRACE_S)
    calls = 0

    def overtaken() -> None:
        nonlocal calls
        calls += 1
        if calls == 2:  # between the rows and the mark
            world.compact()

    with pytest.raises(LeaseLost):
        compact(checkpoint=overtaken)
    world.assert_complete_below_the_watermarks()
    assert (
        stored(60).count + sum(row.count for row in rows(10) if row.start >= watermarks(get_storage())[60])
        == 30
    )


def test_who_lost_the_lead_stops_before_it_writes_anything(world: World) -> None:
    world.write(A, [1.0])
    world.clock.move(200)
    assert leader.Candidate().renew()
    with pytest.raises(LeaseLost):
        compact()
    assert rows(60) == []


def test_the_leader_s_jobs_are_compaction_and_retention(world: World) -> None:
    compaction.register_jobs()
    world.write(A, [1.0])
    world.clock.move(200)
    compaction.compact_announced(checkpoint=nothing)
    assert stored(60).count == 0
    leader.tick()
    assert stored(60).count == 1


# Retention


def test_rows_that_are_not_compacted_are_never_deleted_however_old(world: World) -> None:
    for _ in range(5):
        world.write(A, [1.0])
        world.clock.move(700)
    world.clock.move(300 * DAY)
    assert set(cutoffs().values()) <= {0, world.now - 400 * DAY}
    assert sum(world.trim().values()) == 0
    assert stored(10).count == 5


@pytest.mark.long_history
def test_each_resolution_is_deleted_after_its_own_time_and_only_below_the_next_one_s_watermark(
    world: World,
) -> None:
    world.clock.epoch -= world.now % DAY
    for _ in range(48):
        world.write(A, [1.0])
        world.clock.move(1_800)
    world.compact()
    assert stored(10).count == 48
    marks = watermarks(get_storage())
    now = world.now
    expected = {
        10: now - 1_200,
        60: now - 6 * 3_600,
        600: now - 2 * DAY,
        3_600: now - 90 * DAY,
        DAY: now - 400 * DAY,
    }
    for finer, coarser in pairwise(RESOLUTIONS):
        expected[finer] = min(expected[finer], marks.get(coarser, 0))
    assert cutoffs() == expected
    waits = expired()
    deleted = world.trim()
    assert deleted == waits
    assert deleted[10] == 48
    assert deleted[60] == 48 - 12
    assert deleted[3_600] == 0
    for resolution in RESOLUTIONS:
        assert all(row.start >= expected[resolution] for row in rows(resolution))
    world.assert_complete_at(3_600)
    assert sum(world.trim().values()) == 0


def test_the_options_set_how_long_rows_are_kept(world: World) -> None:
    world.write(A, [1.0])
    world.clock.move(700)
    world.compact()
    assert world.trim()[10] == 0
    with override_settings(PERFSUITE={"METRICS": {"KEEP_10S_S": 600}}):
        assert world.trim()[10] == 1


def test_the_last_resolution_is_deleted_after_its_time(world: World) -> None:
    for _ in range(4):
        world.write(A, [1.0])
        world.clock.move(2 * DAY)
    world.compact()
    assert len(rows(DAY)) == 1
    world.clock.move(401 * DAY)
    assert world.trim()[DAY] == 1
    assert rows(DAY) == []


def test_one_round_deletes_in_chunks_and_no_more_than_its_share(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "TRIM_CHUNK", 4)
    monkeypatch.setattr(compaction, "TRIM_ROWS", 10)
    for n in range(30):
        write(*(Measured(world.now // 60 * 60, VOLUME.name, (f"/{n}/",), 1.0),))
    world.clock.move(5_000)
    world.compact()
    checked: list[int] = []
    assert trim(checkpoint=lambda: checked.append(1))[10] == 12
    assert len(checked) == 3 + 1 + 1 + 1 + 1
    assert world.trim()[10] == 12
    assert world.trim()[10] == 6


def test_a_trim_that_lost_the_lead_stops(world: World) -> None:
    assert leader.Candidate().renew()
    with pytest.raises(LeaseLost):
        trim()


def test_descriptions_go_when_nothing_was_announced_for_as_long_as_rows_are_kept(world: World) -> None:
    world.write(A, [1.0])
    alias = store_alias()
    Series.objects.using(alias).filter(seen__gte=0).update(seen=world.now - world.now % DAY)
    world.clock.move(399 * DAY)
    world.trim()
    assert Series.objects.using(alias).exists()
    world.clock.move(2 * DAY)
    world.trim()
    assert not Series.objects.using(alias).exists()


@override_settings(PERFSUITE={"METRICS": {"DATABASE": "misspelt"}})
@pytest.mark.parametrize("use", [compact, trim, waiting, expired, cutoffs])
def test_without_a_store_each_says_so(use: Any) -> None:
    with pytest.raises(StoreUnavailable):
        use()


def test_the_ids_of_compacted_rows_follow_from_what_they_are_about(world: World) -> None:
    world.write(A, [1.0])
    world.clock.move(200)
    world.compact()
    first = [row.id for row in rows(60)]
    Bucket.objects.using(store_alias()).filter(resolution=60).delete()
    storage = get_storage()
    storage.move_mark(watermark(60), watermarks(storage)[60], 0)
    world.compact()
    assert [row.id for row in rows(60)] == first
