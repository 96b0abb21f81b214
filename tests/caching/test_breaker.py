"""The breaker: when it opens, what it lets through, and what it says."""

from __future__ import annotations

import logging
import threading
import time

import pytest
import redis

from perfsuite.caching.breaker import Breaker, SharedAway, is_failure_of_server, said

REFUSED = redis.ConnectionError("refused")


def fail(breaker: Breaker, exc: Exception = REFUSED) -> None:
    with pytest.raises(SharedAway), breaker.guarding():
        raise exc


def succeed(breaker: Breaker) -> None:
    with breaker.guarding():
        pass


def test_it_opens_at_so_many_failures_in_a_row_and_then_lets_nothing_through() -> None:
    breaker = Breaker("name", 3)
    for _ in range(2):
        fail(breaker)
    succeed(breaker)
    for _ in range(2):
        fail(breaker)
    assert not breaker.is_open
    fail(breaker)
    assert breaker.is_open
    with pytest.raises(SharedAway), breaker.guarding():
        pytest.fail("the block was run")
    assert (breaker.failed, breaker.opened) == (5, 1)


def test_closed_again_it_counts_from_the_start() -> None:
    breaker = Breaker("name", 1)
    fail(breaker)
    breaker.close()
    succeed(breaker)
    fail(breaker)
    assert breaker.is_open
    assert breaker.opened == 2


def test_many_who_fail_at_once_open_it_once(caplog: pytest.LogCaptureFixture) -> None:
    breaker, barrier = Breaker("name", 3), threading.Barrier(20)

    def refuse() -> None:
        barrier.wait()
        raise REFUSED

    def late() -> None:
        with pytest.raises(SharedAway), breaker.guarding():
            refuse()

    threads = [threading.Thread(target=late) for _ in range(20)]
    with caplog.at_level(logging.ERROR, "perfsuite.caching"):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert breaker.is_open
    assert caplog.text.count("left alone") == breaker.opened == 1


def test_what_is_no_failure_of_the_server_goes_through_and_is_not_counted() -> None:
    breaker = Breaker("name", 1)
    with pytest.raises(TypeError), breaker.guarding():
        raise TypeError("the host's own")
    assert (breaker.is_open, breaker.failed) == (False, 0)


@pytest.mark.parametrize(
    "exc",
    [
        redis.ConnectionError(),
        redis.TimeoutError(),
        OSError(),
        redis.ResponseError("READONLY You can't write against a read only replica."),
        redis.ResponseError("Command # 1 (SET k v) of pipeline caused error: OOM command not allowed"),
        redis.ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value"),
        redis.exceptions.ReadOnlyError("x"),
        redis.exceptions.NoPermissionError("x"),
        redis.exceptions.ExecAbortError("x"),
        redis.exceptions.NoScriptError("x"),
    ],
)
def test_whatever_a_server_answers_but_a_value_is_its_failure(exc: Exception) -> None:
    assert is_failure_of_server(exc)


def test_the_log_says_what_failed_and_nothing_of_what_was_stored(caplog: pytest.LogCaptureFixture) -> None:
    exc = redis.ResponseError("Command # 1 (SET k secret) of pipeline caused error: OOM command not allowed")
    with caplog.at_level(logging.INFO, "perfsuite.caching"):
        breaker = Breaker("name", 1)
        fail(breaker, exc)
        breaker.close()
    assert "OOM command not allowed" in caplog.text
    assert "secret" not in caplog.text
    assert "answers again" in caplog.text
    assert said(exc) == "ResponseError: OOM command not allowed"


def test_open_it_costs_far_less_than_a_tenth_of_a_millisecond() -> None:
    breaker = Breaker("name", 1)
    fail(breaker)
    began = time.perf_counter()
    for _ in range(1_000):
        with pytest.raises(SharedAway), breaker.guarding():
            pass
    assert time.perf_counter() - began < 0.1


def test_a_process_that_has_all_its_connections_has_no_failing_server() -> None:
    breaker = Breaker("name", 1)
    fail(breaker, redis.exceptions.MaxConnectionsError("Too many connections"))
    assert (breaker.is_open, breaker.failed) == (False, 0)
