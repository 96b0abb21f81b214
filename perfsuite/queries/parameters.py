"""Parameters of a statement as one number: alike for alike ones, and neither the parameters nor a part of them.

Only a single number is not made into another one; who notes a statement holds it as it is until the request is folded.

A large one is neither kept nor read to its end, so that a megabyte costs what a word costs: its length, its ends and its middle
tell it from others.
"""

from __future__ import annotations

import datetime
import decimal
import itertools
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

# Texts up to this length are hashed whole, and of longer ones three pieces of a third of that.
MAX_CHARS = 240
PIECE = 80
# Of more values than this, the first and the last ones tell.
MAX_VALUES = 60
MAX_DEPTH = 16
# So many values in all, at whatever depth.
MAX_TOTAL = 1_000

# Of these types, values are hashed as they are. MongoDB's own kind of key joins them when the first one comes.
_plain = {
    int, float, bool, type(None), complex, uuid.UUID, datetime.date, datetime.datetime, datetime.time, datetime.timedelta,
    decimal.Decimal,
}  # fmt: skip
_PLAIN_BASES = (int, float, uuid.UUID, datetime.date, datetime.time, datetime.timedelta, decimal.Decimal)
# Values that can be kept as they are.
_as_is = {int, float, bool, type(None)}
# What cannot be compared counts as different from all others.
_unlike = itertools.count()


# Hot path: benchmarks/overhead.py, benchmarks/mongodb.py
def key_of(parameters: Any) -> int:
    """Return a number for the parameters of a statement. Never raises."""
    try:
        if not parameters:
            return 0
        kind = type(parameters)
        if kind is tuple and len(parameters) <= MAX_VALUES:
            for value in parameters:
                if type(value) not in _plain and (type(value) is not str or len(value) > MAX_CHARS):
                    break
            else:
                return hash(parameters)
        elif kind is dict and len(parameters) <= MAX_VALUES:
            for value in parameters.values():
                if type(value) not in _plain and (type(value) is not str or len(value) > MAX_CHARS):
                    break
            else:
                return hash((*parameters, *parameters.values()))
        return hash(_outline(parameters, 0, [MAX_TOTAL]))
    except Exception:  # noqa: BLE001 - what the host's class may raise; a signalling NaN has no hash
        return _hash_of_unlike()


def _hash_of_unlike() -> int:
    return hash(("unlike", next(_unlike)))


def hash_of(*outlines: Any) -> int:
    """Return the hash of what ``outlines_of`` has returned."""
    try:
        return hash(outlines)
    except TypeError:  # a signalling NaN has none
        return _hash_of_unlike()


# Hot path: benchmarks/mongodb.py
def outlines_of(values: Iterable[Any]) -> list[Any]:
    """Return something small and hashable for each of some values, alike for alike ones."""
    left = [MAX_TOTAL]
    return [_outline(value, 1, left) for value in values]


# Hot path: benchmarks/mongodb.py
def _outline(value: Any, depth: int, left: list[int]) -> Any:
    """Return something small and hashable that is alike for alike values."""
    kind = type(value)
    if kind in _plain:
        return value
    if isinstance(value, (str, bytes)):
        if len(value) > MAX_CHARS:
            return _pieces(value)
        return value if kind is str or kind is bytes else value[:]  # bson's Code, a text, has no hash
    left[0] -= 1
    if depth < MAX_DEPTH and left[0] > 0:
        if kind is dict or isinstance(value, Mapping):
            return _outline_of_mapping(value, depth + 1, left)
        if isinstance(value, (list, tuple)):
            some = value if len(value) <= MAX_VALUES else _ends(value)
            return len(value), *[
                each if type(each) in _plain else _outline(each, depth + 1, left) for each in some
            ]
    return _outline_of_other(value, kind)


def _outline_of_mapping(value: Mapping[Any, Any], depth: int, left: list[int]) -> tuple[Any, ...]:
    outline: list[Any] = [len(value)]
    for name, each in (
        value.items() if len(value) <= MAX_VALUES else itertools.islice(value.items(), MAX_VALUES)
    ):
        outline.append(name if type(name) is str else str(name))
        outline.append(each if type(each) in _plain else _outline(each, depth, left))
    return tuple(outline)


def _outline_of_other(value: Any, kind: type) -> Any:
    if isinstance(value, (bytearray, memoryview)):
        return _pieces(memoryview(value).cast("B")) if len(value) > MAX_CHARS else bytes(value)
    if isinstance(value, _PLAIN_BASES):
        return hash(value)
    if kind.__module__ == "bson.objectid":
        _plain.add(kind)
        return value
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


def _ends(values: Any) -> Any:
    return (*values[: MAX_VALUES // 2], *values[-MAX_VALUES // 2 :])


def kept(parameters: Any) -> list[Any]:
    """Return the parameters as what can be kept: plain values, texts cut, and only so many of them."""
    if type(parameters) is not tuple:
        parameters = parameters.values() if isinstance(parameters, Mapping) else parameters or ()
    some = itertools.islice(parameters, MAX_VALUES)
    return [value if type(value) in _as_is else _kept(value) for value in some]


def _kept(value: Any) -> Any:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"<{len(value)} bytes>"
    if isinstance(value, str):
        return value[:MAX_CHARS]
    try:
        return str(value)[:MAX_CHARS]
    except Exception:  # noqa: BLE001 - what the host's class may raise
        return f"<{type(value).__name__}>"
