"""The checks of the tenancy app."""

from __future__ import annotations

from typing import Any

import pytest
from django.core import checks

PATH = "perfsuite.tenancy.TenantMiddleware"
HERE = "tests.tenancy.resolvers"


def found() -> list[checks.CheckMessage]:
    """Run the checks as ``manage.py check`` does, and return what is about this app."""
    messages = checks.run_checks(tags=["perfsuite"])
    return [message for message in messages if str(message.id).startswith("perfsuite_tenancy.")]


@pytest.mark.parametrize("middleware", [[], None])
def test_without_the_middleware_there_is_nothing_to_say(settings: Any, middleware: Any) -> None:
    settings.MIDDLEWARE = middleware
    assert found() == []


def test_once_with_a_resolver_is_right(settings: Any) -> None:
    settings.MIDDLEWARE = [PATH]
    settings.PERFSUITE = {"TENANCY": {"RESOLVER": f"{HERE}.from_query"}}
    assert found() == []


def test_twice_is_an_error(settings: Any) -> None:
    settings.MIDDLEWARE = [PATH, "perfsuite.tenancy.middleware.TenantMiddleware"]
    (message,) = found()
    assert message.id == "perfsuite_tenancy.E001"
    assert "2 times" in message.msg


@pytest.mark.parametrize(
    "resolver", ["", f"{HERE}.missing", f"{HERE}.NOT_A_FUNCTION", "no_such_module.resolve"]
)
def test_a_resolver_that_cannot_be_used_is_an_error_that_says_what_to_write(
    settings: Any, resolver: str
) -> None:
    settings.MIDDLEWARE = [PATH]
    settings.PERFSUITE = {"TENANCY": {"RESOLVER": resolver}}
    (message,) = found()
    assert message.id == "perfsuite_tenancy.E002"
    assert message.is_serious()
    assert resolver in message.msg
    assert "Write the dotted path" in str(message.hint)
