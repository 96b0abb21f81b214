"""Ask a site behind the middleware, sync and async."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient, Client, override_settings

from perfsuite.responses.negotiation import IDENTITY

OURS = "perfsuite.responses.CompressionMiddleware"
CONDITIONAL = "django.middleware.http.ConditionalGetMiddleware"
COMMON = "django.middleware.common.CommonMiddleware"
NAMES = ("zstd", "br", "gzip")


@pytest.fixture
def compressing() -> Iterator[None]:
    """Have the middleware in front of the views."""
    with override_settings(MIDDLEWARE=[OURS, CONDITIONAL, COMMON]):
        yield


def get(path: str, accept: str | None = "gzip", method: str = "GET", **headers: str) -> Any:
    fields = {"HTTP_" + name.upper(): value for name, value in headers.items()}
    if accept is not None:
        fields["HTTP_ACCEPT_ENCODING"] = accept
    return Client().generic(method, path, **fields)


def async_get(path: str, accept: str | None = "gzip", method: str = "GET") -> Any:
    # The async client of Django's takes the fields without the HTTP_ of the sync one.
    fields = {} if accept is None else {"ACCEPT_ENCODING": accept}

    async def ask() -> Any:
        return await getattr(AsyncClient(), method.lower())(path, **fields)

    return async_to_sync(ask)()


def coding_of(response: Any) -> str:
    return str(response.get("Content-Encoding") or IDENTITY)
