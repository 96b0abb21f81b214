"""The recorder: exact under threads, bounded whatever the site does, and never in the site's way."""

from __future__ import annotations

import gc
import math
import os
import sys
import threading
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import override_settings

from perfsuite.metrics import guard, kinds
from perfsuite.metrics import recorder as recorder_module
from perfsuite.metrics.histogram import Counter, Histogram
from perfsuite.metrics.kinds import OTHER, Kind
from perfsuite.metrics.recorder import FORGET_S, Recorder
from tests.metrics.conftest import Clock

# Python 3.12 warns of what these tests are about.
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")

TIMING = "test.recorder.timing"
VOLUME = "test.recorder.volume"
SINGLE = "test.recorder.single"
WIDE = "test.recorder.wide"


@pytest.fixture(autouse=True)
def _own_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinds, "_kinds", dict(kinds._kinds))
    kinds.declare(Kind(TIMING, "us", ("route", "status"), cap=3))
    kinds.declare(Kind(VOLUME, "bytes", ("route",), cap=3, percentiles=False))
    kinds.declare(Kind(SINGLE, "us", (), cap=1))
    kinds.declare(Kind(WIDE, "us", ("route",), cap=300))


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


def counts(taken: dict[tuple[str, tuple[str, ...]], Counter]) -> dict[tuple[str, ...], int]:
    return {(kind, *labels): counter.count for (kind, labels), counter in taken.items()}


class Over:
    """Something that is over and comes to one value."""

    asked = 0

    @classmethod
    def observations_of(cls, finished: list[Any]) -> list[Any]:
        cls.asked += 1
        return [(SINGLE, (), [1.0] * len(finished))]


class Broken:
    """Something whose summing up fails."""

    @staticmethod
    def observations_of(finished: list[Any]) -> list[Any]:
        raise RuntimeError("broken")


def test_what_is_over_is_worked_out_together_and_a_failure_costs_only_its_own(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Over, "asked", 0)
    for finished in (Over(), Broken(), Over(), Broken(), Over()):
        recorder.observe_later(finished, 1)
    assert Over.asked == 0
    taken = recorder.take()
    assert counts(taken) == {(SINGLE,): 3, ("self.failures", "recorder"): 1}
    assert Over.asked == 1


def test_values_are_kept_by_kind_and_labels(recorder: Recorder) -> None:
    recorder.observe(TIMING, ("/a/", "2xx"), 10)
    recorder.observe(TIMING, ("/a/", "2xx"), 30)
    recorder.observe(TIMING, ("/a/", "5xx"), 99)
    recorder.observe(SINGLE, (), 7)
    taken = recorder.take()
    assert counts(taken) == {(TIMING, "/a/", "2xx"): 2, (TIMING, "/a/", "5xx"): 1, (SINGLE,): 1}
    assert taken[TIMING, ("/a/", "2xx")].sum == 40


def test_a_kind_without_percentiles_keeps_no_buckets(recorder: Recorder) -> None:
    recorder.observe(TIMING, ("/a/", "2xx"), 10)
    recorder.observe(VOLUME, ("/a/",), 10)
    taken = recorder.take()
    assert type(taken[TIMING, ("/a/", "2xx")]) is Histogram
    assert type(taken[VOLUME, ("/a/",)]) is Counter


def test_many_values_are_added_at_once_from_any_iterable(recorder: Recorder) -> None:
    recorder.observe_many([(TIMING, ("/a/", "2xx"), 1.0), (VOLUME, ("/a/",), 2.0)])
    recorder.observe_many((TIMING, ("/a/", "2xx"), float(n)) for n in range(100))
    recorder.observe_many(())
    assert counts(recorder.take()) == {(TIMING, "/a/", "2xx"): 101, (VOLUME, "/a/"): 1}


def test_several_values_of_one_series_are_given_as_a_list(recorder: Recorder) -> None:
    recorder.observe_many([(TIMING, ("/a/", "2xx"), [1.0, 2.0, 4.0])])
    counter = recorder.take()[TIMING, ("/a/", "2xx")]
    assert (counter.count, counter.sum, counter.min, counter.max) == (3, 7.0, 1.0, 4.0)


def test_what_was_taken_is_taken_once(recorder: Recorder) -> None:
    recorder.observe(SINGLE, (), 1)
    assert counts(recorder.take()) == {(SINGLE,): 1}
    assert recorder.take() == {}
    recorder.observe(SINGLE, (), 1)
    recorder.observe(SINGLE, (), 1)
    assert counts(recorder.take()) == {(SINGLE,): 2}


@pytest.mark.parametrize(
    ("kind", "labels", "value"),
    [
        ("test.recorder.undeclared", (), 1.0),
        (TIMING, (), 1.0),
        (TIMING, ("/a/",), 1.0),
        (TIMING, ("/a/", "2xx", "more"), 1.0),
        (TIMING, ("/a/", ["2xx"]), 1.0),
        (TIMING, None, 1.0),
        (SINGLE, (), math.nan),
        (SINGLE, (), math.inf),
        (SINGLE, (), "fast"),
        (SINGLE, (), None),
        (VOLUME, ("/a/",), math.nan),
        (VOLUME, ("/a/",), math.inf),
        (None, (), 1.0),
    ],
)
def test_a_senseless_value_never_raises_and_is_counted_as_a_failure(
    recorder: Recorder, kind: Any, labels: Any, value: Any
) -> None:
    recorder.observe(kind, labels, value)
    recorder.observe(SINGLE, (), 5)
    taken = recorder.take()
    assert taken[SINGLE, ()].sum == 5
    assert taken[kinds.SELF_FAILURES.name, ("recorder",)].sum == 1
    assert not any(math.isnan(counter.sum) or math.isinf(counter.sum) for counter in taken.values())


def test_an_iterable_that_fails_never_raises(recorder: Recorder) -> None:
    def broken() -> Iterator[tuple[str, tuple[str, ...], float]]:
        yield SINGLE, (), 1.0
        raise RuntimeError("broken iterable")

    recorder.observe_many(broken())
    recorder.observe_many(None)  # type: ignore[arg-type]
    assert recorder.take()[kinds.SELF_FAILURES.name, ("recorder",)].sum == 2


@override_settings(PERFSUITE={"METRICS": {"HOOK_FAILURE_LIMIT": 2}})
def test_one_caller_s_mistakes_do_not_switch_the_recorder_off(recorder: Recorder) -> None:
    for _ in range(10):
        recorder.observe("test.recorder.undeclared", (), 1)
    recorder.observe(SINGLE, (), 5)
    assert recorder.take()[SINGLE, ()].count == 1
    assert recorder.disabled_hooks == {}


def test_hooks_that_are_off_are_named_by_the_recorder(recorder: Recorder) -> None:
    hook = guard.Guard("test.hook")
    for _ in range(10):
        hook.failed(RuntimeError())
    assert "test.hook" in recorder.disabled_hooks
    hook.reset()


# Caps


def test_beyond_the_cap_values_fold_into_other_and_are_counted(recorder: Recorder) -> None:
    for n in range(10):
        recorder.observe(VOLUME, (f"/{n}/",), 5)
    recorder.observe_many([(VOLUME, ("/11/",), [1.0, 2.0])])
    recorder.observe(VOLUME, ("/1/",), 5)
    taken = recorder.take()
    assert counts(taken) == {
        (VOLUME, "/0/"): 1,
        (VOLUME, "/1/"): 2,
        (VOLUME, "/2/"): 1,
        (VOLUME, OTHER): 9,
        (kinds.SELF_FOLDED.name, VOLUME): taken[kinds.SELF_FOLDED.name, (VOLUME,)].count,
    }
    assert taken[kinds.SELF_FOLDED.name, (VOLUME,)].sum == 9
    assert sum(counter.count for (kind, _), counter in taken.items() if kind == VOLUME) == 13


def test_every_label_of_a_folded_series_is_other(recorder: Recorder) -> None:
    for n in range(5):
        recorder.observe(TIMING, (f"/{n}/", "2xx"), 5)
    assert recorder.take()[TIMING, (OTHER, OTHER)].count == 2


def test_the_cap_holds_over_flushes(recorder: Recorder) -> None:
    for n in range(5):
        recorder.observe(VOLUME, (f"/{n}/",), 5)
        recorder.take()
    recorder.observe(VOLUME, ("/9/",), 5)
    recorder.observe(VOLUME, ("/1/",), 5)
    taken = recorder.take()
    assert taken[VOLUME, (OTHER,)].count == 1
    assert taken[VOLUME, ("/1/",)].count == 1


def test_after_an_hour_a_full_kind_gets_a_fresh_start(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, "perfsuite.metrics.recorder")
    recorder = Recorder()
    for n in range(4):
        recorder.observe(VOLUME, (f"/{n}/",), 5)
    clock.move(FORGET_S - 1)
    recorder.take()
    recorder.observe(VOLUME, ("/new/",), 5)
    assert (VOLUME, (OTHER,)) in recorder.take()
    clock.move(1)
    recorder.take()
    recorder.observe(VOLUME, ("/new/",), 5)
    assert (VOLUME, ("/new/",)) in recorder.take()


@pytest.mark.alike
def test_a_hundred_thousand_different_labels_stay_within_the_cap(recorder: Recorder) -> None:
    for n in range(100_000):
        recorder.observe(WIDE, (f"/{n}/",), n)
    taken = recorder.take()
    series = [labels for kind, labels in taken if kind == WIDE]
    assert len(series) == 301
    assert sum(counter.count for (kind, _), counter in taken.items() if kind == WIDE) == 100_000
    assert taken[kinds.SELF_FOLDED.name, (WIDE,)].sum == 100_000 - 300


@pytest.mark.alike
def test_memory_is_flat_however_much_is_recorded(recorder: Recorder) -> None:
    def record(times: int) -> None:
        for n in range(times):
            recorder.observe_many(
                ((WIDE, (f"/{n % 250}/",), n % 5_000), (VOLUME, ("/a/",), n), (SINGLE, (), n % 900))
            )

    tracemalloc.start()
    try:
        record(30_000)
        gc.collect()
        after_some, _ = tracemalloc.get_traced_memory()
        record(60_000)
        gc.collect()
        after_many, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after_many - after_some < 500_000
    assert peak < 10_000_000


# Threads


@pytest.fixture
def _switching_often() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("_switching_often")
@pytest.mark.alike
def test_eight_threads_lose_nothing_while_a_ninth_takes(recorder: Recorder) -> None:
    times, threads = 20_000, 8
    taken: list[dict[tuple[str, tuple[str, ...]], Counter]] = []
    backlog = rounds = 0
    begin = threading.Barrier(threads)

    def add(name: str) -> None:
        begin.wait()
        for n in range(times):
            recorder.observe_many(((SINGLE, (), 1.0), (WIDE, (name,), n)))

    workers = [threading.Thread(target=add, args=(f"/{n}/",)) for n in range(threads)]
    for worker in workers:
        worker.start()
    while any(worker.is_alive() for worker in workers):
        backlog = max(backlog, len(recorder._waiting))
        rounds += 1
        if rounds % 5 == 0:
            taken.append(recorder.take())
        workers[0].join(0.01)
    taken.append(recorder.take())
    assert sum(each[SINGLE, ()].count for each in taken if (SINGLE, ()) in each) == times * threads
    for n in range(threads):
        own = [each[WIDE, (f"/{n}/",)] for each in taken if (WIDE, (f"/{n}/",)) in each]
        assert sum(counter.count for counter in own) == times
        assert sum(counter.sum for counter in own) == sum(range(times))
    # Threads that add faster than one of them adds up must not pile up what waits.
    assert backlog <= recorder_module.MAX_BEHIND + 2 * threads


def test_the_first_value_starts_the_flusher_once_for_many_threads() -> None:
    for _ in range(30):
        recorder, started = Recorder(), []
        recorder.on_first = lambda started=started: started.append(1)  # type: ignore[misc]
        begin = threading.Barrier(6)

        def add(recorder: Recorder = recorder, begin: threading.Barrier = begin) -> None:
            begin.wait()
            recorder.observe(SINGLE, (), 1)

        threads = [threading.Thread(target=add) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert started == [1]


def test_a_start_that_fails_does_not_reach_the_caller(recorder: Recorder) -> None:
    def broken() -> None:
        raise RuntimeError("can't start new thread")

    recorder.on_first = broken
    recorder.observe(SINGLE, (), 1)
    recorder.observe(SINGLE, (), 1)
    taken = recorder.take()
    assert taken[SINGLE, ()].count == 2
    assert taken[kinds.SELF_FAILURES.name, ("recorder",)].sum == 1


@pytest.mark.parametrize("moment", ["__ge__", "__radd__"])
def test_code_that_records_while_the_recorder_adds_up_neither_blocks_nor_loses(
    recorder: Recorder, moment: str
) -> None:
    """The garbage collector may finalize a timed generator of the host at any allocation, also inside the recorder."""

    def interrupted(value: float, other: float) -> Any:
        recorder.observe_many([(SINGLE, (), 3.0)] * 100)
        return getattr(float, moment)(value, other)

    recording = type("Recording", (float,), {moment: interrupted})

    def record() -> None:
        recorder.observe(SINGLE, (), recording(5))
        recorder.take_result = recorder.take()  # type: ignore[attr-defined]

    thread = threading.Thread(target=record, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive(), "the recorder waits for itself"
    taken = [recorder.take_result, recorder.take()]  # type: ignore[attr-defined]
    held = [each[SINGLE, ()] for each in taken if (SINGLE, ()) in each]
    assert sum(counter.count for counter in held) == 101
    assert sum(counter.sum for counter in held) == 305
    assert sum(sum(c.buckets.values()) for c in held if isinstance(c, Histogram)) == 101


# Forks


def in_a_fork(report: Any) -> str:
    """Return what ``report()`` returns in a forked child, which must end within 10 seconds."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, str(report()).encode())
        finally:
            os._exit(0)
    os.close(writer)
    try:
        ready = threading.Event()
        answer: list[bytes] = []

        def read() -> None:
            answer.append(os.read(reader, 10_000))
            ready.set()

        threading.Thread(target=read, daemon=True).start()
        if not ready.wait(10):
            os.kill(child, 9)
        return answer[0].decode() if answer else "the child hangs"
    finally:
        os.waitpid(child, 0)
        os.close(reader)


def test_a_forked_child_starts_empty_and_its_parent_keeps_what_it_had() -> None:
    shared = recorder_module.recorder
    shared.observe(SINGLE, (), 1)

    def report() -> dict[tuple[str, ...], int]:
        before = counts(shared.take())
        shared.observe(SINGLE, (), 1)
        shared.observe(SINGLE, (), 1)
        return {**before, **counts(shared.take())}

    assert in_a_fork(report) == str({(SINGLE,): 2})
    assert counts(shared.take()) == {(SINGLE,): 1}


def test_a_fork_while_another_thread_holds_the_lock_leaves_the_child_able_to_record() -> None:
    shared = recorder_module.recorder
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with shared._lock:
            held.set()
            done.wait(20)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    try:

        def report() -> int:
            shared.observe(SINGLE, (), 1)
            return shared.take()[SINGLE, ()].count

        assert in_a_fork(report) == "1"
    finally:
        done.set()
        thread.join()


def test_the_child_of_a_fork_starts_a_flusher_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = recorder_module.recorder
    started: list[int] = []
    monkeypatch.setattr(shared, "on_first", lambda: started.append(os.getpid()))
    shared.observe(SINGLE, (), 1)

    def report() -> bool:
        shared.observe(SINGLE, (), 1)
        return started == [os.getppid(), os.getpid()]

    assert in_a_fork(report) == "True"
    assert started == [os.getpid()]
