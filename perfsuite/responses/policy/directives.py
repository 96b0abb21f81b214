"""Cache directives: Cache-Control, its targeted kin, and Pragma (RFC 9111 5.2, 5.4; RFC 9213).

They are a mapping from names in lower case to arguments, None for a directive without one. What is malformed is
kept so that it can only forbid: a number that is none, or two that differ, make a response stale.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from perfsuite.responses.policy.fields import MAX_FIELD_CHARS, members, seconds
from perfsuite.responses.policy.model import Headers, Policy
from perfsuite.responses.policy.structured import dictionary

Directives = Mapping[str, str | None]

NONE: Final[Directives] = MappingProxyType({})
_NO_CACHE: Final[Directives] = MappingProxyType({"no-cache": None})
# What a field is taken for that is too long to read, or whose quotes do not close and may hide something.
_UNREADABLE: Final[Directives] = MappingProxyType({"no-store": None, "no-cache": None, "private": None})
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*+)"', re.DOTALL)
_CLOSED = re.compile(rf'(?:[^"]++|{_QUOTED.pattern})*+', re.DOTALL)
_ITEM = re.compile(rf'(?:[^",]++|{_QUOTED.pattern})++', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
# ``private=true`` and ``private=1`` are mistakes for ``private``, not the names of fields.
_FIELD_NAME = re.compile(r"(?!(?:true|false)\Z)[a-z][!#$%&'*+\-.^_`|~0-9a-z]*\Z")


def parse(value: str) -> Directives:
    """Read a Cache-Control field."""
    return _parsed(value) if len(value) <= MAX_FIELD_CHARS else _UNREADABLE


# Sites and browsers send few different ones.
@lru_cache(maxsize=256)
def _parsed(value: str) -> Directives:
    items: Iterable[str]
    if '"' in value:
        if _CLOSED.fullmatch(value) is None:
            return _UNREADABLE
        items = (found[0] for found in _ITEM.finditer(value))
    else:
        items = value.split(",")
    read: dict[str, str | None] = {}
    for item in items:
        name, equals, argument = item.strip(" \t").partition("=")
        bare = name.rstrip(" \t").lower()
        if bare:
            # Space before the sign makes a number malformed, but not a prohibition.
            _add(
                read,
                bare,
                (_unquoted(argument) if bare == name.lower() else f" {argument}") if equals else None,
            )
    return MappingProxyType(read)


def _unquoted(argument: str) -> str:
    found = _QUOTED.fullmatch(argument)
    return _ESCAPED.sub(r"\1", found[1]) if found else argument


def _add(read: dict[str, str | None], name: str, argument: str | None) -> None:
    if name in read:
        before = read[name]
        if before == argument:
            return
        # Two numbers become one that is malformed, two lists of field names become one list.
        argument = None if before is None or argument is None else f"{before},{argument}"
    read[name] = argument


def of_request(headers: Headers) -> Directives:
    """Return the directives of a request; its Pragma counts only without Cache-Control (RFC 9111 5.4)."""
    value = headers.get("cache-control")
    if value is not None:
        return parse(value)
    pragma = headers.get("pragma")
    if pragma and len(pragma) <= MAX_FIELD_CHARS and "no-cache" in parse(pragma):
        return _NO_CACHE
    return NONE


def of_response(headers: Headers, policy: Policy) -> tuple[Directives, bool]:
    """Return the directives that are for this cache, and whether a targeted field holds them (RFC 9213 2.2).

    Then Expires does not count either.
    """
    for name in policy.targeted:
        value = headers.get(name)
        if value is not None and (read := dictionary(value)) is not None:
            return read, True
    value = headers.get("cache-control")
    return (NONE if value is None else parse(value)), False


def duration(directives: Directives, name: str) -> int | None:
    """Return a directive's seconds; 0 if they are malformed, None if it is absent."""
    if name not in directives:
        return None
    return seconds(directives[name] or "") or 0


def forbids_all(directives: Directives, name: str, policy: Policy) -> bool:
    """Tell whether ``private`` or ``no-cache`` is there for the whole response, not for some fields of it."""
    return name in directives and not field_names(directives, name, policy)


def field_names(directives: Directives, name: str, policy: Policy) -> frozenset[str]:
    """Return the fields that ``private`` or ``no-cache`` names; none if it is malformed, and so about all."""
    argument = directives.get(name)
    if argument is None or not policy.field_names:
        return frozenset()
    names = [member.lower() for member in members(argument.strip().strip('"'))]
    return frozenset(names) if all(_FIELD_NAME.match(each) for each in names) else frozenset()
