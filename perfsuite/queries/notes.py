"""What the queries app notes of a request beside its statements: transactions that were held long, and rows that it loaded.

Most requests have no notes; the object is made when there is something to note.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from perfsuite.metrics.request import Tally

if TYPE_CHECKING:
    from perfsuite.queries.loading import Loaded

# A request that holds more long transactions than this tells of the first ones.
MAX_TRANSACTIONS = 10


class Transaction(NamedTuple):
    """One that was held long: how long, how much of that its statements took, how many there were, and where it ended."""

    alias: str
    seconds: float
    sql_s: float
    statements: int
    site: str


class Notes:
    """The notes of one request."""

    __slots__ = ("loaded", "transactions")

    def __init__(self) -> None:
        self.transactions: list[Transaction] = []
        self.loaded: Loaded | None = None

    def ended(self) -> None:
        """Look no longer at what is read of the rows."""
        if self.loaded is not None:
            self.loaded.ended()


def notes_of(tally: Tally) -> Notes:
    """Return the notes of a request, begun if there are none."""
    if tally.notes is None:
        tally.notes = Notes()
    return tally.notes  # type: ignore[no-any-return]  # metrics knows of apps' notes only that they end
