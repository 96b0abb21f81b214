"""The channel of a host: what one end says, the other reads, whatever happens to the files between them."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from math import inf
from pathlib import Path

import pytest
from django.test import override_settings

from perfsuite.caching.coherence import host
from perfsuite.caching.coherence.host import ChannelUnusable, HostChannel, channel_name, run_folder

Pair = tuple[HostChannel, HostChannel]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "run"
    made.mkdir(mode=0o700)
    return made


@pytest.fixture
def pair(folder: Path) -> Iterator[Pair]:
    """Two ends in one process: what separates them is only what they have open."""
    here, there = HostChannel("cache", str(folder)), HostChannel("cache", str(folder))
    yield here, there
    here.close()
    there.close()


def heard(channel: HostChannel) -> list[tuple[str, str]] | None:
    messages = channel.read()
    return None if messages is None else [(each.op, each.key) for each in messages if not each.mine]


def test_what_one_end_says_moves_the_counter_and_the_other_reads_it_once(pair: Pair) -> None:
    here, there = pair
    before = there.counter[0]
    here.publish("S", "key", 0xABC, 12.5)
    assert there.counter[0] != before
    (message,) = there.read() or ()
    assert (message.op, message.mine, message.key, message.digest, message.expires) == (
        "S",
        False,
        "key",
        0xABC,
        12.5,
    )
    assert there.read() == []


def test_an_end_knows_its_own_messages(pair: Pair) -> None:
    here, there = pair
    there.publish("D", "other")
    here.publish("D", "own")
    assert [(each.key, each.mine) for each in here.read() or ()] == [("other", False), ("own", True)]


def test_who_has_nothing_to_read_but_its_own_need_not_read(pair: Pair) -> None:
    here, there = pair
    assert here.publish("D", "first") == here.counter[0]
    there.publish("D", "between")
    assert here.publish("D", "second") is None
    assert heard(here) == [("D", "between")]


@pytest.mark.parametrize(
    "key", ["a b", "two\nlines", "back\\slash", "\\n", "ends\\", "頁 ü", "\udcff", "x" * 10_000, ""]
)
def test_any_key_arrives_as_it_is(pair: Pair, key: str) -> None:
    here, there = pair
    here.publish("D", key)
    assert heard(there) == [("D", key)]


def test_a_value_for_good_is_told_as_such(pair: Pair) -> None:
    pair[0].publish("S", "k", 1, inf)
    (message,) = pair[1].read() or ()
    assert message.expires == inf


def test_the_log_is_followed_by_another_and_nothing_is_missed(
    pair: Pair, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "MAX_LOG_BYTES", 1_000)
    here, there = pair
    said = []
    for number in range(1_000):
        here.publish("D", f"k{number}")
        said.append(("D", f"k{number}"))
        if number % 50 == 49:
            assert heard(there) == said
            said = []
    assert len(list(folder.glob("*.log"))) == 1


def test_a_reader_that_is_two_logs_behind_is_told_that_it_missed_something(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "MAX_LOG_BYTES", 1_000)
    here, there = pair
    for number in range(host.LOOK_EVERY_WRITES * 3):
        here.publish("D", f"key number {number}")
    assert there.read() is None
    here.publish("D", "afterwards")
    assert heard(there) == [("D", "afterwards")]


def test_a_torn_line_reads_as_something_missed_and_what_follows_is_read(pair: Pair, folder: Path) -> None:
    here, there = pair
    (log,) = folder.glob("*.log")
    with log.open("ab") as file:
        file.write(b"\nSdeadbeef")  # a writer was killed here
    here.publish("D", "next")
    assert there.read() is None
    here.publish("D", "after")
    assert heard(there) == [("D", "after")]


def test_half_a_line_waits_for_its_other_half(pair: Pair, folder: Path) -> None:
    here, there = pair
    here.publish("D", "whole")
    (log,) = folder.glob("*.log")
    line = log.read_bytes().replace(b"whole", b"halved")
    with log.open("ab") as file:
        file.write(line[:20])
        file.flush()
        assert heard(there) == [("D", "whole")]
        file.write(line[20:])
    assert heard(there) == [("D", "halved")]


def test_a_log_that_cannot_be_written_makes_the_others_forget_everything(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = pair

    def full(*args: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    before = there.counter[0]
    here.publish("D", "lost")
    monkeypatch.undo()
    assert there.counter[0] != before
    assert there.read() is None
    here.publish("D", "next")
    assert heard(there) == [("D", "next")]


def test_files_that_somebody_removed_are_noticed_within_a_second(pair: Pair, folder: Path) -> None:
    here, there = pair
    for file in folder.iterdir():
        file.unlink()
    soon = time.time() + host.LOOK_EVERY_S
    assert not here.is_current(soon)
    assert not there.is_current(soon)
    here.publish("D", "met again")
    assert heard(there) == [("D", "met again")]
    assert here.is_current(soon + host.LOOK_EVERY_S)


def test_a_process_that_is_alone_knows_it_until_another_arrives(folder: Path) -> None:
    here = HostChannel("cache", str(folder))
    assert here.is_alone()
    there = HostChannel("cache", str(folder))
    assert not here.is_alone()
    assert not there.is_alone()
    there.close()
    assert here.is_current(time.time() + host.LOOK_EVERY_S)
    assert here.is_alone()
    here.close()


def test_two_that_look_at_the_same_time_do_not_both_find_themselves_alone(pair: Pair) -> None:
    for _ in range(50):
        now = time.time() + host.LOOK_EVERY_S
        for channel in pair:
            channel._looked_at = 0.0
            channel.is_current(now)
            assert not channel.is_alone()


def test_a_child_has_another_name_than_its_parent_and_neither_is_alone(folder: Path) -> None:
    here = HostChannel("cache", str(folder))
    read, write = os.pipe()
    child = os.fork()
    if not child:
        here.after_fork()
        os.write(write, b"alone" if here.is_alone() else b"child")
        here.publish("D", "from the child")
        os._exit(0)
    assert os.read(read, 100) == b"child"
    os.waitpid(child, 0)
    assert heard(here) == [("D", "from the child")]
    os.close(read)
    os.close(write)
    here.close()


def test_another_process_hears_it(folder: Path) -> None:
    here = HostChannel("cache", str(folder))
    code = (
        "from perfsuite.caching.coherence.host import HostChannel\n"
        f"HostChannel('cache', {str(folder)!r}).publish('T', 'pages')"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    assert heard(here) == [("T", "pages")]
    here.close()


def test_the_files_are_for_this_user_alone(pair: Pair, folder: Path) -> None:
    for file in folder.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_the_folder_is_made_for_this_user_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    made = run_folder()
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    made.chmod(0o755)
    with pytest.raises(ChannelUnusable, match="not a folder of this user's alone"):
        run_folder()


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ChannelUnusable, match="file"):
        HostChannel("cache", str(tmp_path / "file" / "below"))
    with pytest.raises(ChannelUnusable):
        HostChannel("cache", str(tmp_path / "file"))


def test_the_name_of_a_cache_keeps_projects_apart_and_is_readable() -> None:
    with override_settings(SECRET_KEY="one"):
        one, again, other = channel_name("my cache/x"), channel_name("my cache/x"), channel_name("else")
    with override_settings(SECRET_KEY="two"):
        elsewhere = channel_name("my cache/x")
    assert one.startswith("my-cache-x-")
    assert one == again
    assert len({one, other, elsewhere}) == 3


def test_a_line_that_came_just_before_the_next_log_is_read(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = pair
    read_on = there._read_on

    def reads_and_then_is_slow() -> object:
        found = read_on()
        monkeypatch.undo()
        here.publish("D", "late")
        here._begin_next_log()
        return found

    here.publish("D", "first")
    monkeypatch.setattr(there, "_read_on", reads_and_then_is_slow)
    assert heard(there) == [("D", "first"), ("D", "late")]


def test_the_workers_of_a_parallel_test_run_do_not_hear_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {channel_name("cache")}
    for worker in ("gw0", "gw1"):
        monkeypatch.setenv("PYTEST_XDIST_WORKER", worker)
        names.add(channel_name("cache"))
    monkeypatch.delenv("PYTEST_XDIST_WORKER")
    monkeypatch.setattr("django.test.runner._worker_id", 2)
    names.add(channel_name("cache"))
    assert len(names) == 4
