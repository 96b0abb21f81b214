"""The read side against adding up by hand, for any history, window and state of compaction."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from perfsuite.exceptions import StoreUnavailable
from perfsuite.metrics import kinds, query
from perfsuite.metrics.conf import MetricsSettings
from perfsuite.metrics.histogram import Histogram
from perfsuite.metrics.kinds import Kind
from perfsuite.metrics.models import Series
from perfsuite.metrics.query import (
    SKEW_S,
    Order,
    Window,
    series,
    series_by,
    series_of,
    top,
    totals,
    totals_by,
    totals_of,
)
from perfsuite.metrics.reading import reading
from perfsuite.metrics.storages import RESOLUTIONS, get_storage
from perfsuite.metrics.storages.alias import store_alias
from tests.metrics.rows import TIMING, VOLUME, Measured, assert_same, exactly, write
from tests.metrics.world import SERIES, Step, World, fewer, histories, new_world

pytestmark = pytest.mark.django_db(databases="__all__")

A, B_ERROR, B, V = SERIES[0], SERIES[1], SERIES[2], SERIES[3]
DAY = 86_400


@pytest.fixture
def world() -> Iterator[World]:
    with new_world() as made:
        yield made


def floor(instant: int, step: int) -> int:
    return instant - instant % step


# Windows


def test_the_last_seconds_end_after_what_is_flushed_now() -> None:
    for now in (1_000, 1_000.0, 1_000.9, 1_009.99):
        window = Window.last(60, now=now)
        assert window == Window(950, 1_010)
        assert window.start <= floor(int(now), 10) < window.end
    assert Window.last(60, now=1_010).end == 1_020


def test_by_default_the_last_seconds_end_now(world: World) -> None:
    assert Window.last(900).end - world.now in range(1, 11)
    assert Window.last(900).seconds == 900


def test_the_previous_window_is_as_long_and_ends_where_this_one_starts() -> None:
    assert Window(100, 160).previous() == Window(40, 100)


@pytest.mark.parametrize(
    ("start", "end", "step", "expected"),
    [
        (100, 160, 60, (60, 180)),
        (120, 180, 60, (120, 180)),
        (119, 181, 60, (60, 240)),
        (0, 1, 600, (0, 600)),
    ],
)
def test_aligned_widens_to_full_steps(start: int, end: int, step: int, expected: tuple[int, int]) -> None:
    assert Window(start, end).aligned(step) == Window(*expected)


# Any history, any window


def windows(now: int) -> st.SearchStrategy[Window]:
    """Return windows of all lengths that end before, at or after now, on full seconds of any kind."""
    lengths = st.sampled_from([1, 10, 60, 77, 300, 900, 3_600, 6 * 3_600, DAY, 7 * DAY, 30 * DAY])
    ends = st.sampled_from([-700_000, -90_000, -4_000, -700, -61, -10, 0, 7, 10, 500])
    return st.builds(lambda length, end: Window(now + end - length, now + end), lengths, ends)


@fewer(2)
@given(histories, st.data())
def test_no_stretch_is_read_twice_or_missed_in_any_history_and_window(
    steps: list[Step], data: st.DataObject
) -> None:
    with new_world() as world:
        world.run(steps)
        for _ in range(4):
            window = data.draw(windows(world.now))
            spans = query._tiles(reading(), window)
            # The spans lie end to end, cover the window, and go beyond it by less than one row that is still there.
            assert all(a.end == b.start for a, b in pairwise(spans))
            assert all(span.resolution in RESOLUTIONS for span in spans)
            first, last = spans[0], spans[-1]
            assert first.start <= window.start < first.start + first.resolution
            assert window.end <= last.end < window.end + last.resolution
            kept = query._kept(dict.fromkeys(RESOLUTIONS, 1 << 60))
            if window.start >= kept[10]:
                assert first.start == floor(window.start, 10)
                assert last.end < window.end + 10
            for kind in (TIMING, VOLUME):
                read = totals(kind.name, window)
                end = -(-last.end // 10) * 10
                assert_same(read, exactly(world.measured, kind.name, first.start, end))


@fewer(4)
@given(histories, st.data())
def test_a_series_of_points_holds_what_the_totals_do_and_each_point_its_own(
    steps: list[Step], data: st.DataObject
) -> None:
    with new_world() as world:
        world.run([step for step in steps if step[0] != "trim"])
        window = data.draw(windows(world.now))
        step = data.draw(st.sampled_from([10, 60, 90, 300, 600, 3_600]))
        points = -(-window.seconds // step)
        if points > 1_000:
            return
        start = floor(window.start, 10)
        window = Window(start, start + points * step)
        with override_settings(PERFSUITE={"METRICS": {"KEEP_10S_S": 400 * DAY}}):
            read = series(TIMING.name, window, step)
        assert len(read) == points
        for n, point in enumerate(read):
            begin = window.start + n * step
            assert_same(point, exactly(world.measured, TIMING.name, begin, begin + step))


@fewer(4)
@given(histories, st.data())
def test_groups_hold_exactly_what_belongs_to_them(steps: list[Step], data: st.DataObject) -> None:
    with new_world() as world:
        world.run([step for step in steps if step[0] != "trim"])
        window = Window(
            floor(world.now, 10) - data.draw(st.sampled_from([60, 900, DAY])), floor(world.now, 10) + 10
        )
        window = Window(*(floor(at, 10) for at in (window.start, window.end)))
        with override_settings(PERFSUITE={"METRICS": {"KEEP_10S_S": 400 * DAY}}):
            by_route = totals_by(TIMING.name, window, "route")
            ranked = top(TIMING.name, window, by=("route", "status"), limit=10)
            errors = totals(TIMING.name, window, {"status": "5xx"})
            both = totals(TIMING.name, window, {"status": "5xx", "route": "/a/"})
        for route, read in by_route.items():
            assert_same(
                read, exactly(world.measured, TIMING.name, window.start, window.end, {"route": route})
            )
        assert (
            sum(read.count for read in by_route.values())
            == exactly(world.measured, TIMING.name, window.start, window.end).count
        )
        for row in ranked:
            assert_same(row.value, exactly(world.measured, TIMING.name, window.start, window.end, row.labels))
        assert len({tuple(row.labels.values()) for row in ranked}) == len(ranked)
        assert_same(errors, exactly(world.measured, TIMING.name, window.start, window.end, {"status": "5xx"}))
        assert_same(both, errors)


@fewer(4)
@given(histories, st.sampled_from([10, 60, 600]))
def test_the_lines_of_a_chart_are_the_series_of_each_label_value(steps: list[Step], step: int) -> None:
    with new_world() as world:
        world.run(steps)
        window = Window.last(1_200).aligned(step)
        lines = series_by(TIMING.name, window, step, "status")
        assert list(lines) == sorted(lines)
        for status, points in lines.items():
            alone = series(TIMING.name, window, step, {"status": status})
            assert len(points) == len(alone)
            for point, expected in zip(points, alone, strict=True):
                assert_same(point, expected)
        assert set(lines) == set(totals_by(TIMING.name, window, "status"))


# Tiles


@pytest.mark.long_history
def test_a_day_is_read_from_few_coarse_rows(world: World) -> None:
    for _ in range(26):
        world.write(A, [1.0])
        world.clock.move(3_600)
    world.compact()
    spans = query._tiles(reading(), Window.last(DAY))
    assert len(spans) <= 8
    assert max(span.resolution for span in spans) == 3_600


@pytest.mark.long_history
def test_a_chart_is_never_read_from_rows_longer_than_its_step(world: World) -> None:
    for _ in range(26):
        world.write(A, [1.0])
        world.clock.move(3_600)
    world.compact()
    window = Window.last(6 * 3_600).aligned(300)
    start = max(window.start, world.now - 6 * 3_600 + 2 * SKEW_S)
    window = Window(-(-start // 300) * 300, window.end)
    points = series(TIMING.name, window, 300)
    for n, point in enumerate(points):
        begin = window.start + n * 300
        assert point.count == exactly(world.measured, TIMING.name, begin, begin + 300).count


@pytest.fixture
def dense(world: World) -> World:
    """Three hours with a value every 20 seconds, compacted and trimmed as by a running leader."""
    start = floor(world.now, DAY)
    for n in range(540):
        kind, labels = SERIES[n % 2]
        world.measured.append(Measured(start + 20 * n, kind.name, labels, float(n % 50)))
    write(*world.measured)
    world.clock.epoch = start + 540 * 20 + 7
    world.compact()
    world.trim()
    return world


@pytest.mark.long_history
def test_a_dense_history_is_read_exactly_from_edges_that_no_coarse_row_has(dense: World) -> None:
    now = floor(dense.now, 60)
    for begin, end in [(170, 110), (121, 61), (120, 60), (179, 1), (65, 22), (61, 60), (21, 1), (90, 0)]:
        window = Window(now - begin * 60, now - end * 60)
        assert_same(
            totals(TIMING.name, window), exactly(dense.measured, TIMING.name, window.start, window.end)
        )
    # The last 18 minutes are still there by 10 seconds.
    for begin, end in [(1_000, 10), (610, 50), (130, 10), (70, 60)]:
        window = Window(now - begin, now - end)
        assert_same(
            totals(TIMING.name, window), exactly(dense.measured, TIMING.name, window.start, window.end)
        )


@pytest.mark.long_history
def test_each_point_of_a_dense_chart_holds_its_own_values_wherever_the_chart_begins(dense: World) -> None:
    for step in (10, 30, 60, 90, 300, 600):
        for offset in (0, 10, 30):
            start = floor(dense.now - 1_100, 60) + 60 + offset
            window = Window(start, start + 900)
            for n, point in enumerate(series(TIMING.name, window, step)):
                begin = start + n * step
                end = min(begin + step, window.end)
                assert_same(point, exactly(dense.measured, TIMING.name, begin, end))


@pytest.mark.long_history
def test_a_fine_chart_of_old_values_shows_the_rows_that_are_left(dense: World) -> None:
    start = floor(dense.now, 3_600) - 3_600
    points = series(TIMING.name, Window(start, start + 600), 10)
    assert [n for n, point in enumerate(points) if point.count] == [0, 6, 12, 18, 24, 30, 36, 42, 48, 54]
    assert sum(point.count for point in points) == 30


@pytest.mark.long_history
def test_where_finer_rows_have_gone_the_longer_row_stands_at_its_start(world: World) -> None:
    world.clock.epoch -= world.now % DAY
    start = world.now
    for _ in range(60):
        world.write(A, [1.0])
        world.clock.move(600)
    world.compact()
    world.trim()
    points = series(TIMING.name, Window(start, start + 3_600), 60)
    assert len(points) == 60
    assert [n for n, point in enumerate(points) if point.count] == [0, 10, 20, 30, 40, 50]
    assert sum(point.count for point in points) == 6


@pytest.mark.long_history
def test_a_window_that_starts_inside_a_row_whose_finer_ones_have_gone_takes_the_whole_row(
    world: World,
) -> None:
    world.clock.epoch -= world.now % DAY
    start = world.now
    for _ in range(24 * 6):
        world.write(A, [1.0])
        world.clock.move(600)
    world.clock.move(10 * DAY)
    for _ in range(4):
        world.write(A, [1.0])
        world.clock.move(3_600)
    world.compact()
    world.trim()
    read = totals(TIMING.name, Window(start + 5_000, start + 9_000))
    # From hour 1 (which holds 5,000 s) to the end of hour 2 (which holds 9,000 s).
    assert_same(read, exactly(world.measured, TIMING.name, start + 3_600, start + 10_800))


@pytest.mark.long_history
def test_rows_at_the_very_edge_of_their_retention_are_not_counted_on(world: World) -> None:
    """The leader that deletes them may have a clock that is ahead of this process's."""
    world.clock.epoch -= world.now % 60
    first = world.now
    for _ in range(200):
        world.write(A, [1.0])
        world.clock.move(10)
    world.compact()
    keep = MetricsSettings.get().keep_10s_s
    edge = Window(world.now - keep, world.now)
    expected = totals(TIMING.name, edge)
    world.clock.epoch += SKEW_S - 10
    world.trim()
    world.clock.epoch -= SKEW_S - 10
    assert totals(TIMING.name, edge).count == expected.count
    assert edge.start > first


def test_an_empty_store_and_an_empty_window_read_as_nothing(world: World) -> None:
    window = Window.last(3_600)
    assert totals(TIMING.name, window).count == 0
    assert totals_by(TIMING.name, window, "route") == {}
    assert top(TIMING.name, window, by=("route",)) == []
    assert [point.count for point in series(TIMING.name, window, 600)] == [0] * 6
    world.write(A, [1.0])
    empty = Window(world.now, world.now)
    assert totals(TIMING.name, empty).count == 0
    assert series(TIMING.name, empty, 10) == []
    assert totals("test.query.unknown", window).count == 0


def test_the_end_of_a_window_is_not_in_it(world: World) -> None:
    at = floor(world.now, 10)
    write(Measured(at, TIMING.name, A[1], 1.0))
    assert totals(TIMING.name, Window(at - 10, at)).count == 0
    assert totals(TIMING.name, Window(at, at + 10)).count == 1


def test_the_last_step_of_a_chart_may_be_shorter(world: World) -> None:
    at = floor(world.now, 60)
    write(Measured(at + 60, TIMING.name, A[1], 1.0))
    points = series(TIMING.name, Window(at, at + 90), 60)
    assert [point.count for point in points] == [0, 1]


# Rankings


@pytest.fixture
def _ranked(world: World) -> None:
    """Three routes whose order differs by what one asks for."""
    world.write((TIMING, ("/often/", "2xx")), [10.0] * 50)
    world.write((TIMING, ("/slow/", "2xx")), [400.0] * 3)
    world.write((TIMING, ("/once/", "2xx")), [1.0] * 30 + [900.0])
    world.write((TIMING, ("/once/", "5xx")), [2.0] * 10)


@pytest.mark.usefixtures("_ranked")
@pytest.mark.parametrize(
    ("order", "routes"),
    [
        ("sum", ["/slow/", "/once/", "/often/"]),
        ("count", ["/often/", "/once/", "/slow/"]),
        ("mean", ["/slow/", "/once/", "/often/"]),
        ("max", ["/once/", "/slow/", "/often/"]),
        ("p95", ["/slow/", "/often/", "/once/"]),
        ("p99", ["/once/", "/slow/", "/often/"]),
    ],
)
def test_the_largest_groups_come_first_by_whatever_is_asked_for(order: Any, routes: list[str]) -> None:
    rows = top(TIMING.name, Window.last(600), by=("route",), order=order)
    assert [row.labels for row in rows] == [{"route": route} for route in routes]
    assert [
        row.labels["route"] for row in top(TIMING.name, Window.last(600), by=("route",), order=order, limit=2)
    ] == (routes[:2])


@pytest.mark.usefixtures("_ranked")
def test_a_group_of_several_series_has_the_percentiles_of_all_of_them() -> None:
    (once,) = [r for r in top(TIMING.name, Window.last(600), by=("route",)) if r.labels["route"] == "/once/"]
    assert once.value.count == 41
    assert once.value.quantile(0.5) == pytest.approx(1.0, rel=0.02)
    assert once.value.quantile(0.9) == pytest.approx(2.0, rel=0.02)
    assert once.value.quantile(1.0) == pytest.approx(900.0, rel=0.02)


@pytest.mark.usefixtures("_ranked")
def test_groups_may_be_made_by_any_labels_in_any_order() -> None:
    rows = top(TIMING.name, Window.last(600), by=("status", "route"), order="count")
    assert [row.labels for row in rows][-2:] == [
        {"status": "5xx", "route": "/once/"},
        {"status": "2xx", "route": "/slow/"},
    ]
    (whole,) = top(TIMING.name, Window.last(600), by=())
    assert whole.labels == {}
    assert whole.value.count == 94


@pytest.mark.usefixtures("_ranked")
def test_without_percentiles_the_ranking_is_the_same_and_reads_no_histogram(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = top(TIMING.name, Window.last(600), by=("route",))
    monkeypatch.setattr(type(get_storage()), "cells", None)
    for row, expected in zip(
        top(TIMING.name, Window.last(600), by=("route",), percentiles=False), whole, strict=True
    ):
        assert row.labels == expected.labels
        assert (row.value.count, row.value.sum, row.value.max) == (
            expected.value.count,
            expected.value.sum,
            expected.value.max,
        )
        assert row.value.quantile(0.95) == 0.0


def test_a_ranking_by_percentile_finds_the_slowest_among_many_groups(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kinds, "_kinds", dict(kinds._kinds))
    wide = kinds.declare(Kind("test.query.wide", "us", ("route",), cap=500))
    at = floor(world.now, 10)
    batch = [Measured(at, wide.name, (f"/{n}/",), float(n + 1)) for n in range(150) for _ in range(3)]
    write(*batch)
    rows = top(wide.name, Window.last(600), by=("route",), order="p95", limit=5)
    assert [row.labels["route"] for row in rows] == ["/149/", "/148/", "/147/", "/146/", "/145/"]
    assert all(row.value.count == 3 for row in rows)


def test_a_counter_is_ranked_by_its_numbers_and_has_no_percentiles(world: World) -> None:
    world.write(V, [10.0, 20.0])
    world.write(SERIES[4], [500.0])
    rows = top(VOLUME.name, Window.last(600), by=("route",))
    assert [(row.labels["route"], row.value.count, row.value.sum) for row in rows] == [
        ("/b/", 1, 500.0),
        ("/a/", 2, 30.0),
    ]
    assert [row.value.quantile(0.95) for row in rows] == [0.0, 0.0]


# Labels


def test_only_the_series_with_the_wanted_labels_are_read(world: World) -> None:
    world.write(A, [1.0])
    world.write(B_ERROR, [2.0, 2.0])
    world.write(B, [3.0, 3.0, 3.0])
    window = Window.last(600)
    assert totals(TIMING.name, window, {"status": "2xx"}).count == 4
    assert totals(TIMING.name, window, {"route": "/a/"}).count == 3
    assert totals(TIMING.name, window, {"route": "/a/", "status": "5xx"}).count == 2
    assert totals(TIMING.name, window, {"route": "/none/"}).count == 0
    assert totals(TIMING.name, window, {"colour": "red"}).count == 0
    assert totals(TIMING.name, window, {}).count == 6
    assert sum(point.count for point in series(TIMING.name, window, 60, {"status": "5xx"})) == 2
    assert {label: h.count for label, h in totals_by(TIMING.name, window, "status").items()} == {
        "2xx": 4,
        "5xx": 2,
    }


def test_some_series_are_read_by_their_label_values_alone(world: World) -> None:
    world.write(A, [1.0, 5.0])
    world.write(A, [3.0])
    world.write(B, [7.0])
    found = totals_of(TIMING.name, Window.last(600), [A[1], B_ERROR[1]])
    assert set(found) == {A[1], B_ERROR[1]}
    read = found[A[1]]
    assert (read.count, read.sum, read.min, read.max) == (3, 9.0, 1.0, 5.0)
    assert found[B_ERROR[1]].count == 0
    assert totals_of(TIMING.name, Window.last(600), []) == {}


def test_a_series_of_some_label_values_is_that_of_all_narrowed_to_them(world: World) -> None:
    world.write(A, [1.0, 5.0])
    world.write(B, [7.0])
    window = Window.last(600).aligned(60)
    found = series_of(TIMING.name, window, 60, [A[1], B_ERROR[1]])
    assert len(found) == window.seconds // 60
    assert sum(point.count for point in found) == 2
    assert max(point.max for point in found) == 5.0
    assert all(point.count == 0 for point in series_of(TIMING.name, window, 60, []))


@pytest.mark.parametrize("order", ["sum", "p95"])
def test_a_ranking_is_narrowed_by_labels_that_it_does_not_group_by(world: World, order: Order) -> None:
    world.write(A, [1.0, 5.0])
    world.write(B_ERROR, [9.0])
    world.write(B, [7.0])
    window = Window.last(600)
    rows = top(TIMING.name, window, ("route",), order, where=lambda labels: labels["status"] == "5xx")
    assert [(row.labels, row.value.count, row.value.max) for row in rows] == [
        ({"route": B_ERROR[1][0]}, 1, 9.0)
    ]
    assert top(TIMING.name, window, ("route",), order, where=lambda labels: False) == []


def test_a_label_that_the_kind_does_not_have_is_unknown(world: World) -> None:
    world.write(A, [1.0])
    assert list(totals_by(TIMING.name, Window.last(600), "colour")) == ["<unknown>"]
    assert top(TIMING.name, Window.last(600), by=("colour",))[0].labels == {"colour": "<unknown>"}


def test_a_series_whose_description_is_gone_is_unknown_and_still_counted(world: World) -> None:
    world.write(A, [1.0])
    world.write(B, [1.0])
    Series.objects.using(store_alias()).filter(labels__contains="/a/").delete()
    read = totals_by(TIMING.name, Window.last(600), "route")
    assert {label: h.count for label, h in read.items()} == {"<unknown>": 1, "/b/": 1}
    # The next process that announces it makes it known again.
    world.write(A, [1.0])
    read = totals_by(TIMING.name, Window.last(600), "route")
    assert {label: h.count for label, h in read.items()} == {"/a/": 2, "/b/": 1}


def test_a_series_described_by_an_older_release_with_fewer_labels_is_unknown_in_the_new_one(
    world: World,
) -> None:
    world.write(A, [1.0])
    Series.objects.using(store_alias()).filter(seen__gte=0).update(labels=json.dumps(["/a/"]))
    assert list(totals_by(TIMING.name, Window.last(600), "route")) == ["/a/"]
    assert list(totals_by(TIMING.name, Window.last(600), "status")) == ["<unknown>"]


def test_the_memory_of_descriptions_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query, "_MAX_DESCRIBED", 2)
    for each in (A, B_ERROR, B):
        world.write(each, [1.0])
    for _ in range(2):
        assert sum(h.count for h in totals_by(TIMING.name, Window.last(600), "route").values()) == 3
        assert set(totals_by(TIMING.name, Window.last(600), "route")) == {"/a/", "/b/"}
        world.write(V, [1.0])
        assert list(totals_by(VOLUME.name, Window.last(600), "route")) == ["/a/"]
        assert len(query._described) <= 3


def test_a_kind_without_labels_is_described_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    at = floor(world.now, 10)
    write(Measured(at, kinds.SELF_REQUEST.name, (), 1.0))
    assert top(kinds.SELF_REQUEST.name, Window.last(600), by=())[0].value.count == 1
    asked: list[object] = []
    describe = type(get_storage()).describe
    monkeypatch.setattr(
        type(get_storage()), "describe", lambda self, ids: asked.append(ids) or describe(self, ids)
    )
    assert top(kinds.SELF_REQUEST.name, Window.last(600), by=())[0].value.count == 1
    assert asked == []


# A store that is away


READS: list[Callable[[Window], object]] = [
    lambda window: totals(TIMING.name, window),
    lambda window: totals(TIMING.name, window, {"route": "/a/"}),
    lambda window: totals_by(TIMING.name, window, "route"),
    lambda window: series(TIMING.name, window, 60),
    lambda window: top(TIMING.name, window, by=("route",)),
]


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize(
    "metrics",
    [{"DATABASE": "misspelt"}, {"STORAGE": "perfsuite.no.such.Storage"}],
    ids=["database", "storage"],
)
def test_every_read_says_in_one_sentence_that_the_store_is_away(
    read: Callable[[Window], object], metrics: dict[str, str]
) -> None:
    with override_settings(PERFSUITE={"METRICS": metrics}), pytest.raises(StoreUnavailable) as caught:
        read(Window.last(600))
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


def test_an_empty_histogram_reads_as_zeros() -> None:
    empty = Histogram()
    assert (empty.count, empty.mean, empty.quantile(0.95)) == (0, 0.0, 0.0)
