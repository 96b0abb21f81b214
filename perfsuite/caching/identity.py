"""What a call is called: a key that equal arguments share and others do not, of whatever types they are.

Each part is written with its type and its length, so 1, "1" and True are three, and ("a", "bc") is not ("ab", "c").
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from enum import Enum
from hashlib import blake2b
from typing import Any
from uuid import UUID

from django.utils.functional import Promise
from django.utils.safestring import SafeString


class NoIdentity(TypeError):
    """A value has nothing by which it could be told from others tomorrow, or in another process."""


_BY_REPR = frozenset({type(None), bool, int, float, complex, Decimal, UUID, date, timedelta})
_SEQUENCES = frozenset({list, tuple})
_SETS = frozenset({set, frozenset})


def digest(value: Any) -> str:
    """Return 32 characters that stand for a value; NoIdentity if it has no stable one."""
    return blake2b(canonical(value), digest_size=16).hexdigest()


# Hot path: each call of a cached function
def canonical(value: Any) -> bytes:
    """Return bytes that equal values of the same types share, and no others."""
    kind = type(value)
    if kind is str:
        return _part("str", value.encode("utf-8", "surrogatepass"))
    if kind in _BY_REPR:
        return _part(kind.__name__, repr(value).encode())
    if kind in _SEQUENCES:
        return _part(kind.__name__, b"".join(map(canonical, value)))
    if kind is dict:
        pairs = sorted(canonical(key) + canonical(item) for key, item in value.items())
        return _part("dict", b"".join(pairs))
    return _canonical_object(value, kind)


def _canonical_object(value: Any, kind: type) -> bytes:
    if kind in _SETS:
        return _part(kind.__name__, b"".join(sorted(map(canonical, value))))
    if kind is bytes:
        return _part("bytes", value)
    if kind is datetime or kind is time:
        zone = value.tzinfo
        return _part(kind.__name__, f"{value.isoformat()} {value.fold} {_zone(zone)}".encode())
    if isinstance(value, Enum):
        return _part("enum", f"{_path(kind)}.{value.name}".encode())
    return _canonical_special(value, kind)


def _canonical_special(value: Any, kind: type) -> bytes:
    if kind.__module__ == "bson.objectid":  # MongoDB's keys; not imported for hosts without it
        return _part("ObjectId", str(value).encode())
    if kind is SafeString:
        return _part("SafeString", value.encode("utf-8", "surrogatepass"))
    if isinstance(value, Promise):  # a lazy translation, as it reads now
        return canonical(str(value))
    if isinstance(value, type):
        if "<locals>" not in value.__qualname__:
            return _part("type", _path(value).encode())
    elif hasattr(kind, "_meta") and hasattr(value, "pk"):  # a model instance; Django's models load slowly
        if value.pk is None:
            raise NoIdentity(f"a {value._meta.label} that is not saved yet")
        return _part("model", value._meta.label_lower.encode() + b":" + canonical(value.pk))
    raise NoIdentity(f"a value of {_path(kind)}")


def _part(kind: str, data: bytes) -> bytes:
    return b"%s:%d:%s" % (kind.encode(), len(data), data)


def _path(kind: Callable[..., Any]) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _zone(zone: tzinfo | None) -> str:
    return "" if zone is None else str(zone)
