"""The compressed forms of a page's body, stored beside it under its nonce: made once, at the first request that wants one.

They are made only where CompressionMiddleware is outside of the cache and would make them for each hit; what is answered here it
leaves alone. The rules of both are the same, those of encoding.py.
"""

from __future__ import annotations

import time
from typing import TypeGuard

from django.http import HttpRequest, HttpResponse

from perfsuite.responses import encoding, marks, pages
from perfsuite.responses.config import Config
from perfsuite.responses.negotiation import IDENTITY, Negotiated
from perfsuite.responses.pages import FIELDS, KEEP_UNTIL, LENGTH, MARK, NEGOTIABLE, Fields, Page
from perfsuite.responses.store import Store

# What is stored of a form: the fields of the response that has it, and the body; a body of no bytes says that the page is to
# be sent as it is, for it got no smaller.
Form = tuple[Fields, bytes]


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


def make(store: Store, key: str, page: Page, body: bytes, negotiated: Negotiated) -> Form:
    """Return a body in a coding, and store it. Takes the time that compressing takes."""
    fields = page[FIELDS]

    def get(name: str) -> str | None:
        found = fields.get(name)
        return None if found is None else found[1]

    form: Form = ({}, b"")
    made = encoding.encoded(body, get, negotiated)
    if made is not None:
        changed = dict(fields)
        for name, value in made.fields.items():
            changed.pop(name.lower(), None)
            if value is not None:
                changed[name.lower()] = (name, value)
        form = (changed, made.body)
    store.write_part(key_of(page, key, negotiated), form, page[KEEP_UNTIL] - time.time())
    return form


# Hot path: benchmarks/responses.py
def response_of(page: Page, body: bytes, negotiated: Negotiated | None, form: Form | None) -> HttpResponse:
    """Return a response with a page's body, or the form of it; ``body`` may be empty where there is a form."""
    if form is not None and form[1]:
        response = pages.response_of(page, form[1], form[0])
    else:
        response = pages.response_of(page, body, page[FIELDS])
    if negotiated is not None:
        marks.mark(response, compress=False)  # all is said that there is to say
    elif page[MARK] is not None:
        marks.mark(response, page[MARK])
    return response


def is_form(value: object) -> TypeGuard[Form]:
    """Tell whether a value from a cache is what ``make`` stores."""
    return type(value) is tuple and len(value) == 2 and type(value[0]) is dict and type(value[1]) is bytes
