"""The compressed forms of a page's body, stored beside it: the seam between the response cache and CompressionMiddleware."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from perfsuite.responses.pages import Page


def coding_for(request: HttpRequest, page: Page) -> str | None:
    """Return the content coding in which this request gets a page from the cache, None for as it is."""
    return None


def compressed(store: Any, key: str, page: Page, coding: str) -> HttpResponseBase | None:
    """Return a response with a page's body in a content coding, made now where it is not stored; None if it cannot be."""
    return None
