"""Which of the stored responses fits a request (RFC 9111 4.1)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from perfsuite.responses.policy.fields import date, members
from perfsuite.responses.policy.model import Request, Response, Stored, Varying

_AROUND_COMMA = re.compile(r"[ \t]*+,[ \t,]*+")
_FIELD_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9a-z]++\Z")
# A comma in them separates nothing, so that the space beside it may mean something.
_NO_LISTS: Final = frozenset(
    {"authorization", "cookie", "date", "from", "host", "origin", "referer", "user-agent"}
)
_REMEMBERED_CHARS: Final = 256
_CASELESS: Final = frozenset({"accept-charset", "accept-encoding", "accept-language"})


def vary_names(response: Response) -> tuple[str, ...] | None:
    """Return the fields that Vary names, sorted and once each; None if it holds ``*``, or what is no name of a field: nobody
    knows what such a response depends on.
    """
    value = response.headers.get("vary")
    if not value:
        return ()
    names = {name.lower() for name in members(value)}
    is_known = "*" not in names and all(map(_FIELD_NAME.match, names))
    return tuple(sorted(names)) if is_known else None


def normalised(name: str, value: str) -> str:
    """Return what a request field has in common with others that mean the same: its space, and where it is
    meaningless its case and its order.

    The order of Accept-Language and Accept stays, since servers may prefer what comes first.
    """
    if name in _CASELESS and len(value) <= _REMEMBERED_CHARS:
        return _remembered(name, value)
    return _normalised(name, value)


def _normalised(name: str, value: str) -> str:
    value = value.strip(" \t")
    if name in _NO_LISTS or '"' in value:
        return value
    value = _AROUND_COMMA.sub(",", value).strip(",")
    if name in _CASELESS:
        value = value.lower().replace(" ", "")
        if name == "accept-encoding":
            return ",".join(sorted(value.split(",")))
    return value


# Hot path: browsers send few different ones.
_remembered = lru_cache(maxsize=512)(_normalised)


def varying_by(request: Request, names: Iterable[str]) -> Varying:
    """Return the named fields of the request, normalised; None for a field that it has not."""
    get = request.headers.get
    return tuple(
        [(name, None if (value := get(name)) is None else normalised(name, value)) for name in names]
    )


def varying(request: Request, response: Response) -> Varying | None:
    """Return what a later request must have in common with this one; None if none may have (``Vary: *``)."""
    names = vary_names(response)
    return None if names is None else varying_by(request, names)


def matches(stored: Stored, request: Request) -> bool:
    """Tell whether the request has what the stored response was chosen by."""
    get = request.headers.get
    for name, wanted in stored.varying:
        value = get(name)
        if (None if value is None else normalised(name, value)) != wanted:
            return False
    return True


def select(candidates: Iterable[Stored], request: Request) -> Stored | None:
    """Return the most recent of those that match, by Date; those with Vary come before those without."""
    fitting = [stored for stored in candidates if matches(stored, request)]
    return max(fitting, key=_recency, default=None)


def _recency(stored: Stored) -> tuple[bool, float, float]:
    made_at = date(stored.response.headers.get("date"), stored.answered_at)
    return bool(stored.varying), stored.answered_at if made_at is None else made_at, stored.answered_at
