"""What can be wrong with a declaration, and what a database can refuse; the message is always one sentence to act on."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from perfsuite.exceptions import PerfsuiteError

MAX_NAMED = 12


class DeclarationError(PerfsuiteError, ValueError):
    """An index is declared in a way that cannot be meant."""


class DatabaseRefused(PerfsuiteError):
    """A database cannot be reached, or refuses what was asked of it."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return the end of a sentence that names the closest of ``known``, or the first of them where none is close."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    if len(names) > MAX_NAMED:
        names[MAX_NAMED:] = [f"and {len(names) - MAX_NAMED} others"]
    return f"known are {', '.join(names)}." if names else "there are none."
