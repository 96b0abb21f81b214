"""The compressed forms of a page's body, stored beside it under its nonce: made once, at the first request that wants one.

They are made only where CompressionMiddleware is outside of the cache and would make them for each hit; what is answered here it
leaves alone. The rules of both are the same, those of encoding.py.
"""

from __future__ import annotations

import time

from django.http import HttpRequest, HttpResponse

from perfsuite.responses import encoding, marks, pages
from perfsuite.responses.config import Config
from perfsuite.responses.headers import Fields
from perfsuite.responses.negotiation import AS_IS, IDENTITY, Negotiated
from perfsuite.responses.pages import FIELDS, KEEP_UNTIL, LENGTH, MARK, NEGOTIABLE, Page
from perfsuite.responses.store import Store

_OUTDATED = frozenset(name.lower() for name in encoding.OUTDATED)


# Hot path: benchmarks/responses.py
def wanted(request: HttpRequest, page: Page, config: Config) -> Negotiated | None:
    """Return what a request gets of a page; None where the cache has no say in it."""
    if not config.compresses or not page[NEGOTIABLE]:
        return None
    if encoding.wants_as_is(request.META):
        return AS_IS
    return encoding.coding_for(request.META.get("HTTP_ACCEPT_ENCODING"), page[LENGTH])


def is_coded(negotiated: Negotiated | None) -> bool:
    """Tell whether a coding was negotiated."""
    return negotiated is not None and negotiated.coding != IDENTITY


def key_of(page: Page, key: str, negotiated: Negotiated) -> str:
    """Return where the form of a page in a coding is stored."""
    return pages.body_key(page, key, negotiated.coding)


def make(store: Store, key: str, page: Page, body: bytes, negotiated: Negotiated) -> bytes:
    """Return a body in a coding, and store it; of no bytes, which is stored too, where it gets no smaller.

    Takes the time that compressing takes.
    """
    fields = page[FIELDS]

    def get(name: str) -> str | None:
        found = fields.get(name)
        return None if found is None else found[1]

    made = encoding.encoded(body, get, negotiated)
    form = b"" if made is None else made.body
    store.write_part(key_of(page, key, negotiated), form, page[KEEP_UNTIL] - time.time())
    return form


# Hot path: benchmarks/responses.py
def response_of(page: Page, body: bytes, negotiated: Negotiated | None, form: bytes | None) -> HttpResponse:
    """Return a response with a page's body, or the form of it; ``body`` may be empty where there is a form."""
    if form and negotiated is not None:
        response = pages.response_of(page, form, fields_of(page, negotiated.coding, len(form)))
    else:
        response = pages.response_of(page, body, page[FIELDS])
    if negotiated is not None:
        marks.mark(response, compress=False)  # all is said that there is to say
    elif page[MARK] is not None:
        marks.mark(response, page[MARK])
    return response


def fields_of(page: Page, coding: str, length: int) -> Fields:
    """Return the fields of a page in a coding: those of ``encoding.fields``; ``Vary`` is the page's own already."""
    fields: Fields = page[FIELDS].copy()
    fields["content-encoding"] = "Content-Encoding", coding
    fields["content-length"] = "Content-Length", str(length)
    etag = fields.get("etag")
    if etag is not None and etag[1][:1] == '"':
        fields["etag"] = etag[0], "W/" + etag[1]
    if not _OUTDATED.isdisjoint(fields):
        for name in _OUTDATED:
            fields.pop(name, None)
    return fields
