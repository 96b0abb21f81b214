"""Threads for what nobody waits for: few, bounded, and gone when there is nothing to do."""

from __future__ import annotations

import threading
from contextvars import ContextVar

import pytest
from django.db import connection, connections

from perfsuite.caching import refresh
from perfsuite.caching.refresh import Background
from tests.integration.site import wait_until

where: ContextVar[str] = ContextVar("where", default="nowhere")


def test_work_is_done_in_the_context_of_who_asked_for_it() -> None:
    seen: list[str] = []
    token = where.set("a request")
    assert Background().do(lambda: seen.append(where.get()))
    where.reset(token)
    wait_until(lambda: seen == ["a request"], "the work")


def test_at_most_a_few_threads_work_and_what_is_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refresh, "MAX_WAITING", 3)
    background, free = Background(), threading.Event()
    running: list[str] = []

    def work() -> None:
        running.append(threading.current_thread().name)
        free.wait(30)

    for number in range(refresh.MAX_THREADS):
        assert background.do(work)
        wait_until(lambda expected=number + 1: len(running) == expected, "the thread")
    assert [background.do(work) for _ in range(4)] == [True, True, True, False]
    free.set()
    wait_until(lambda: len(running) == refresh.MAX_THREADS + 3, "the rest")


def test_the_threads_end_when_there_is_nothing_to_do_and_begin_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refresh, "IDLE_S", 0.01)
    background, done = Background(), threading.Event()
    background.do(done.set)
    assert done.wait(30)
    wait_until(lambda: background._threads == 0, "the end of the thread")
    again = threading.Event()
    background.do(again.set)
    assert again.wait(30)


def test_work_that_fails_does_not_end_the_thread() -> None:
    background, done = Background(), threading.Event()
    background.do(lambda: 1 / 0)
    background.do(done.set)
    assert done.wait(30)


@pytest.mark.relational
@pytest.mark.django_db(transaction=True)
def test_no_database_connection_stays_open() -> None:
    found: list[object] = []

    def work() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        found.append(connections["default"])

    background = Background()
    background.do(work)
    wait_until(lambda: background._idle, "the end of the work")
    (used,) = found
    assert used.connection is None  # type: ignore[attr-defined]
