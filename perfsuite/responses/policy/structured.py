"""Dictionaries of Structured Fields (RFC 8941 3.2), as far as cache directives need them."""

from __future__ import annotations

import re
from typing import Final

from perfsuite.responses.policy.fields import MAX_FIELD_CHARS

_KEY = r"[a-z*][a-z0-9_.*-]*+"
_BARE = (
    r"""(?:-?+\d{1,12}\.\d{1,3}(?!\d)|-?+\d{1,15}(?![\d.])|"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*+\""""
    r"""|[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]*+|:[A-Za-z0-9+/=]*+:|\?[01])"""
)
_PARAMETERS = rf"(?:;\x20*+{_KEY}(?:={_BARE})?+)*+"
_ITEM = rf"{_BARE}{_PARAMETERS}"
_INNER = rf"\(\x20*+(?:{_ITEM}(?:\x20++(?!\))|(?=\x20*+\))))*+\x20*+\)"
_MEMBER: Final = re.compile(
    rf"(?P<key>{_KEY})(?:=(?P<value>{_INNER}|{_BARE}))?+{_PARAMETERS}[ \t]*+(?P<more>,[ \t]*+(?!\Z))?+",
    re.ASCII,
)


def dictionary(value: str) -> dict[str, str | None] | None:
    """Return the members by their keys as they are written, quotes included, and None for a bare key.

    None for a field that is malformed or empty. Parameters are checked and dropped; of equal keys the last one counts.
    """
    value = value.strip(" ")
    if not value or len(value) > MAX_FIELD_CHARS:
        return None
    read: dict[str, str | None] = {}
    at = 0
    more = True
    while more:
        found = _MEMBER.match(value, at)
        if found is None:
            return None
        text = found["value"]
        read[found["key"]] = None if text == "?1" else text
        at = found.end()
        more = found["more"] is not None
    return read if at == len(value) else None
