"""The compressed forms of a page's body, stored beside it under its nonce: made once, at the first request that wants one.

They are made only where CompressionMiddleware is outside of the cache and would make them for each hit; what is answered here it
leaves alone. The rules of both are the same, those of encoding.py.
"""

from __future__ import annotations

import time
from typing import Any

from django.http import HttpRequest, HttpResponse

from perfsuite.responses import encoding, marks, pages
from perfsuite.responses.config import Config
from perfsuite.responses.negotiation import IDENTITY, Negotiated
from perfsuite.responses.pages import FIELDS, KEEP_UNTIL, LENGTH, MARK, NEGOTIABLE, Page
from perfsuite.responses.store import Store

# Stands in the place of a form that is no smaller than the body itself.
NO_SMALLER = b""


# Hot path: benchmarks/responses.py
def wanted(request: HttpRequest, page: Page, config: Config) -> Negotiated | None:
    """Return what a request gets of a page; None where the cache has no say in it."""
    if not config.compresses or not page[NEGOTIABLE]:
        return None
    return encoding.coding_for(request.META.get("HTTP_ACCEPT_ENCODING"), page[LENGTH])


def is_coded(negotiated: Negotiated | None) -> bool:
    """Tell whether a coding was negotiated."""
    return negotiated is not None and negotiated.coding != IDENTITY


def key_of(page: Page, key: str, negotiated: Negotiated) -> str:
    """Return where the form of a page in a coding is stored."""
    return pages.body_key(page, key, negotiated.coding)


def make(store: Store, key: str, page: Page, body: bytes, negotiated: Negotiated) -> bytes:
    """Return a body in a coding, and store it; ``NO_SMALLER`` if it had better be sent as it is. Takes its time."""
    made = encoding.encoded(body, _get(page), negotiated)
    form = NO_SMALLER if made is None else made.body
    store.write_bytes(key_of(page, key, negotiated), form, page[KEEP_UNTIL] - time.time())
    return form


# Hot path: benchmarks/responses.py
def response_of(page: Page, body: bytes, negotiated: Negotiated | None, form: bytes | None) -> HttpResponse:
    """Return a response with a page's body, or the form of it; ``body`` may be empty where there is a form."""
    if negotiated is None:
        response = pages.response_of(page, body)
        if page[MARK] is not None:
            marks.mark(response, page[MARK])
        return response
    if not form:
        response = pages.response_of(page, body)
    else:
        response = pages.response_of(page, form)
        for name, value in encoding.fields(_get(page), negotiated.coding, len(form)).items():
            if value is not None:
                response[name] = value
            else:
                del response[name]
        encoding.record_sent(negotiated.coding, page[LENGTH], len(form))
    marks.mark(response, compress=False)  # all is said that there is to say
    return response


def _get(page: Page) -> Any:
    fields = page[FIELDS]

    def get(name: str) -> str | None:
        found = fields.get(name)
        return None if found is None else found[1]

    return get
