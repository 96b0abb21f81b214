"""The Cache-Status field (RFC 9211)."""

from __future__ import annotations


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

    ``key`` and ``detail`` tell a stranger how the site is built: give them in debugging only.
    """
    raise NotImplementedError
