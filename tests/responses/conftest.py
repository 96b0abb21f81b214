"""The fixtures of this folder: sites of both kinds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.recorded import recorded
from tests.responses.asking import compressing
from tests.responses.site import ASYNC, LOCMEM, SYNC, TIERED, Site, serving

__all__ = ["CACHES", "compressing", "kind", "make_site", "recorded"]

CACHES = {"tiered": TIERED, "locmem": LOCMEM}


@pytest.fixture(params=[SYNC, ASYNC])
def kind(request: pytest.FixtureRequest) -> str:
    """WSGI or ASGI: what holds for one holds for the other."""
    return str(request.param)


@pytest.fixture
def make_site(kind: str) -> Iterator[Callable[..., Site]]:
    """Return what makes a site that lasts for the test."""
    with ExitStack() as stack:

        def make(views: Any, **more: Any) -> Site:
            return stack.enter_context(serving(kind, views, **more))

        yield make
