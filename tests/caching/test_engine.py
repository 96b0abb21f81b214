"""The tiers together: where entries enter, when they move up and down, and what other processes make of them."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest

from perfsuite.caching import TieredCache
from perfsuite.caching.engine import PROMOTING_HIT, reading
from tests.caching.caches import new_cache, on_host, places

KIB = 1024
SMALL = {"hot": {"MAX_BYTES": 4 * KIB}, "warm": {"MAX_BYTES": 8 * KIB}, "cold": {"MAX_BYTES": 64 * KIB}}
VALUE = "x" * KIB


def end_stay(cache: TieredCache, key: str) -> None:
    """Let an entry have stayed in its tier as long as it may."""
    held = cache.engine.held(cache.make_key(key))
    assert held is not None
    held.leaves = time.time() - 1


def test_a_new_entry_enters_warm_and_its_second_hit_there_takes_it_up() -> None:
    cache = new_cache()
    cache.set("k", [1])
    assert places(cache, "k") == ["warm"]
    for _ in range(PROMOTING_HIT - 1):
        assert cache.get("k") == [1]
        assert places(cache, "k") == ["warm"]
    assert cache.get("k") == [1]
    assert places(cache, "k") == ["hot"]
    assert cache.get("k") == [1]
    hot, warm, _ = cache.engine.tiers
    assert (reading(hot.hits), reading(warm.hits), warm.promotions) == (1, 2, 1)


@pytest.mark.parametrize("tier", ["hot", "warm", "cold"])
def test_a_hint_chooses_the_tier(tier: str) -> None:
    cache = new_cache()
    cache.set("k", 1, tier=tier)
    assert places(cache, "k") == [tier]
    cache.get_or_set("computed", lambda: 2, tier=tier)
    assert places(cache, "computed") == [tier]


def test_a_hint_for_a_tier_that_is_not_there_takes_the_nearest() -> None:
    cache = new_cache(TIERS=[{"MAX_BYTES": KIB * KIB}])
    for tier in ("hot", "warm", "cold"):
        cache.set("k", tier, tier=tier)
        assert cache.get("k") == tier


def test_what_has_to_leave_a_tier_moves_down_and_is_found_there() -> None:
    cache = new_cache(TIERS=SMALL)
    for number in range(20):
        cache.set(f"k{number}", f"{number}{VALUE}")
    assert places(cache, "k19") == ["warm"]
    assert places(cache, "k0") == ["cold"]
    assert cache.get("k0") == f"0{VALUE}"
    assert cache.get("k0") == f"0{VALUE}"
    assert places(cache, "k0") == ["warm"]


def test_a_victim_of_hot_is_not_lost() -> None:
    cache = new_cache(TIERS=SMALL)
    for number in range(6):
        cache.set(f"k{number}", VALUE, tier="hot")
    assert places(cache, "k0") == ["warm"]
    assert places(cache, "k5") == ["hot"]


def test_what_is_too_large_for_a_tier_goes_to_the_next_and_for_all_is_not_stored() -> None:
    cache = new_cache(TIERS=SMALL)
    cache.set("k", random.Random(1).randbytes(20 * KIB))
    assert places(cache, "k") == ["cold"]
    cache.set("k", random.Random(1).randbytes(100 * KIB))
    assert cache.get("k") is None


def test_an_entry_whose_time_in_a_tier_is_over_is_a_hit_of_the_next() -> None:
    cache = new_cache()
    cache.set("k", [1], timeout=None, tier="hot")
    for tier in ("warm", "cold"):
        end_stay(cache, "k")
        assert cache.get("k") == [1]
        assert places(cache, "k") == [tier]
    end_stay(cache, "k")
    assert cache.get("k") is None
    assert places(cache, "k") == []


def test_expired_bytes_are_reclaimed_by_those_who_store() -> None:
    cache = new_cache()
    for number in range(200):
        cache.set(f"old{number}", VALUE, timeout=0.001)
    time.sleep(0.002)
    for number in range(400):
        cache.set(f"new{number}", 1)
    assert not [key for tier in cache.engine.tiers for key in tier.entries if "old" in key]


def test_a_mutated_result_does_not_change_what_is_cached() -> None:
    cache = new_cache()
    value = {"list": [1]}
    cache.set("k", value)
    value["list"].append(2)
    for _ in range(4):
        found = cache.get("k")
        assert found == {"list": [1]}
        found["list"].append(3)


def test_an_entry_is_in_one_tier_at_most_whatever_happens() -> None:
    cache, chance = new_cache(TIERS=SMALL), random.Random(4)
    truth: dict[str, str] = {}
    for _ in range(5_000):
        key, how = f"k{chance.randrange(60)}", chance.random()
        if how < 0.4:
            truth[key] = chance.choice("abc") * chance.randrange(3_000)
            cache.set(key, truth[key], tier=chance.choice([None, "hot", "warm", "cold"]))
        elif how < 0.5:
            cache.delete(key)
            truth.pop(key, None)
        else:
            assert cache.get(key) in (truth.get(key), None)
    engine = cache.engine
    held = [key for tier in engine.tiers for key in tier.entries]
    assert len(held) == len(set(held))
    for tier in engine.tiers:
        assert tier.bytes == sum(entry.size for entry in tier.entries.values()) <= tier.max_bytes


# Two caches of one name and other options are two processes' ends of one channel, as far as they can tell.


def pair(folder: Path) -> tuple[TieredCache, TieredCache]:
    return on_host(folder), on_host(folder, WAIT=4.5)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def test_a_set_a_delete_and_a_clear_are_seen_at_the_next_read(folder: Path) -> None:
    here, there = pair(folder)
    there.set("k", "old")
    here.set("k", "new")
    assert there.get("k") is None
    there.set("k", "newer")
    here.delete("k")
    assert there.get("k") is None
    there.set_many({"a": 1, "b": 2})
    here.clear()
    assert there.get_many(["a", "b"]) == {}


def test_a_copy_of_the_very_value_that_was_set_stays_with_its_new_time(folder: Path) -> None:
    here, there = pair(folder)
    there.set("k", ["same"], timeout=1_000)
    here.set("k", ["same"], timeout=50)
    assert there.get("k") == ["same"]
    held = there.engine.held(there.make_key("k"))
    assert held is not None
    assert held.expires - time.time() < 51


def test_who_sets_last_keeps_its_value(folder: Path) -> None:
    here, there = pair(folder)
    here.set("k", "first")
    there.set("k", "last")
    assert there.get("k") == "last"
    assert here.get("k") is None


def test_an_invalidated_tag_is_seen_at_the_next_read(folder: Path) -> None:
    here, there = pair(folder)
    there.set("k", 1, tags=["pages"])
    there.set("other", 2, tags=["leads"])
    here.invalidate_tags("pages")
    assert there.get("k") is None
    assert there.get("other") == 2


def test_what_was_computed_says_nothing_of_what_others_hold(folder: Path) -> None:
    here, there = pair(folder)
    assert here.get_or_set("k", lambda: "here's") == "here's"
    assert there.get_or_set("k", lambda: "there's") == "there's"
    assert (here.get("k"), there.get("k")) == ("here's", "there's")


def test_a_process_that_missed_messages_forgets_everything(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perfsuite.caching.coherence.host.MAX_LOG_BYTES", 500)
    here, there = pair(folder)
    there.set("k", 1, tags=["t"])
    for number in range(500):
        here.delete(f"key-number-{number}")
    assert there.get("k") is None
    there.set("k", 2, tags=["t"])
    assert there.get("k") == 2


def test_without_a_usable_folder_the_cache_works_for_itself(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    cache = TieredCache("alone", {"OPTIONS": {"RUN_DIR": str(tmp_path / "file" / "x")}})
    cache.set("k", 1)
    assert cache.get("k") == 1
    assert "runs without its channel" in caplog.text


def test_a_child_process_goes_on_with_what_its_parent_had(folder: Path) -> None:
    here, _ = pair(folder)
    here.set("k", "parent's")
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.write(write, str(here.get("k")).encode())
        here.set("k", "child's")
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 100) == b"parent's"
    assert here.get("k") is None
    os.close(read)
    os.close(write)


def test_a_child_made_while_another_thread_changes_the_cache_is_not_stuck() -> None:
    cache = new_cache()
    cache.set("k", 1)
    import threading

    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with cache.engine.lock:
            held.set()
            done.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(30)
    child = os.fork()
    if not child:
        cache.set("k", 2)
        os._exit(0 if cache.get("k") == 2 else 1)
    _, status = os.waitpid(child, 0)
    done.set()
    thread.join()
    assert status == 0
