"""The checks of the monitoring app: the middleware in its place, once."""

from __future__ import annotations

from typing import Any

import pytest
from django.core import checks

from perfsuite.monitoring.checks import PATH

SESSIONS = "django.contrib.sessions.middleware.SessionMiddleware"
LONG = "perfsuite.monitoring.middleware.RequestMetricsMiddleware"


def found() -> list[checks.CheckMessage]:
    """Run the checks as ``manage.py check`` does, and return what is about this app."""
    messages = checks.run_checks(tags=["perfsuite"])
    return [message for message in messages if str(message.id).startswith("perfsuite_monitoring.")]


@pytest.mark.parametrize("middleware", [[PATH], [LONG], [PATH, SESSIONS]])
def test_outermost_and_once_is_right(settings: Any, middleware: list[str]) -> None:
    settings.MIDDLEWARE = middleware
    assert found() == []


@pytest.mark.parametrize("middleware", [[PATH, SESSIONS, PATH], [PATH, LONG]])
def test_twice_is_an_error(settings: Any, middleware: list[str]) -> None:
    settings.MIDDLEWARE = middleware
    (message,) = found()
    assert message.id == "perfsuite_monitoring.E001"
    assert message.is_serious()
    assert "2 times" in message.msg
    assert PATH in str(message.hint)


def test_not_outermost_is_a_warning_that_says_where_it_is(settings: Any) -> None:
    settings.MIDDLEWARE = [SESSIONS, PATH]
    (message,) = found()
    assert message.id == "perfsuite_monitoring.W001"
    assert "number 2 in MIDDLEWARE" in message.msg
    assert "first in MIDDLEWARE" in str(message.hint)


@pytest.mark.parametrize("middleware", [[], [SESSIONS], None])
def test_missing_is_a_warning(settings: Any, middleware: list[str] | None) -> None:
    settings.MIDDLEWARE = middleware
    (message,) = found()
    assert message.id == "perfsuite_monitoring.W002"
    assert not message.is_serious()
    assert PATH in str(message.hint)
