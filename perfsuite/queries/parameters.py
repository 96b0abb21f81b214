"""Parameters of a statement as one number: alike for alike ones, and neither the parameters nor a part of them.

A large one is neither kept nor read to its end, so that a megabyte costs what a word costs: its length, its ends and its middle
tell it from others.
"""

from __future__ import annotations

import datetime
import decimal
import itertools
import uuid
from collections.abc import Mapping
from typing import Any

# Texts up to this length are hashed whole, and of longer ones three pieces of a third of that.
MAX_CHARS = 240
PIECE = 80
# Of more values than this, the first and the last ones tell.
MAX_VALUES = 60
MAX_DEPTH = 16
# So many values in all, at whatever depth.
MAX_TOTAL = 1_000

_PLAIN = frozenset([
    int, float, bool, type(None), complex, uuid.UUID, datetime.date, datetime.datetime, datetime.time, datetime.timedelta,
    decimal.Decimal,
])  # fmt: skip
_PLAIN_BASES = (int, float, uuid.UUID, datetime.date, datetime.time, datetime.timedelta, decimal.Decimal)
# What cannot be compared counts as different from all others.
_unlike = itertools.count()


# Hot path: benchmarks/overhead.py
def key_of(parameters: Any) -> int:
    """Return a number for the parameters of a statement."""
    if not parameters:
        return 0
    if type(parameters) is tuple and len(parameters) <= MAX_VALUES:
        for value in parameters:
            if type(value) not in _PLAIN and (type(value) is not str or len(value) > MAX_CHARS):
                break
        else:
            try:
                return hash(parameters)
            except TypeError:  # a signalling NaN has none
                return _hash_of_unlike()
    try:
        return hash(_outline(parameters, 0, [MAX_TOTAL]))
    except Exception:  # noqa: BLE001 - what the host's class may raise
        return _hash_of_unlike()


def _hash_of_unlike() -> int:
    return hash(("unlike", next(_unlike)))


def _outline(value: Any, depth: int, left: list[int]) -> Any:  # noqa: PLR0911 - one for each kind of value
    """Return something small and hashable that is alike for alike values."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if isinstance(value, (str, bytes)):
        if len(value) > MAX_CHARS:
            return _pieces(value)
        return value if kind is str or kind is bytes else value[:]  # bson's Code, a text, has no hash
    if isinstance(value, (bytearray, memoryview)):
        return _pieces(memoryview(value).cast("B")) if len(value) > MAX_CHARS else bytes(value)
    left[0] -= 1
    if depth < MAX_DEPTH and left[0] > 0:
        if isinstance(value, (list, tuple)):
            return (len(value), *[_outline(each, depth + 1, left) for each in _some(value)])
        if isinstance(value, Mapping):
            some = itertools.islice(value.items(), MAX_VALUES)
            return (len(value), *[(str(name), _outline(each, depth + 1, left)) for name, each in some])
    if isinstance(value, _PLAIN_BASES):
        return hash(value)
    if kind.__module__.startswith("bson."):
        return _of_bson(value)
    return "unlike", next(_unlike)


def _of_bson(value: Any) -> Any:
    try:
        return hash(value)
    except TypeError:  # Decimal128 and Regex have none, and DBRef not always
        text = repr(value)
        return text if len(text) <= MAX_CHARS else _pieces(text)


def _pieces(value: Any) -> Any:
    middle = len(value) // 2
    pieces = (value[:PIECE], value[middle : middle + PIECE], value[-PIECE:])
    return len(value), *(bytes(piece) if isinstance(piece, memoryview) else piece for piece in pieces)


def _some(values: Any) -> Any:
    return values if len(values) <= MAX_VALUES else (*values[: MAX_VALUES // 2], *values[-MAX_VALUES // 2 :])


def kept(parameters: Any) -> list[Any]:
    """Return the parameters as what can be kept: plain values, texts cut, and only so many of them."""
    values = parameters.values() if isinstance(parameters, Mapping) else parameters or ()
    return [_kept(value) for value in itertools.islice(values, MAX_VALUES)]


def _kept(value: Any) -> Any:
    if value is None or type(value) in (int, float, bool):
        return value
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"<{len(value)} bytes>"
    if isinstance(value, str):
        return value[:MAX_CHARS]
    try:
        return str(value)[:MAX_CHARS]
    except Exception:  # noqa: BLE001 - what the host's class may raise
        return f"<{type(value).__name__}>"
