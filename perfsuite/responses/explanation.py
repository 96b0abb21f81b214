"""What an explanation is made of: its steps, its conclusion, and the sentences that both are written in."""

from __future__ import annotations

import math
from typing import NamedTuple

from perfsuite.responses import pages
from perfsuite.responses.exchange import Exchange
from perfsuite.responses.pages import Page
from perfsuite.responses.reasons import ADVICE, CLAUSES


class Step(NamedTuple):
    """One thing that was looked at, and what was found."""

    name: str
    text: str


class Explanation:
    """The steps in order; then whether a repeat is answered from the cache, and in a word why not."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.is_cached = False
        self.reason = ""

    def say(self, name: str, text: str) -> None:
        """Add a step."""
        self.steps.append(Step(name, text))

    def conclude(
        self, text: str, reason: str = "", *, is_cached: bool = False, advice: str = ""
    ) -> Explanation:
        """Add the last step, before it what to do about the reason, or about the one that ``advice`` names."""
        self.reason, self.is_cached = reason, is_cached
        if (advice or reason) in ADVICE:
            self.say("advice", ADVICE[advice or reason])
        self.say("conclusion", text)
        return self


def runs_each_time(reason: str, exchange: Exchange | None = None) -> str:
    """Return the conclusion that nothing is repeated, and why."""
    return f"Each request runs its view, because {because(reason, exchange)}."


def because(reason: str, exchange: Exchange | None = None) -> str:
    """Return the clause of a reason, with the names of the cookies that were read where it is about them."""
    clause = CLAUSES[reason]
    read = getattr(getattr(exchange, "cookies", None), "read", None)
    return f"{clause} ({', '.join(sorted(read))})" if reason == "cookies" and read else clause


def in_seconds(seconds: float) -> str:
    """Return seconds as they are written."""
    return f"{math.ceil(seconds):,} s"


def lifetime(page: Page, left: float) -> str:
    """Return how long a page is fresh that is so for ``left`` seconds, to follow what says that it is a page."""
    if not page[pages.FRESH_UNTIL]:
        return ", to be validated each time"
    return f", fresh for {in_seconds(left)}" if left > 0 else ", stale"
