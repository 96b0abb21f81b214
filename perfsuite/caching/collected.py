"""The tags of what is used while something larger is made of it, such as a response."""

from __future__ import annotations

from collections.abc import Iterable
from contextvars import ContextVar

# Whoever makes it puts a set here, and takes it away.
collecting: ContextVar[set[str] | None] = ContextVar("perfsuite_collected_tags", default=None)


def note(tags: Iterable[str]) -> None:
    """Add the tags of a value that is used, if somebody collects them."""
    collected = collecting.get()
    if collected is not None:
        collected.update(tags)
