"""A running Valkey, and caches that a test has for itself."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests import valkey as servers
from tests.valkey import Valkey

TIERED = "perfsuite.caching.TieredCache"
NewCaches = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def valkey() -> Iterator[Valkey]:
    """Return a running server that the tests share."""
    with servers.valkey() as server:
        yield server


@pytest.fixture
def new_caches(settings: Any) -> NewCaches:
    """Return a function that makes ``CACHES`` of a test: a tiered default with nothing in it, and others by keyword."""

    def make(options: dict[str, Any] | None = None, **others: dict[str, Any]) -> dict[str, Any]:
        default = {
            "BACKEND": TIERED,
            "LOCATION": f"test-{uuid.uuid4().hex}",
            "OPTIONS": options or {"CHANNEL": "none"},
        }
        settings.CACHES = {"default": default, **others}
        return settings.CACHES  # type: ignore[no-any-return]

    return make
