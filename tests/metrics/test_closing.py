"""The leader announces which minutes it will close, so that nothing is written into one that is closed meanwhile."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from perfsuite.metrics.compaction import COMPACT_EVERY_S, compact_announced, earliest_open
from perfsuite.metrics.leader import LeaseLost
from perfsuite.metrics.storages import get_storage
from perfsuite.metrics.storages.orm import ORMStorage
from tests.metrics.rows import stored
from tests.metrics.world import SERIES, World, new_world

pytestmark = pytest.mark.django_db(databases="__all__")

A = SERIES[0]
DAY = 86_400


def nothing() -> None:
    """Do not ask for the lease."""


@pytest.fixture
def world() -> Iterator[World]:
    with new_world() as made:
        yield made


@pytest.mark.by_store
def test_a_row_that_is_written_while_a_leader_ahead_compacts_is_not_missed(world: World) -> None:
    """The leader's runs are ten seconds apart; a write that takes longer than from one to the next is too slow."""

    def leads() -> int:
        world.clock.move(COMPACT_EVERY_S)
        return compact_announced(now=world.now + 300, checkpoint=nothing)

    for _ in range(30):
        writing = world.write_slowly(A, [2.0, 3.0])
        next(writing)
        leads()
        assert list(writing) == [None]
        leads()
    world.clock.move(1_000)
    leads()
    assert leads() > 0
    assert stored(60).count == 60
    world.assert_complete_below_the_watermarks()


def test_a_minute_is_compacted_in_the_run_after_the_one_that_announced_it(world: World) -> None:
    world.write(A, [1.0])
    world.clock.move(200)
    open_before = earliest_open(get_storage())
    assert compact_announced(checkpoint=nothing) == 0
    assert earliest_open(get_storage()) > open_before == 0
    assert compact_announced(checkpoint=nothing) == 1
    assert compact_announced(checkpoint=nothing) == 0


def test_a_leader_that_is_a_day_ahead_for_a_moment_closes_no_minute_without_rows(world: World) -> None:
    world.write(A, [1.0])
    compact_announced(now=world.now + DAY, checkpoint=nothing)
    assert earliest_open(get_storage()) <= world.now + 180


def test_an_announcement_that_another_leader_has_made_meanwhile_gives_up_the_lead(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.write(A, [1.0])
    world.clock.move(200)
    monkeypatch.setattr(ORMStorage, "move_mark", lambda *arguments: False)
    with pytest.raises(LeaseLost):
        compact_announced(checkpoint=nothing)
    assert earliest_open(get_storage()) == 0
