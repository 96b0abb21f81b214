"""Any mapping as a JSON text of bounded length, which every database takes.

Never raises: what is not JSON becomes its text, and what cannot be read, nothing. Characters beyond ASCII are escaped, since a
NUL or half a surrogate pair would be refused by a database.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from itertools import islice
from typing import Any

MAX_ITEMS = 100
MAX_DEPTH = 6
CUT = "…"


def to_json(data: Mapping[str, Any], max_chars: int) -> str:
    """Return ``data`` as JSON of at most ``max_chars`` characters: long texts are cut, and the longest values go."""
    try:
        text = json.dumps(_plain(data, max_chars, 0), separators=(",", ":"))
        return text if len(text) <= max_chars else _fitted(json.loads(text), max_chars)
    except Exception:  # noqa: BLE001 - a host's __str__ or __getitem__ may do anything
        return "{}"


def clean(text: object, max_chars: int) -> str:
    """Return a text of at most ``max_chars`` characters that every database takes as it is."""
    said = text if type(text) is str else str(text)
    if len(said) > max_chars:
        said = said[: max_chars - 1] + CUT
    if said.isascii() and "\0" not in said:
        return said
    return said.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


def _plain(value: Any, max_chars: int, depth: int) -> Any:
    if value is None or isinstance(value, (bool, int)):
        return value if not isinstance(value, int) or abs(value) < 2**63 else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if depth < MAX_DEPTH:
        if isinstance(value, Mapping):
            items = islice(value.items(), MAX_ITEMS)
            return {str(key)[:200]: _plain(each, max_chars, depth + 1) for key, each in items}
        if isinstance(value, (list, tuple, set, frozenset)):
            return [_plain(each, max_chars, depth + 1) for each in islice(value, MAX_ITEMS)]
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"<{len(value)} bytes>"
    said = value if isinstance(value, str) else str(value)
    return said if len(said) <= max_chars else said[: max_chars - 1] + CUT


def _fitted(data: dict[str, Any], max_chars: int) -> str:
    """Cut the largest values, one after the other, until all fit."""
    sizes = {key: len(json.dumps(value)) for key, value in data.items()}
    for key in sorted(sizes, key=lambda each: sizes[each], reverse=True):
        value = data[key]
        over = sum(sizes.values()) + sum(len(json.dumps(each)) + 2 for each in data) + 2 - max_chars
        if over <= 0:
            break
        kept = len(value) - over - 6 if isinstance(value, str) else 0
        data[key] = value[:kept] + CUT if kept > 0 else None
        sizes[key] = len(json.dumps(data[key]))
    text = json.dumps(data, separators=(",", ":"))
    return text if len(text) <= max_chars else "{}"
