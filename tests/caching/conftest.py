"""A running Valkey, and caches that a test has for itself."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from perfsuite.caching import engine
from perfsuite.metrics.recorder import recorder
from tests import valkey as servers
from tests.recorded import recorded
from tests.valkey import Valkey

__all__ = ["recorded"]

TIERED = "perfsuite.caching.TieredCache"
NewCaches = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def valkey() -> Iterator[Valkey]:
    """Return a running server that the tests share."""
    with servers.valkey() as server:
        yield server


@pytest.fixture
def own_server() -> Iterator[Valkey]:
    """Return a server that the test may stop."""
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


@pytest.fixture
def no_caches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no caches of other tests, whose names would use up the caps of what is recorded."""
    monkeypatch.setattr(engine, "_engines", {})
    recorder.take()
    recorder._known.clear()
