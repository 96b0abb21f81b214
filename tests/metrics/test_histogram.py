"""The histogram against the exact answer, for any values, however they are split before merging."""

from __future__ import annotations

import math
import struct
import sys

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from perfsuite.metrics.histogram import GAMMA, VERSION, Counter, Histogram, Row

PROMISED = 0.02
LARGEST = sys.float_info.max

durations = st.one_of(
    st.just(0.0),
    st.floats(0, 1),
    st.floats(1, 1e4),
    st.floats(1, 1e12),
    st.integers(0, 10**9).map(float),
    # The edges of the buckets, where rounding could put a value into the wrong one.
    st.integers(0, 1_000).map(lambda k: GAMMA**k),
    st.integers(0, 1_000).map(lambda k: math.nextafter(GAMMA**k, math.inf)),
)
lists = st.lists(durations, min_size=1, max_size=60)
quantiles = st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0]))


def of(values: list[float]) -> Histogram:
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    return histogram


def stored_and_read(histogram: Histogram) -> Histogram:
    return Histogram.from_bytes(
        histogram.to_bytes(), histogram.count, histogram.sum, histogram.min, histogram.max
    )


def everything(histogram: Histogram) -> tuple[dict[int, int], int, float, float]:
    """Return what must be equal exactly; the sum depends on the order of addition in its last bits."""
    return histogram.buckets, histogram.count, histogram.min, histogram.max


def nearest_rank(values: list[float], q: float) -> float:
    return sorted(values)[max(1, math.ceil(q * len(values))) - 1]


def assert_close(answer: float, exact: float) -> None:
    if exact >= 1:
        assert abs(answer - exact) <= PROMISED * exact
    elif exact == 0:
        assert answer == 0
    else:
        assert abs(answer - exact) <= 1


@given(lists, quantiles)
def test_every_quantile_is_within_two_percent_of_the_nearest_rank(values: list[float], q: float) -> None:
    assert_close(of(values).quantile(q), nearest_rank(values, q))


@given(lists, quantiles, st.data())
def test_no_partition_over_workers_and_buckets_changes_a_quantile(
    values: list[float], q: float, data: st.DataObject
) -> None:
    parts = data.draw(st.integers(1, 8))
    split: list[list[float]] = [[] for _ in range(parts)]
    for value in values:
        split[data.draw(st.integers(0, parts - 1))].append(value)
    merged = Histogram()
    for part in split:
        if data.draw(st.booleans()):
            merged.merge(stored_and_read(of(part)))
        else:
            one = of(part)
            merged.merge_stored(one.count, one.sum, one.min, one.max, one.to_bytes())
    whole = of(values)
    assert everything(merged) == everything(whole)
    assert merged.sum == pytest.approx(whole.sum)
    assert merged.quantile(q) == whole.quantile(q)
    assert_close(merged.quantile(q), nearest_rank(values, q))


@given(lists, lists)
def test_merging_does_not_depend_on_its_order(a: list[float], b: list[float]) -> None:
    ab, ba = of(a), of(b)
    ab.merge(of(b))
    ba.merge(of(a))
    assert everything(ab) == everything(ba)


@given(lists, lists, lists)
def test_merging_does_not_depend_on_its_grouping(a: list[float], b: list[float], c: list[float]) -> None:
    left, right, bc = of(a), of(a), of(b)
    left.merge(of(b))
    left.merge(of(c))
    bc.merge(of(c))
    right.merge(bc)
    assert everything(left) == everything(right)


@given(lists)
def test_merging_with_an_empty_one_changes_nothing(values: list[float]) -> None:
    histogram = of(values)
    histogram.merge(Histogram())
    histogram.merge(stored_and_read(Histogram()))
    assert everything(histogram) == everything(of(values))


@given(lists)
def test_what_is_stored_is_read_again(values: list[float]) -> None:
    read = stored_and_read(of(values))
    assert everything(read) == everything(of(values))
    assert read.sum == of(values).sum


@given(lists)
def test_the_quantiles_lie_between_the_smallest_and_the_largest_and_never_fall(
    values: list[float],
) -> None:
    histogram = of(values)
    answers = [histogram.quantile(q / 20) for q in range(21)]
    assert answers == sorted(answers)
    assert min(values) <= answers[0]
    assert answers[-1] <= max(values)


@given(st.floats(0, LARGEST))
@example(LARGEST)
@example(sys.float_info.min)
@example(5e-324)
@example(1.0)
@example(math.nextafter(1, 0))
@example(math.nextafter(1, 2))
def test_a_single_value_is_answered_exactly_for_every_quantile(value: float) -> None:
    histogram = of([value])
    assert [histogram.quantile(q) for q in (0.0, 0.5, 1.0)] == [value] * 3
    assert histogram.mean == value
    assert stored_and_read(histogram).quantile(0.5) == value


@given(st.lists(st.floats(1, LARGEST / 100), min_size=2, max_size=20), quantiles)
def test_the_bound_holds_up_to_the_largest_numbers(values: list[float], q: float) -> None:
    assume(math.isfinite(sum(values)))
    assert_close(of(values).quantile(q), nearest_rank(values, q))


def test_zeros_have_a_bucket_of_their_own() -> None:
    histogram = of([0.0] * 90 + [100.0] * 10)
    assert histogram.quantile(0.5) == 0.0
    assert histogram.quantile(0.9) == 0.0
    assert histogram.quantile(0.91) == pytest.approx(100, rel=PROMISED)
    assert histogram.mean == 10


@pytest.mark.parametrize("make", [Counter, Histogram])
def test_a_negative_value_counts_as_zero(make: type[Counter]) -> None:
    counter = make()
    counter.add(-5)
    counter.add(-math.inf)
    assert (counter.count, counter.sum, counter.min, counter.max) == (2, 0.0, 0.0, 0.0)


@pytest.mark.parametrize("make", [Counter, Histogram])
@pytest.mark.parametrize("value", [math.nan, math.inf, 10**400])
def test_what_is_no_finite_number_is_refused_and_leaves_no_trace(make: type[Counter], value: float) -> None:
    counter = make()
    counter.add(3)
    before = (counter.count, counter.sum, counter.min, counter.max, counter.to_bytes())
    with pytest.raises((ValueError, OverflowError)):
        counter.add(value)
    assert (counter.count, counter.sum, counter.min, counter.max, counter.to_bytes()) == before


@pytest.mark.parametrize("make", [Counter, Histogram])
@pytest.mark.parametrize("value", ["3", None, [3]])
def test_what_is_no_number_is_refused_and_leaves_no_trace(make: type[Counter], value: float) -> None:
    counter = make()
    with pytest.raises(TypeError):
        counter.add(value)
    assert (counter.count, counter.sum, counter.to_bytes()) == (0, 0.0, b"")


def test_an_empty_one_answers_zero() -> None:
    empty = Histogram()
    assert (empty.count, empty.sum, empty.mean, empty.quantile(0.95)) == (0, 0.0, 0.0, 0.0)
    assert empty.to_bytes() == b""
    assert Counter().mean == 0.0
    assert stored_and_read(empty).quantile(0.5) == 0.0


def test_a_quantile_beyond_one_is_the_largest_value_and_below_zero_the_smallest() -> None:
    histogram = of([1, 10, 100])
    assert histogram.quantile(2) == 100
    assert histogram.quantile(-1) == 1


def test_a_counter_s_numbers_merge_and_have_no_percentile() -> None:
    counter = Counter()
    for value in (2, 4, 9):
        counter.add(value)
    assert counter.to_bytes() == b""
    merged = Histogram()
    merged.merge_stored(counter.count, counter.sum, counter.min, counter.max, counter.to_bytes())
    merged.merge_stored(1, 1.0, 1.0, 1.0, b"")
    assert (merged.count, merged.sum, merged.min, merged.max, merged.mean) == (4, 16.0, 1.0, 9.0, 4.0)
    assert merged.quantile(0.95) == 0.0


@pytest.mark.parametrize(
    ("count", "width"), [(255, 1), (256, 2), (65_535, 2), (65_536, 4), (2**32 - 1, 4), (2**32, 8), (2**63, 8)]
)
def test_the_counts_take_the_narrowest_width_that_fits(count: int, width: int) -> None:
    histogram = Histogram()
    histogram.buckets = {-1: count, 5: 1}
    histogram.count = count + 1
    stored = histogram.to_bytes()
    assert len(stored) == 6 + 1 + 2 * width
    assert stored_and_read(histogram).buckets == histogram.buckets


def test_keys_far_apart_take_a_wider_gap() -> None:
    histogram = of([0.0, 1.0, 1e300])
    assert stored_and_read(histogram).buckets == histogram.buckets


def test_the_size_is_bounded_whatever_is_recorded() -> None:
    # A microsecond to a day in 6,000 steps, each value often: what a busy series holds at the most.
    histogram = Histogram()
    for n in range(6_000):
        histogram.add(86_400e6 ** (n / 6_000))
    for key in histogram.buckets:
        histogram.buckets[key] += 1_000
    assert len(histogram.buckets) <= 670
    assert len(histogram.to_bytes()) <= 6 + 670 * 3


def test_a_typical_one_takes_few_bytes() -> None:
    histogram = of([10_000 * (1 + (n % 100) / 25) for n in range(1_000)])
    assert len(histogram.to_bytes()) < 120


def row_of(histogram: Histogram) -> Row:
    return histogram.count, histogram.sum, histogram.min, histogram.max, histogram.to_bytes()


@given(st.lists(lists, max_size=8), lists)
def test_many_rows_at_once_come_to_the_same_as_one_by_one(rows: list[list[float]], held: list[float]) -> None:
    at_once, one_by_one = of(held), of(held)
    at_once.merge_rows(row_of(of(values)) for values in rows)
    for values in rows:
        one_by_one.merge_stored(*row_of(of(values)))
    assert everything(at_once) == everything(one_by_one)


@pytest.mark.parametrize("count", [1, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32, 2**40])
def test_rows_without_gaps_are_added_up_whatever_their_widths(count: int) -> None:
    full = of([float(value) for value in range(300)])
    full.buckets = {key: count - key % 2 for key in full.buckets}
    full.buckets = {key: value for key, value in full.buckets.items() if value}
    merged = of([3.0])
    merged.merge_rows([row_of(full)] * 3)
    expected = of([3.0])
    for _ in range(3):
        expected.merge(full)
    assert everything(merged) == everything(expected)
    assert 0 not in merged.buckets.values()


@pytest.mark.parametrize("version", [0, VERSION + 1, 255])
def test_another_version_is_refused_and_the_histogram_left_as_it_was(version: int) -> None:
    stored = bytes([version]) + of([1, 2]).to_bytes()[1:]
    histogram = of([5])
    with pytest.raises(ValueError, match="upgrade"):
        histogram.merge_stored(2, 3.0, 1.0, 2.0, stored)
    assert everything(histogram) == everything(of([5]))


@pytest.mark.parametrize("cut", [1, 5, 7])
def test_what_was_cut_off_is_refused(cut: int) -> None:
    with pytest.raises(struct.error):
        Histogram.from_bytes(of([1, 50, 900]).to_bytes()[:cut], 3, 951.0, 1.0, 900.0)
