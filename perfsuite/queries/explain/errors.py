"""The one error of this package."""

from __future__ import annotations

from perfsuite.exceptions import PerfsuiteError


class NotExplainable(PerfsuiteError):
    """There is no plan; the message says in one sentence why, and what to type where that helps."""


def refused(why: str) -> NotExplainable:
    """Return the error for a statement that is never sent to the database."""
    return NotExplainable(f"This statement is not explained: {why}.")
