"""The Cache-Status field (RFC 9211)."""

from __future__ import annotations

import re
from typing import Final

_TOKEN: Final = re.compile(r"[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]*\Z")
_NOT_PRINTABLE: Final = re.compile(r"[^\x20-\x7e]")
_MAX_TTL = 999_999_999_999_999  # the largest integer of a structured field


def cache_status(  # noqa: PLR0913 - one for each parameter of the field
    name: str,
    *,
    hit: bool = False,
    fwd: str = "",
    fwd_status: int | None = None,
    ttl: float | None = None,
    stored: bool = False,
    collapsed: bool = False,
    key: str = "",
    detail: str = "",
    before: str = "",
) -> str:
    """Return the value of the field: our member, after those of ``before``, the value that the response already has.

    A ``hit`` has none of ``fwd``, ``fwd_status``, ``stored`` and ``collapsed``. ``key`` and ``detail`` tell a stranger how the
    site is built: give them in debugging only.
    """
    parts = [f"{before}, {_item(name)}" if before else _item(name)]
    if hit:
        parts.append("hit")
    elif fwd:
        parts.append(f"fwd={fwd}")
        if fwd_status is not None:
            parts.append(f"fwd-status={fwd_status}")
    if ttl is not None:
        parts.append(f"ttl={_whole(ttl)}")
    if fwd and not hit:
        if stored:
            parts.append("stored")
        if collapsed:
            parts.append("collapsed")
    if key:
        parts.append(f"key={_string(key)}")
    if detail:
        parts.append(f"detail={_item(detail)}")
    return "; ".join(parts)


def _whole(ttl: float) -> int:
    return int(max(-_MAX_TTL, min(ttl, _MAX_TTL)) // 1)


def _item(text: str) -> str:
    return text if _TOKEN.match(text) else _string(text)


def _string(text: str) -> str:
    plain = _NOT_PRINTABLE.sub("?", text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{plain}"'
