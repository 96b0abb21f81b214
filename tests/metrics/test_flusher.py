"""The flusher: everything measured reaches the store once, whatever happens to the store, the process or the clock."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings

from perfsuite.exceptions import StoreUnavailable
from perfsuite.metrics import compaction, flush, kinds, leader
from perfsuite.metrics.conf import MetricsSettings
from perfsuite.metrics.flusher import MAX_AGE_S, MAX_REFUSALS, Batch, close_store, flusher, in_test_run
from perfsuite.metrics.identity import describe
from perfsuite.metrics.kinds import Kind
from perfsuite.metrics.models import Bucket, Series
from perfsuite.metrics.recorder import recorder
from perfsuite.metrics.storages import get_storage
from perfsuite.metrics.storages.alias import store_alias
from perfsuite.metrics.storages.orm import ORMStorage
from tests.metrics.conftest import Clock, run_host, start_host
from tests.metrics.rows import VOLUME, labels_of, stored

pytestmark = pytest.mark.django_db(databases="__all__")

STATUS = "requests.status"
AWAY = {"METRICS": {"DATABASE": "away", "MAX_PENDING_ROWS": 100}}


@pytest.fixture(autouse=True)
def _own_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinds, "_kinds", dict(kinds._kinds))


def rows() -> list[Bucket]:
    found = Bucket.objects.using(store_alias()).order_by("start")
    return [row for row in found if not row.kind.startswith("self.")]


def messages(caplog: pytest.LogCaptureFixture) -> list[tuple[int, str]]:
    return [(r.levelno, r.getMessage()) for r in caplog.records if r.name == "perfsuite.metrics"]


class UnknownOutcome(ORMStorage):
    """Loses its connection after the commit, as often as ``times``."""

    times = 0

    def append(self, rows: Any, again: bool = False) -> None:
        super().append(rows, again=again)
        if type(self).times:
            type(self).times -= 1
            raise StoreUnavailable("The connection was lost.")


# Writing


def test_what_was_recorded_is_in_the_store_after_a_flush() -> None:
    before = int(time.time())
    for value in (100, 200, 400):
        recorder.observe(STATUS, ("2xx",), value)
    recorder.observe(STATUS, ("5xx",), 800)
    assert flush()
    by_labels = {labels_of(row.series): row for row in rows()}
    assert by_labels.keys() == {("2xx",), ("5xx",)}
    row = by_labels["2xx",]
    assert (row.resolution, row.kind, row.count, row.sum, row.min, row.max) == (10, STATUS, 3, 700, 100, 400)
    assert before - before % 10 <= row.start <= time.time()
    assert row.start % 10 == 0
    assert stored(10, STATUS).quantile(1.0) == pytest.approx(800, rel=0.02)


def test_a_flush_of_nothing_writes_nothing() -> None:
    assert flush()
    assert rows() == []


def test_values_recorded_after_a_flush_are_rows_of_their_own() -> None:
    for n in range(3):
        recorder.observe(STATUS, ("2xx",), n)
        assert flush()
    assert [row.count for row in rows()] == [1, 1, 1]
    assert Series.objects.using(store_alias()).filter(kind=STATUS).count() == 1


def test_the_flush_measures_itself_but_an_idle_process_writes_nothing_more() -> None:
    recorder.observe(STATUS, ("2xx",), 1)
    assert flush()
    assert flush()
    measured = stored(10, kinds.SELF_FLUSH.name)
    assert measured.count == 1
    assert 0 < measured.max < 60e6
    total = Bucket.objects.using(store_alias()).count()
    assert flush()
    assert Bucket.objects.using(store_alias()).count() == total


def test_a_value_that_was_refused_leaves_no_row() -> None:
    recorder.observe(STATUS, ("2xx",), float("nan"))
    assert flush()
    assert rows() == []
    assert stored(10, kinds.SELF_FAILURES.name).sum == 1


@pytest.mark.parametrize(
    "label",
    [
        "",
        "é ü 漢 🎉",
        "nul \x00 in it",
        "half a pair \ud83c",
        'quote " \\ and\nline',
        "x" * 5_000,
        "<script>",
    ],
)
def test_any_text_in_a_label_is_stored_and_read_back(label: str) -> None:
    recorder.observe(VOLUME.name, (label,), 1)
    assert flush()
    (row,) = rows()
    assert labels_of(row.series) == (label,)


def test_labels_that_are_no_text_are_stored_as_their_text() -> None:
    odd: Any = (b"bytes",)
    recorder.observe(VOLUME.name, odd, 1)
    recorder.observe(STATUS, ("2xx",), 1)
    assert flush()
    assert sorted(labels_of(row.series)[0] for row in rows()) == ["2xx", "b'bytes'"]


def test_a_label_that_cannot_be_written_at_all_costs_its_flush_and_not_the_next(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken:
        def __str__(self) -> str:
            raise RuntimeError("no text")

    broken: Any = (Broken(),)
    recorder.observe(VOLUME.name, broken, 1)
    flush()
    recorder.observe(STATUS, ("2xx",), 1)
    assert flush()
    assert [row.kind for row in rows()] == [STATUS]
    assert any(level == logging.ERROR for level, _ in messages(caplog))


def test_series_of_different_kinds_or_labels_have_different_ids() -> None:
    described = [
        describe("a", ("b", "c")),
        describe("a", ("b,c",)),
        describe("a", ("b",)),
        describe("b", ("b", "c")),
    ]
    assert len({row.id for row in described}) == 4
    assert describe("a", ("b",)) == describe("a", ("b",))
    assert all(len(row.id) == 16 for row in described)


def test_two_processes_write_rows_of_their_own_for_one_series() -> None:
    recorder.observe(STATUS, ("2xx",), 1)
    assert flush()
    flusher._reset()  # as in a forked child
    recorder.observe(STATUS, ("2xx",), 2)
    assert flush()
    assert [row.count for row in rows()] == [1, 1]
    assert len({row.id for row in rows()}) == 2


# A store that is away


def test_a_store_that_is_away_is_noted_and_logged_once_and_so_is_its_return(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with override_settings(PERFSUITE=AWAY):
        for n in range(4):
            recorder.observe(STATUS, ("2xx",), n)
            assert not flush()
        assert "'away' cannot be used" in flusher.error
    assert len(flusher.pending) == 4
    assert flush()
    assert flusher.error == ""
    assert not flusher.pending
    assert flush()
    (went, said), (came, back) = messages(caplog)
    assert (went, came) == (logging.ERROR, logging.WARNING)
    assert said.endswith("Numbers wait in memory; the site is not affected.")
    assert back == "The metrics store works again."
    assert sum(row.count for row in rows()) == 4


def test_what_waits_is_bounded_and_what_is_dropped_is_counted() -> None:
    kinds.declare(Kind("test.flusher.wide", "us", ("n",), cap=1_000))
    with override_settings(PERFSUITE=AWAY):
        for _ in range(5):
            recorder.observe_many([("test.flusher.wide", (str(n),), [1.0, 2.0]) for n in range(40)])
            assert not flush()
            assert sum(len(batch.rows) for batch in flusher.pending) <= 100 + 2
    assert flush()
    assert flush()
    kept = sum(row.count for row in rows())
    dropped = stored(10, kinds.SELF_DROPPED.name)
    assert kept + dropped.sum == 5 * 40 * 2
    assert dropped.sum > 0


def test_there_is_room_for_a_batch_before_it_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind the newest batch no more rows wait than may, at any instant that another thread can see."""
    behind: list[int] = []

    class Watched(deque[Batch]):
        def append(self, batch: Batch) -> None:
            behind.append(sum(len(waiting.rows) for waiting in self))
            super().append(batch)

    kinds.declare(Kind("test.flusher.wide", "us", ("n",), cap=1_000))
    monkeypatch.setattr(flusher, "pending", Watched())
    with override_settings(PERFSUITE=AWAY):
        for many in (300, 20, 20):
            recorder.observe_many([("test.flusher.wide", (str(n),), 1.0) for n in range(many)])
            assert not flush()
    assert len(behind) == 3
    assert max(behind) <= 100


def test_a_drop_is_counted_even_if_the_batch_that_counts_it_is_dropped_too() -> None:
    kinds.declare(Kind("test.flusher.wide", "us", ("n",), cap=1_000))
    with override_settings(PERFSUITE=AWAY):
        for n in range(8):
            recorder.observe_many([("test.flusher.wide", (str(n),), 1.0) for n in range(90)])
            assert not flush()
    assert flush()
    assert flush()
    kept = sum(row.count for row in rows())
    assert kept < 8 * 90
    assert kept + stored(10, kinds.SELF_DROPPED.name).sum == pytest.approx(8 * 90, abs=8)


def test_whatever_else_fails_in_a_flush_is_logged_and_goes_no_further(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise RuntimeError("broken flush")

    monkeypatch.setattr(flusher, "_write_pending", broken)
    recorder.observe(STATUS, ("2xx",), 1)
    assert flush() is False
    assert messages(caplog) == [(logging.ERROR, "A flush failed; the site is not affected.")]
    monkeypatch.undo()
    assert flush()
    assert len(rows()) == 1


def test_one_batch_larger_than_the_bound_is_kept() -> None:
    kinds.declare(Kind("test.flusher.wide", "us", ("n",), cap=1_000))
    recorder.observe_many([("test.flusher.wide", (str(n),), 1.0) for n in range(300)])
    with override_settings(PERFSUITE=AWAY):
        assert not flush()
    assert flush()
    assert len(rows()) == 300


def test_a_batch_whose_outcome_is_unknown_is_counted_once() -> None:
    path = f"{UnknownOutcome.__module__}.{UnknownOutcome.__name__}"
    with override_settings(PERFSUITE={"METRICS": {"STORAGE": path}}):
        UnknownOutcome.times = 2
        for value in (1, 2, 3):
            recorder.observe(STATUS, ("2xx",), value)
        assert not flush()
        recorder.observe(STATUS, ("2xx",), 4)
        assert not flush()
        assert flush()
        assert UnknownOutcome.times == 0
    assert sum(row.count for row in rows()) == 4
    assert sum(row.sum for row in rows()) == 10


def test_a_batch_that_a_working_store_refuses_does_not_hold_up_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    recorder.observe(STATUS, ("2xx",), 1)
    recorder._add_up(wait=True)
    recorder._series[STATUS, ("2xx",)].count = 2**70
    for n in range(MAX_REFUSALS):
        assert not flush(), n
        recorder.observe(STATUS, ("5xx",), 1)
    assert flush()
    assert {labels_of(row.series) for row in rows()} == {("5xx",)}
    assert sum(row.count for row in rows()) == MAX_REFUSALS
    assert sum("refused a batch" in message for _, message in messages(caplog)) == 1


def test_a_store_made_anew_has_its_series_described_again() -> None:
    recorder.observe(STATUS, ("2xx",), 1)
    assert flush()
    Series.objects.using(store_alias()).all().delete()
    recorder.observe(STATUS, ("2xx",), 1)
    with override_settings(PERFSUITE=AWAY):
        assert not flush()
    assert flush()
    assert {labels_of(row.series) for row in rows()} == {("2xx",)}


def test_a_series_is_described_again_after_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, "perfsuite.metrics.flusher", "perfsuite.timing")
    recorder.observe(STATUS, ("2xx",), 1)
    assert flush()
    Series.objects.using(store_alias()).all().delete()
    clock.move(3_600)
    recorder.observe(STATUS, ("2xx",), 1)
    assert flush()
    assert {labels_of(row.series) for row in rows()} == {("2xx",)}


# Stamps


def test_a_batch_that_waited_is_stamped_so_that_its_minute_cannot_close_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock(monkeypatch, "perfsuite.metrics.flusher", "perfsuite.timing")
    recorder.observe(STATUS, ("2xx",), 1)
    with override_settings(PERFSUITE=AWAY):
        assert not flush()
    clock.move(600)
    assert flush()
    (row,) = rows()
    assert clock.epoch - MAX_AGE_S - 10 < row.start <= clock.epoch
    compaction.compact(now=clock.epoch + 30, checkpoint=lambda: None)
    assert stored(60).count == 0


def test_nothing_is_stamped_into_a_closed_minute_by_a_host_whose_clock_is_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock(monkeypatch, "perfsuite.metrics.flusher", "perfsuite.timing")
    closed = int(clock.epoch) // 60 * 60 + 3_600
    get_storage().move_mark(compaction.watermark(60), None, closed)
    recorder.observe(STATUS, ("2xx",), 1)
    assert flush()
    assert [row.start for row in rows()] == [closed + 60]


# Life


def test_in_a_test_run_no_thread_starts_and_nothing_is_written_at_the_end() -> None:
    assert in_test_run()
    recorder.observe(STATUS, ("2xx",), 1)
    flusher.start()
    assert flusher._thread is None
    flusher.stop()
    assert rows() == []


def test_two_flushes_at_once_wait_for_one_another() -> None:
    entered, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with flusher._lock:
            entered.set()
            leave.wait(20)

    thread = threading.Thread(target=hold)
    thread.start()
    entered.wait()
    try:
        assert flusher.flush(wait_s=0.01) is False
    finally:
        leave.set()
        thread.join()
    assert flusher.flush() is True


@pytest.fixture
def _outside_a_test_run(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("perfsuite.metrics.flusher.in_test_run", lambda: False)
    yield
    flusher._stopped = True
    flusher._wake.set()
    if flusher._thread is not None:
        flusher._thread.join(20)


@pytest.mark.usefixtures("_outside_a_test_run")
def test_stopping_writes_what_is_left_and_gives_up_the_lead() -> None:
    recorder.observe(STATUS, ("2xx",), 1)
    assert leader.candidate.renew()
    flusher.stop()
    assert len(rows()) == 1
    assert not leader.candidate.leads()
    assert leader.Candidate().renew()


@pytest.mark.usefixtures("_outside_a_test_run")
def test_stopping_does_not_wait_for_a_store_that_was_away_a_moment_ago() -> None:
    recorder.observe(STATUS, ("2xx",), 1)
    with override_settings(PERFSUITE=AWAY):
        assert not flush()
    flusher.stop()
    assert rows() == []


@pytest.mark.usefixtures("_outside_a_test_run")
def test_a_stopped_flusher_does_not_start_again() -> None:
    flusher.stop()
    flusher.start()
    assert flusher._thread is None


@pytest.mark.usefixtures("_outside_a_test_run")
@override_settings(PERFSUITE={"METRICS": {"ENABLED": False}})
def test_with_monitoring_off_no_thread_starts() -> None:
    flusher.start()
    assert flusher._thread is None


@pytest.mark.django_db(databases="__all__", transaction=True)
@pytest.mark.usefixtures("_outside_a_test_run")
def test_the_thread_flushes_and_beats_until_it_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks: list[int] = []

    def tick() -> None:
        ticks.append(len(rows()))
        flusher._stopped = len(ticks) >= 2

    monkeypatch.setattr("perfsuite.metrics.flusher.FIRST_FLUSH_S", 0.0)
    monkeypatch.setattr("perfsuite.metrics.flusher.TICK_S", 0.0)
    monkeypatch.setattr(leader, "tick", tick)
    recorder.observe(STATUS, ("2xx",), 1)
    assert flusher._thread is not None
    flusher._thread.join(20)
    assert ticks == [1, 1]


@pytest.mark.django_db(databases="__all__", transaction=True)
def test_a_thread_that_finds_itself_in_a_test_run_ends() -> None:
    recorder.observe(STATUS, ("2xx",), 1)
    flusher._run()
    assert rows() == []


@override_settings(PERFSUITE=AWAY)
def test_letting_go_of_a_store_that_cannot_be_reached_is_of_no_account() -> None:
    close_store()


def test_what_was_announced_is_remembered_within_bounds() -> None:
    flusher._announced = dict.fromkeys(map(str, range(20_001)), 0)
    recorder.observe(STATUS, ("2xx",), 1)
    assert flush()
    assert len(flusher._announced) <= 2


def test_the_interval_has_bounds_that_keep_a_process_from_flushing_without_pause() -> None:
    with override_settings(PERFSUITE={"METRICS": {"FLUSH_INTERVAL_S": 0}}):
        assert MetricsSettings.get().flush_interval_s == 10.0


# In a process of its own, outside any test run

READ = """
total = query.totals("requests.status", Window.last(600))
print(total.count, total.sum)
"""


@pytest.mark.alike
def test_the_first_values_are_in_the_store_a_second_later_without_any_call(tmp_path: Path) -> None:
    script = """
    recorder.observe("requests.status", ("2xx",), 5)
    started = time.monotonic()
    while query.totals("requests.status", Window.last(600)).count == 0:
        assert time.monotonic() - started < 30, "nothing was flushed"
        time.sleep(0.02)
    print(time.monotonic() - started >= 0.8)
    """
    assert run_host(script, tmp_path) == "True"


@pytest.mark.alike
@pytest.mark.parametrize("end", ["pass", "sys.exit(0)", "raise SystemExit"])
def test_what_is_left_is_written_when_the_process_ends(tmp_path: Path, end: str) -> None:
    run_host(f"recorder.observe('requests.status', ('2xx',), 5)\n{end}", tmp_path)
    assert run_host(READ, tmp_path) == "1 5.0"


@pytest.mark.alike
def test_an_uncaught_exception_loses_nothing(tmp_path: Path) -> None:
    with start_host(
        "recorder.observe('requests.status', ('2xx',), 5); raise RuntimeError('boom')", tmp_path
    ) as process:
        _, errors = process.communicate(timeout=60)
    assert "boom" in errors
    assert run_host(READ, tmp_path) == "1 5.0"


@pytest.mark.alike
def test_no_signal_handler_is_replaced_and_the_thread_does_not_keep_the_process_alive(tmp_path: Path) -> None:
    script = """
    before = [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)]
    recorder.observe("requests.status", ("2xx",), 5)
    assert flusher._thread.is_alive() and flusher._thread.daemon
    assert [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)] == before
    print("ok")
    """
    assert run_host(script, tmp_path) == "ok"


@pytest.mark.alike
def test_with_monitoring_off_a_process_writes_nothing(tmp_path: Path) -> None:
    script = """
    recorder.observe("requests.status", ("2xx",), 5)
    print(flusher._thread)
    """
    assert run_host(script, tmp_path, ENABLE_PERFORMANCE_MONITORING="false") == "None"


@pytest.mark.alike
def test_parent_and_forked_children_together_lose_and_double_nothing(tmp_path: Path) -> None:
    script = """
    def record(times):
        for n in range(times):
            recorder.observe("requests.status", ("2xx",), 1)
    record(100)
    children = []
    for n in range(3):
        record(10)
        child = os.fork()
        if child == 0:
            record(1_000)
            assert flusher._thread is not None and flusher._thread.is_alive()
            sys.exit(0)
        children.append(child)
    flush()
    for child in children:
        assert os.waitpid(child, 0)[1] == 0
    """
    run_host(script, tmp_path)
    assert run_host(READ, tmp_path) == "3130 3130.0"


@pytest.mark.alike
def test_a_store_in_a_folder_that_appears_later_is_written_then_and_said_once_each(tmp_path: Path) -> None:
    script = """
    messages = []
    class Keep(logging.Handler):
        def emit(self, record):
            messages.append(record.getMessage())
    logging.getLogger("perfsuite.metrics").addHandler(Keep())
    for n in range(3):
        recorder.observe("requests.status", ("2xx",), 1)
        print(flush())
    os.mkdir(os.environ["PERFSUITE_TEST_DIR"])
    print(flush(), flush())
    print(query.totals("requests.status", Window.last(600)).count)
    print(sum("Numbers wait in memory" in m for m in messages), sum("works again" in m for m in messages))
    """
    printed = run_host(script, tmp_path / "later").splitlines()
    assert printed == ["False", "False", "False", "True True", "3", "1 1"]


@pytest.mark.alike
def test_a_process_that_ends_frees_the_lead_at_once(tmp_path: Path) -> None:
    script = """
    recorder.observe("requests.status", ("2xx",), 1)
    leader.tick()
    print(leader.candidate.leads())
    """
    assert run_host(script, tmp_path) == "True"
    assert run_host(script, tmp_path) == "True"
