"""The guard: counts, says so once, and switches a hook off before it costs the site anything."""

from __future__ import annotations

import logging
import os

import pytest
from django.test import override_settings

from perfsuite.metrics import guard
from perfsuite.metrics.guard import Guard

# Python 3.12 warns of what these tests are about.
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")

LIMIT = {"METRICS": {"HOOK_FAILURE_LIMIT": 3}}


def fail(each: Guard, times: int) -> None:
    for n in range(times):
        try:
            raise RuntimeError(f"failure {n}")
        except RuntimeError as exc:
            each.failed(exc)


@pytest.fixture
def hook() -> Guard:
    return Guard("test.hook")


def test_the_first_failure_is_logged_with_its_traceback_and_further_ones_are_not(
    hook: Guard, caplog: pytest.LogCaptureFixture
) -> None:
    fail(hook, 5)
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("perfsuite.metrics", logging.ERROR)
    assert record.getMessage() == "The hook test.hook failed; the site is not affected."
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == "failure 0"
    assert hook.failures == 5
    assert hook.on


@override_settings(PERFSUITE=LIMIT)
def test_at_the_limit_the_hook_is_off_and_a_sentence_says_so(
    hook: Guard, caplog: pytest.LogCaptureFixture
) -> None:
    fail(hook, 2)
    assert hook.on
    assert guard.disabled_hooks == {}
    fail(hook, 2)
    assert not hook.on
    sentence = guard.disabled_hooks["test.hook"]
    assert "test.hook is off in this process after 3 failures" in sentence
    assert "RuntimeError" in sentence
    assert [r.getMessage() for r in caplog.records][1:] == [sentence]


@override_settings(PERFSUITE=LIMIT)
def test_a_hook_that_was_reset_is_on_again_and_counts_from_zero(hook: Guard) -> None:
    fail(hook, 3)
    hook.reset()
    assert hook.on
    assert guard.disabled_hooks == {}
    fail(hook, 2)
    assert hook.on


@override_settings(PERFSUITE=LIMIT)
def test_a_guard_that_does_not_switch_off_only_counts() -> None:
    shared = Guard("test.shared", switches_off=False)
    fail(shared, 10)
    assert shared.on
    assert guard.disabled_hooks == {}
    assert guard.take_failures() == {"test.shared": 10}


def test_failures_are_reported_once(hook: Guard) -> None:
    other = Guard("test.other")
    fail(hook, 2)
    fail(other, 1)
    assert guard.take_failures() == {"test.hook": 2, "test.other": 1}
    assert guard.take_failures() == {}
    fail(hook, 1)
    assert guard.take_failures() == {"test.hook": 1}


def test_two_guards_of_one_name_are_reported_together(hook: Guard) -> None:
    fail(hook, 2)
    fail(Guard("test.hook"), 3)
    assert guard.take_failures() == {"test.hook": 5}


def test_a_forked_child_does_not_report_what_its_parent_will(hook: Guard) -> None:
    fail(hook, 2)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, repr(guard.take_failures()).encode())
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    assert os.read(reader, 1000) == b"{}"
    os.close(reader)
    assert guard.take_failures() == {"test.hook": 2}


def test_a_logging_handler_that_fails_stays_inside_the_guard(
    hook: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(record: logging.LogRecord) -> bool:
        raise RuntimeError("broken filter")

    monkeypatch.setattr(guard.logger, "filters", [broken])
    fail(hook, 20)
    assert hook.failures == 20
    assert not hook.on
