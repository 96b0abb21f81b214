"""How processes learn what the others have changed: the channels, and what travels on them."""

from __future__ import annotations

from typing import NamedTuple

from perfsuite.caching.entry import Token

OPS = frozenset("SDCTRN")


class Message(NamedTuple):
    """What a process did. ``op``: S a set, D a delete, C a clear, T a tag outdated, R a tag removed, N nothing.

    F is what could not be understood, and may have been about anything: all is forgotten.

    ``key`` is that of the entry or the name of the tag; ``digest`` and ``expires`` are those of the value that was set; ``token``
    is the tag's new one, where all processes share them.
    """

    op: str
    mine: bool
    key: str = ""
    digest: int = 0
    expires: float = 0.0
    token: Token | None = None
