"""The short name of a statement, as the panel and the commands list it. Pure."""

from __future__ import annotations

from hashlib import blake2b

CHARS = 8


def short_id(fingerprint: str) -> str:
    """Return the first eight hexadecimal digits of the BLAKE2b hash of a fingerprint's text."""
    return blake2b(fingerprint.encode("utf-8", "surrogatepass")).hexdigest()[:CHARS]
