"""What could not be done in a shared tier, and is to be made good before the tier is used again.

A value that was set is only dropped there: of several processes that set it meanwhile nobody knows who was last.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

MAX_KEYS = 10_000
MAX_TAGS = 10_000
AT_ONCE = 500


class Written(NamedTuple):
    """What was written down at one moment: keys, tags and whether they were removed, a clear, and whether it was too much."""

    keys: list[str]
    tags: dict[str, bool]
    everything: bool
    too_much: bool

    def __bool__(self) -> bool:
        return any(self)


class Pending:
    """What one process has written down. ``made_up`` says that tokens were used that no server knows."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.made_up = False
        self.keys: dict[str, None] = {}
        self.tags: dict[str, bool] = {}
        self.everything = False
        self._too_much = False

    def __bool__(self) -> bool:
        return bool(self.keys or self.tags or self.everything or self._too_much or self.made_up)

    def note_keys(self, fulls: Iterable[str]) -> None:
        """Write down keys whose values are not what they should be."""
        with self.lock:
            self.keys.update(dict.fromkeys(fulls))
            if len(self.keys) > MAX_KEYS:
                self.keys.clear()
                self.everything = True

    def note_tags(self, tags: Iterable[str], remove: bool) -> None:
        """Write down tags to be invalidated."""
        with self.lock:
            for tag in tags:
                self.tags[tag] = remove or self.tags.get(tag, False)
            if len(self.tags) > MAX_TAGS:
                self.tags.clear()
                self._too_much = self.everything = True

    def note_everything(self) -> None:
        """Write down that nothing should be left."""
        with self.lock:
            self.everything = True

    def settle(self, fulls: Iterable[str]) -> None:
        """Take back what was written down of keys: they are changed once more."""
        with self.lock:
            for full in fulls:
                self.keys.pop(full, None)

    def written(self) -> Written:
        """Return what is written down; called with the lock held."""
        return Written(list(self.keys), dict(self.tags), self.everything, self._too_much)

    def done(self, written: Written) -> None:
        """Take back what has been made good."""
        with self.lock:
            for full in written.keys:
                self.keys.pop(full, None)
            for tag, remove in written.tags.items():
                if self.tags.get(tag) is remove:
                    del self.tags[tag]
            self.everything = self.everything and not written.everything
            self._too_much = self._too_much and not written.too_much


def slices(names: Sequence[str]) -> Iterator[Sequence[str]]:
    """Return the names in parts that a server does at once."""
    for at in range(0, len(names), AT_ONCE):
        yield names[at : at + AT_ONCE]
