"""The response cache: how many requests it answers, why it does not answer the others, and what those cost.

All cards are left out where ``ResponseCacheMiddleware`` is not used. A miss is a view that ran, whether its response was then
stored or not.
"""

from __future__ import annotations

from collections.abc import Mapping

from django.conf import settings

from perfsuite.metrics.query import Window
from perfsuite.panel.cards.base import (
    CardContext,
    CardData,
    Column,
    Line,
    Tile,
    change,
    chart,
    message,
    ms,
    percent,
    shares,
    table,
    tiles,
)
from perfsuite.panel.cards.compression import saved_tile
from perfsuite.responses import kinds
from perfsuite.responses.config import current_config

# From the bottom of the stack to its top.
OUTCOMES = (
    ("hit", "Hit"),
    ("stale", "Stale"),
    ("collapsed", "Collapsed"),
    ("validated", "Validated"),
    ("miss", "Miss"),
    ("bypassed", "Bypassed"),
)
WITHOUT_VIEW = ("hit", "stale", "collapsed")
# Why a view ran whose response may then be stored: what `kinds.CACHE` says of a miss that nothing kept from the store.
STORED = {
    "miss": "Not in the cache",
    "stale": "Stale in the cache",
    "request": "Client asked for a new one",
    "stream": "Streamed, stored at its end",
}
# Why the response of a view was not stored.
NOT_STORED = {
    "anonymous": "Kept for users, nobody logged in",
    "authorization": "Authorization in the request",
    "cookies": "Reads a cookie",
    "csrf": "Has a CSRF token",
    "event-stream": "Server-sent events",
    "failure": "Could not be judged, see the log",
    "file": "A file that the server sends",
    "messages": "Reads or adds messages",
    "method": "HEAD, only GET is stored",
    "must-understand": "Status not understood",
    "never": "The view forbids it",
    "no-lifetime": "States no lifetime",
    "no-store": "no-store in the response",
    "no-tenant": "No tenant",
    "nonce": "Has a CSP nonce",
    "private": "private in the response",
    "remote-user": "REMOTE_USER is set",
    "request-no-store": "no-store in the request",
    "session": "Touches the session",
    "set-cookie": "Sets a cookie",
    "size": "Larger than MAX_BODY_BYTES",
    "status": "Status that is not stored",
    "tags": "Too many tags",
    "tenant-inside": "Tenant not known early enough",
    "unrendered": "Not rendered",
    "useless": "Stale at once, no validator",
    "user": "Looks at the user",
    "vary-cookie": "Varies on Cookie",
    "vary-many": "Varies on too many fields",
    "vary-star": "Vary: *, or one that cannot be read",
    "waited": "Waited in vain for another's",
}
BYPASSED = {
    "failure": "The cache failed, see the log",
    "method": "Neither GET nor HEAD",
    "only-if-cached": "only-if-cached, nothing there",
}
VALIDATED = "Stale, the view said 304"
MIDDLEWARE = "ResponseCacheMiddleware"
ROWS = 10
ALL = 1_000

Answers = dict[tuple[str, str], int]


class Figures:
    """Hit rate, what was served stale or made once for several, and bytes saved by compression."""

    id = "response-figures"
    title = "Responses"

    def data(self, view: CardContext) -> CardData | None:
        """Return the tiles, a sentence where the cache has had nothing to do, or None where there is no cache."""
        answers = _answers(view, view.window)
        counts = _requests(answers)
        if not counts and not _count(answers, "bypassed"):
            text = _why_nothing()
            return message(self.id, self.title, text) if text else None
        whole, before = sum(counts.values()), _requests(_answers(view, view.previous))
        not_stored = sum(number for key, number in answers.items() if _is_unstored_miss(*key))
        shown = [
            Tile(
                "response_hit_rate",
                "Hit rate",
                _hit_rate(counts) if whole else None,
                unit="%",
                delta=change(_hit_rate(counts), _hit_rate(before), sum(before.values())),
                better="up",
                hint=f"of {whole:,} request{'' if whole == 1 else 's'}",
            ),
            _share_tile("stale", "Served stale", counts.get("stale", 0), whole, "old page, no wait"),
            Tile(
                "response_collapsed",
                "Views saved",
                counts.get("collapsed", 0),
                digits=0,
                better="neutral",
                hint="took another's page",
            ),
            _share_tile("not_stored", "Not stored", not_stored, whole, "reasons below"),
            *saved_tile(view),
        ]
        return tiles(self, shown, hint="GET and HEAD requests, and compression", size="small")


def _why_nothing() -> str:
    """Return why the response cache has answered nothing, "" where the site has none."""
    if not any(str(path).rpartition(".")[2] == MIDDLEWARE for path in settings.MIDDLEWARE or ()):
        return ""
    if current_config() is None:
        return (
            "The response cache is switched off. PERFSUITE['RESPONSES']['CACHE_ENABLED'] and "
            "PERFSUITE['CACHING']['ENABLED'] have to be True, and so CACHE_ENABLED in the environment, if it is there."
        )
    return "No requests through the response cache in this range yet."


def _answers(view: CardContext, window: Window) -> Answers:
    """Return how many requests had each outcome for each reason."""
    rows = view.read.top(kinds.CACHE, window, ("outcome", "reason"), "sum", ALL, percentiles=False)
    return {(row.labels["outcome"], row.labels["reason"]): round(row.value.sum) for row in rows}


def _count(answers: Answers, outcome: str) -> int:
    return sum(number for (each, _), number in answers.items() if each == outcome)


def _requests(answers: Answers) -> dict[str, int]:
    """Return the requests that a stored response could have answered, by outcome."""
    counts = {outcome: _count(answers, outcome) for outcome, _ in OUTCOMES if outcome != "bypassed"}
    return {outcome: number for outcome, number in counts.items() if number}


def _is_unstored_miss(outcome: str, reason: str) -> bool:
    return outcome == "miss" and reason not in STORED


def _hit_rate(counts: Mapping[str, int]) -> float:
    return percent(sum(counts.get(outcome, 0) for outcome in WITHOUT_VIEW), sum(counts.values()))


def _share_tile(name: str, label: str, part: int, whole: int, hint: str) -> Tile:
    value = percent(part, whole) if whole else None
    return Tile(f"response_{name}", label, value, unit="%", better="neutral", hint=hint)


class Outcomes:
    """How the requests were answered, over time, as shares."""

    id = "response-outcomes"
    title = "How requests are answered"

    def data(self, view: CardContext) -> CardData | None:
        """Return the chart, or None."""
        found = view.read.series_by(kinds.CACHE, view.window, view.step, "outcome")
        layers = [(outcome, label, found[outcome]) for outcome, label in OUTCOMES if outcome in found]
        if not layers:
            return None
        return chart(
            self,
            view,
            shares(layers),
            unit="%",
            hint="share of requests",
            width="half",
            stacked=True,
        )


class Reasons:
    """Why requests were not answered from the cache, and whether the next one can be."""

    id = "response-reasons"
    title = "Why not from the cache"

    def data(self, view: CardContext) -> CardData | None:
        """Return the table, or None."""
        answers = _answers(view, view.window)
        if not any(_count(answers, outcome) for outcome, _ in OUTCOMES):
            return None
        grouped: dict[tuple[str, str], int] = {}
        for (outcome, reason), number in answers.items():
            if outcome in ("miss", "validated", "bypassed"):
                words = _words(outcome, reason)
                grouped[words] = grouped.get(words, 0) + number
        whole = sum(grouped.values())
        lines: list[Line] = [
            [why, number, percent(number, whole), then]
            for (why, then), number in sorted(grouped.items(), key=lambda item: (-item[1], item[0]))[:ROWS]
        ]
        columns = (
            Column("reason", "Reason", "text"),
            Column("requests", "Requests"),
            Column("share", "Share", "share"),
            Column("outcome", "Response", "text"),
        )
        return table(
            self,
            columns,
            lines,
            sorted_by="requests",
            width="half",
            empty="Every request in this range was answered from the cache.",
        )


def _words(outcome: str, reason: str) -> tuple[str, str]:
    """Return a reason in words, and what became of the response."""
    if outcome == "validated":
        return VALIDATED, "Validated"
    if outcome == "bypassed":
        return BYPASSED.get(reason, reason), "Bypassed"
    if reason in STORED:
        return STORED[reason], "Stored"
    return NOT_STORED.get(reason, reason), "Not stored"


class Missed:
    """The routes whose views took the most time because no stored response answered: what there is to win."""

    id = "response-missed"
    title = "Routes by missed time"

    def data(self, view: CardContext) -> CardData | None:
        """Return the table, or None."""
        rows = view.read.top(kinds.MISSED, view.window, ("route",), "sum", ALL, percentiles=False)
        if not rows:
            return None
        whole = sum(row.value.sum for row in rows)
        lines: list[Line] = [
            [
                row.labels["route"],
                ms(row.value.sum),
                row.value.count,
                ms(row.value.mean),
                percent(row.value.sum, whole),
            ]
            for row in rows[:ROWS]
        ]
        columns = (
            Column("route", "Route", "text"),
            Column("total", "Missed time", "duration"),
            Column("misses", "Misses"),
            Column("avg", "Average", "ms"),
            Column("share", "Share", "share"),
        )
        hint = "views that ran because nothing was stored"
        return table(self, columns, lines, hint=hint, sorted_by="total")
