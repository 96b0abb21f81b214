"""A method of Django's replaced, and put back: for what no signal and no wrapper of Django's tells.

A patch is applied once however often that is asked for. One that somebody else has patched over cannot be taken out of their
hands; it stays there without effect, for each replacement asks whether its patch is ``on``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Patch:
    """One attribute of a class; ``make(original)`` returns what stands in its place while the patch is on.

    ``original`` is what the class itself holds, a ``classmethod`` object where it is one, or what it inherits.
    """

    def __init__(self, owner: type, name: str, make: Callable[[Any], Any]) -> None:
        self.owner, self.name, self.on = owner, name, False
        self._make = make
        self._held: Any = None
        self._is_own = False
        self._ours: Any = None

    def apply(self) -> None:
        """Put ours in its place. Idempotent."""
        if self.on:
            return
        self.on = True
        if self._ours is not None:  # it is still there, below a patch of another's
            return
        self._is_own = self.name in vars(self.owner)
        self._held = vars(self.owner)[self.name] if self._is_own else getattr(self.owner, self.name)
        self._ours = self._make(self._held)
        setattr(self.owner, self.name, self._ours)

    def remove(self) -> None:
        """Put back what was there, unless somebody has patched over ours. Idempotent."""
        self.on = False
        if self._ours is None or vars(self.owner).get(self.name) is not self._ours:
            return
        if self._is_own:
            setattr(self.owner, self.name, self._held)
        else:
            delattr(self.owner, self.name)
        self._held = self._ours = None
