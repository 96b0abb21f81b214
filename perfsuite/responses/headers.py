"""The header fields of a response, read and written past the checks of Django's object where that is as it is known to be.

What a page holds was checked when the view set it; checking it again costs as much as all the rest of a hit. And Django finds out
that a field is absent by an exception, which costs more than all that is then done about it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpResponse
from django.http.response import HttpResponseBase

Fields = dict[str, tuple[str, str]]  # by the name in lower case: the name as it was written, and the value
# Looks a header field up by its name in lower case.
Get = Callable[[str], "str | None"]


def _put_all_publicly(response: HttpResponseBase, fields: Fields) -> None:
    for name in [name for name, _ in response.items()]:
        del response[name]
    for name, value in fields.values():
        response[name] = value


def _put_all_directly(response: HttpResponseBase, fields: Fields) -> None:
    response.headers._store = dict(fields)  # noqa: SLF001


def _getter_publicly(response: HttpResponseBase) -> Get:
    return response.get


def _getter_directly(response: HttpResponseBase) -> Get:
    held = response.headers._store.get  # noqa: SLF001

    def get(name: str) -> str | None:
        found = held(name)
        return None if found is None else found[1]

    return get


def _has_any_publicly(response: HttpResponseBase, names: frozenset[str]) -> bool:
    return any(response.has_header(name) for name in names)


def _has_any_directly(response: HttpResponseBase, names: frozenset[str]) -> bool:
    return not names.isdisjoint(response.headers._store)  # noqa: SLF001


def _put_publicly(response: Any, name: str, value: str) -> None:
    response[name] = value


def _put_directly(response: Any, name: str, value: str) -> None:
    response.headers._store[name.lower()] = name, value  # noqa: SLF001


put_all: Callable[[HttpResponseBase, Fields], None] = _put_all_publicly
"""Give a response these fields and no others."""
put: Callable[[Any, str, str], None] = _put_publicly
"""Set a field to a text of our own, which holds no line break and nothing but ASCII."""
getter: Callable[[HttpResponseBase], Get] = _getter_publicly
"""Return a function that looks a field up by its name in lower case."""
has_any: Callable[[HttpResponseBase, frozenset[str]], bool] = _has_any_publicly
"""Tell whether a response has one of these fields, in lower case."""


def prepare() -> None:
    """Choose the way; needs settings, so a middleware calls it when it is made."""
    global put_all, put, getter, has_any
    if _is_as_known():
        put_all, put, getter, has_any = _put_all_directly, _put_directly, _getter_directly, _has_any_directly


def _is_as_known() -> bool:
    """Tell whether Django's object is as it is in all releases since 3.2."""
    try:
        probe = HttpResponse()
        _put_all_directly(probe, {"a-b": ("A-B", "1")})
        _put_directly(probe, "C-D", "2")
        get = _getter_directly(probe)
        return (
            probe["a-B"] == "1"
            and get("c-d") == probe["C-d"] == "2"
            and get("content-type") is None
            and list(probe.items()) == [("A-B", "1"), ("C-D", "2")]
            and not probe.has_header("Content-Type")
        )
    except Exception:  # noqa: BLE001 - then by what is documented
        return False
