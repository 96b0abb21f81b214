"""An exception inside each hook: the site answers as if nothing were, and the failure is counted and logged once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import django
import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient, Client, override_settings

from perfsuite.metrics import guard
from perfsuite.metrics import request as tally_of_request
from perfsuite.metrics.recorder import recorder
from perfsuite.monitoring import middleware, monitor_performance, operations
from perfsuite.queries import statements
from tests.recorded import SELECT, Recorded

pytestmark = [pytest.mark.urls("tests.monitoring.views"), pytest.mark.django_db]
LIMIT = 10
STREAMS = ("/stream/1/", "/async/stream/1/")[: 2 if django.VERSION >= (4, 2) else 1]
# There the ORM sends commands, and no SQL.
ON_MONGODB = SELECT != "SELECT"


class Broken(Exception):
    """What our own functions raise in these tests."""


def broken(*args: Any, **kwargs: Any) -> Any:
    raise Broken("a defect of ours, with a secret in it")


def broken_fold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally_of_request, "_folds", [broken])


def broken_append(monkeypatch: pytest.MonkeyPatch) -> None:
    class Tally(tally_of_request.Tally):
        __slots__ = ()

        def __init__(self, request: Any = None) -> None:
            super().__init__(request)
            self.held = ()  # type: ignore[assignment]

    monkeypatch.setattr(middleware, "Tally", Tally)


def in_module(module: Any, name: str) -> Callable[[pytest.MonkeyPatch], None]:
    return lambda monkeypatch: monkeypatch.setattr(module, name, broken)


# Which function of ours raises, and which hook counts it.
HOOKS = {
    "Span": (in_module(middleware, "Span"), "requests"),
    "Tally": (in_module(middleware, "Tally"), "requests"),
    "add_server_timing": (in_module(middleware, "add_server_timing"), "requests"),
    "record": (in_module(middleware, "record"), "requests"),
    "route": (in_module(tally_of_request.Tally, "route"), "requests"),
    "statements": (in_module(tally_of_request.Tally, "statements"), "requests"),
    "observe_later": (in_module(recorder, "observe_later"), "requests"),
    "observations": (in_module(middleware, "_method"), "requests"),
    "observe_many": (in_module(recorder, "observe_many"), "queries"),
    "fold": (broken_fold, "requests"),
    "take_held": (in_module(tally_of_request.Tally, "take_held"), "queries"),
    "held.append": (broken_append, "queries.mongo" if ON_MONGODB else "queries"),
    "shape_of": (in_module(statements, "shape_of"), "queries"),
}


def responses(path: str, times: int) -> None:
    """Ask for a page that runs two statements, from a WSGI and an ASGI handler in turn, and look at every answer."""
    client, async_client = Client(), AsyncClient()
    for number in range(times):
        response = async_to_sync(async_client.get)(path) if number % 2 else client.get(path)
        assert response.status_code == 200
        assert response.content == b"2 queries"
        recorder._add_up(wait=True)  # what is worked out for many requests in one go, for this one


@pytest.mark.parametrize("name", HOOKS)
def test_a_hook_that_fails_never_changes_an_answer_and_is_logged_once_and_switched_off(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    breaks, hook = HOOKS[name]
    recorder.take()
    with monkeypatch.context() as patch:
        breaks(patch)
        responses("/queries/2/", 1)
        assert hook in [each.hook for each in guard._guards if each.failures]
        responses("/queries/2/", 2 * LIMIT)

    said = f"The hook {hook} failed; the site is not affected."
    failed = [line for line in caplog.records if line.getMessage() == said]
    assert len(failed) == 1
    assert failed[0].exc_info
    assert recorder.disabled_hooks[hook].startswith(f"The hook {hook} is off in this process after {LIMIT} ")
    assert "secret" not in recorder.disabled_hooks[hook]
    assert recorded.sum("self.failures", hook) >= LIMIT


@pytest.mark.parametrize("name", ["Span", "add_server_timing", "record", "statements", "fold"])
def test_a_hook_of_the_middleware_that_is_off_costs_nothing_more_and_fails_no_more(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with monkeypatch.context() as patch:
        HOOKS[name][0](patch)
        responses("/queries/2/", LIMIT + 5)
        assert middleware._guard.failures == LIMIT

    responses("/queries/2/", 2)
    assert recorded.requests() == {}
    assert recorded.operations() in ({}, {SELECT: 2 * LIMIT})


@pytest.mark.parametrize("path", STREAMS)
@pytest.mark.parametrize("name", ["Span", "add_server_timing", "follow", "record"])
def test_a_stream_goes_out_whole_when_a_hook_fails(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch, path: str, name: str
) -> None:
    async def read() -> bytes:
        response = await AsyncClient().get(path)
        return b"".join([chunk async for chunk in response.streaming_content])

    monkeypatch.setattr(middleware, name, broken)
    body = async_to_sync(read)() if "async" in path else b"".join(Client().get(path).streaming_content)

    assert body == b"x" * 1000
    assert middleware._guard.failures == 1


@pytest.mark.parametrize("path", ["/error/", "/system-exit/"])
def test_a_views_own_exception_goes_on_unchanged_when_the_recording_of_it_fails(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(middleware, "record", broken)
    with override_settings(DEBUG_PROPAGATE_EXCEPTIONS=True), pytest.raises((RuntimeError, SystemExit)):
        Client().get(path)

    assert middleware._guard.failures == 1


def test_a_logger_of_the_host_that_raises_does_no_harm(
    recorded: Recorded, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="performance")
    loggers = [logging.getLogger(name) for name in ("performance", "perfsuite.metrics", "perfsuite.queries")]

    def work() -> str:
        with monitor_performance("work"):
            return "done"

    for logger in loggers:
        logger.addFilter(broken)
    try:
        with override_settings(PERFSUITE={"QUERIES": {"SLOW_QUERY_MS": 0}}):
            responses("/queries/2/", 4)
            assert [work() for _ in range(LIMIT + 1)] == ["done"] * (LIMIT + 1)
    finally:
        for logger in loggers:
            logger.removeFilter(broken)

    assert middleware._guard.failures == 4
    assert operations._guard.failures == LIMIT
    assert not operations._guard.on


def test_an_operation_goes_on_when_the_recorder_fails(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    @monitor_performance("work")
    def work(number: int) -> int:
        return number * 2

    with monkeypatch.context() as patch:
        patch.setattr(recorder, "observe", broken)
        assert [work(number) for number in range(LIMIT + 5)] == [2 * number for number in range(LIMIT + 5)]

    assert operations._guard.failures == LIMIT
    assert caplog.text.count("The hook operations failed") == 1
    assert recorded.count("operations") == 0


def test_a_slow_query_that_cannot_be_logged_does_no_harm(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statements, "_log_slow", broken)
    with override_settings(PERFSUITE={"QUERIES": {"SLOW_QUERY_MS": 0}}):
        responses("/queries/2/", 2)

    assert statements.guard.failures == 2
    assert sum(recorded.requests().values()) == 2
