"""A tier in memory: bytes, order, and what goes."""

from __future__ import annotations

import random
import threading

import hypothesis.strategies as st
import pytest
from hypothesis import given

from perfsuite.caching.entry import RAW, Entry
from perfsuite.caching.tiers.memory import MemoryTier, TierOptions

NOW = 1_000.0


def tier(max_bytes: int = 10_000, ttl_s: float | None = None, above: int | None = None) -> MemoryTier:
    return MemoryTier(TierOptions("warm", max_bytes, ttl_s, above))


def entry(payload: object = "x", expires: float = NOW + 100, stale_for: float = 0.0) -> Entry:
    made = Entry(payload, RAW, NOW, expires)
    made.stale_for = stale_for
    return made


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 3_000), st.booleans()), max_size=60))
def test_the_bytes_are_those_of_what_is_held_and_never_above_the_budget(
    steps: list[tuple[str, int, bool]],
) -> None:
    here = tier(5_000)
    for key, length, take in steps:
        here.pop(key)
        if not take:
            here.put(key, entry("x" * length), NOW)
        assert here.bytes == sum(each.size for each in here.entries.values()) <= 5_000


def test_the_least_recently_used_go_first_and_are_returned_in_that_order() -> None:
    here = tier()
    names = [f"k{number}" for number in range(4)]
    for name in names:
        here.put(name, entry("x" * 1_000), NOW)
    here.entries.move_to_end("k0")
    gone = here.put("big", entry("x" * 7_000), NOW)
    assert gone is not None
    assert [key for key, _ in gone] == ["k1", "k2", "k3"]
    assert list(here.entries) == ["k0", "big"]
    assert here.by_bytes == 3


def test_what_is_larger_than_the_tier_is_refused_and_evicts_nothing() -> None:
    here = tier(2_000)
    here.put("small", entry(), NOW)
    assert here.put("large", entry("x" * 2_000), NOW) is None
    assert list(here.entries) == ["small"]
    assert here.rejected == 1


def test_a_tier_of_no_bytes_holds_nothing() -> None:
    assert tier(0).put("any", entry(), NOW) is None


@pytest.mark.parametrize(
    ("ttl_s", "expires", "leaves"),
    [(10, NOW + 100, NOW + 10), (1_000, NOW + 100, NOW + 100), (None, NOW + 7, NOW + 7)],
)
def test_an_entry_leaves_at_the_end_of_the_tiers_time_or_of_its_own(
    ttl_s: float | None, expires: float, leaves: float
) -> None:
    held = entry(expires=expires)
    tier(ttl_s=ttl_s).put("k", held, NOW)
    assert held.leaves == leaves


def test_a_sweep_drops_what_is_of_no_more_use_and_returns_what_has_stayed_its_time() -> None:
    here = tier(100_000, ttl_s=10)
    here.put("expired", entry(expires=NOW + 5), NOW)
    here.put("stale", entry(expires=NOW + 5, stale_for=100), NOW)
    here.put("stayed", entry(), NOW)
    later = NOW + 20
    here.put("new", entry(expires=later + 50), later)
    moved = here.sweep(later) + here.sweep(later)
    assert [key for key, _ in moved] == ["stayed"]
    assert list(here.entries) == ["stale", "new"]
    assert here.by_expiry == 1
    assert here.bytes == sum(each.size for each in here.entries.values())


def test_sweeping_a_full_tier_of_expired_entries_reclaims_all_their_bytes() -> None:
    here = tier(1_000_000)
    for number in range(500):
        here.put(f"k{number}", entry(expires=NOW + 1), NOW)
    for _ in range(40):
        here.sweep(NOW + 2)
    assert here.bytes == 0
    assert not here.entries


def test_what_compresses_well_is_held_compressed_and_comes_out_as_it_was() -> None:
    here = tier(100_000, above=100)
    text = "all work and no play " * 500
    here.put("text", entry(text), NOW)
    assert here.bytes < len(text) / 2
    assert here.entries["text"].value() == text
    back = here.take_up("text")
    assert back is not None
    assert back.payload == text
    assert here.promotions == 1


def test_what_does_not_compress_is_held_as_it_is() -> None:
    here = tier(100_000, above=100)
    noise = random.Random(1).randbytes(2_000)
    here.put("noise", entry(noise), NOW)
    assert here.entries["noise"].payload is noise


def test_hits_of_many_threads_are_all_counted() -> None:
    here = tier()

    def hit() -> None:
        for _ in range(20_000):
            next(here.hits)

    threads = [threading.Thread(target=hit) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert next(here.hits) == 160_000
