"""Findings about the rows of a request: result sets without a bound, and counts of large tables before each page.

What is looked at is what the cursors of remarkable statements told (rows.py); a request without any costs one look at each of
its statements when it is folded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from perfsuite.metrics.sightings import Sighting
from perfsuite.queries.advice import reading_of
from perfsuite.queries.fingerprint import MAX_SQL_CHARS
from perfsuite.queries.limits import limits
from perfsuite.queries.notes import Transaction
from perfsuite.queries.rows import Fetched, is_unlimited

UNBOUNDED, COUNT_PAGINATION, LONG_TRANSACTION = "unbounded", "count_pagination", "long_transaction"
# What a row costs beside the statement itself: to be fetched, and to become an object. On the careful side: a row of four columns
# took 7 us and one of eleven 19 us, the difference of 20,000 and 2,000 rows of a SQLite in memory (Python 3.11, Django 5.2).
ROW_US = 5.0
# To count so many rows less than are many takes long only where the condition does, which is to be told of the statement.
LARGE_BY_SLOW = 100
# What Model.objects.get() asks for.
ROWS_OF_GET = 21

_FROM = re.compile(r"""\bFROM (?!\()("[^"]+"|`[^`]+`|[\w.]+)""", re.IGNORECASE)
_WHERE = re.compile(
    r"""\bWHERE (.*?)(?: GROUP BY | ORDER BY | LIMIT |\) (?:AS )?["`]?(?:subquery|__\w+)\b|\Z)""",
    re.IGNORECASE | re.DOTALL,
)
_PAGE = re.compile(r"\bLIMIT (\d+)(?: OFFSET (\d+))?\s*\Z", re.IGNORECASE)

Fingerprint = Callable[[str, str], str]


class Scope(NamedTuple):
    """The rows that a statement is about: of which table, and under which condition."""

    table: str
    where: str


def remarkable(statements: Sequence[Any]) -> list[int]:
    """Return the places of the statements whose cursors told more than a number."""
    return [place for place, statement in enumerate(statements) if statement[-1].__class__ is Fetched]


def sightings(
    statements: Sequence[Any], places: Sequence[int], route: str, fingerprint: Fingerprint
) -> Iterator[Sighting]:
    """Yield what the remarkable ones among the statements of one request come to, each finding once.

    ``fingerprint(text, alias)`` names the statements.
    """
    yield from _once(_each(statements, places, route, fingerprint))


def of_commands(many: Sequence[Any], route: str) -> Iterator[Sighting]:
    """Yield what the commands of MongoDB come to of which more documents came than there may, each finding once."""
    yield from _once(
        _unbounded(
            (shape := command.shape(alias)).fingerprint,
            reading_of(shape).table,
            alias,
            route,
            seconds,
            Fetched(command.documents, command.site),
            f"{command.documents} documents came by a command without a limit; read them page by page, or stream those of a "
            "queryset with iterator().",
        )
        for command, alias, seconds, failed, *_ in many
        if not failed
    )


def _once(each: Iterable[Sighting]) -> Iterator[Sighting]:
    seen: dict[tuple[str, str, str, str], Sighting] = {}
    for sighting in each:
        key = sighting.kind, sighting.subject, sighting.alias, sighting.site
        before = seen.get(key)
        if before is not None:
            times = before.evidence["times"] + 1
            saving_us = before.saving_us + sighting.saving_us
            seen[key] = replace(sighting, saving_us=saving_us, evidence={**sighting.evidence, "times": times})
        else:
            seen[key] = sighting
    yield from seen.values()


def _each(
    statements: Sequence[Any], places: Sequence[int], route: str, fingerprint: Fingerprint
) -> Iterator[Sighting]:
    for place in places:
        text, alias, seconds, failed, *_, fetched = statements[place]
        if failed:
            continue
        if fetched.count is None:
            if is_unbounded(text, fetched):
                yield _unbounded(
                    fingerprint(text, alias), scope(text).table.strip('"`'), alias, route, seconds, fetched
                )
            continue
        least = limits.large if seconds < limits.slow_s else limits.large / LARGE_BY_SLOW
        if fetched.count < least:
            continue
        page = _page_after(statements, place)
        if page is not None:
            evidence = {
                "rows": fetched.count,
                "us": round(seconds * 1e6),
                "times": 1,
                "table": scope(text).table.strip('"`'),
                "page": fingerprint(page, alias),
                "about": scope(text).table.strip('"`'),
                "advice": "a page without a count",
                "sentence": f"{fetched.count} rows were counted in {seconds * 1e3:.0f} ms before a page of them was read; keep "
                "the count for a while, or page by key without it.",
            }
            yield Sighting(
                COUNT_PAGINATION,
                fingerprint(text, alias),
                alias,
                route,
                fetched.site,
                seconds * 1e6,
                evidence,
            )


def is_unbounded(text: str, fetched: Fetched) -> bool:
    """Tell whether more rows came than there may, and nothing in the statement says how many may come.

    What is streamed is never held at once; and of the rows that were asked for by key, as ``in_bulk`` does, there are no
    more than keys.
    """
    if fetched.streamed or fetched.rows <= limits.rows or not is_unlimited(text):
        return False
    asked_for = text.count("%s") + text.count("?") if " IN (" in text else 0
    return fetched.rows > asked_for and not (asked_for and len(text) >= MAX_SQL_CHARS)


def scope(text: str) -> Scope:
    """Return what rows a SELECT is about, its joins and its order apart."""
    table, where = _FROM.search(text), _WHERE.search(text)
    return Scope(table.group(1) if table else "", where.group(1) if where else "")


def of_transaction(held: Transaction, route: str) -> Sighting:
    """Return the sighting of a transaction that was held long; what is saved is the time in which it only waited."""
    spent = (
        f", and its {held.statements} statements took {held.sql_s * 1e3:.0f} ms of that"
        if held.statements
        else ""
    )
    evidence = {
        "ms": round(held.seconds * 1e3),
        "sql_ms": round(held.sql_s * 1e3),
        "statements": held.statements,
        "about": held.alias,
        "advice": "a shorter transaction",
        "sentence": f"A transaction was open for {held.seconds * 1e3:.0f} ms{spent}; "
        "move out of it, or into on_commit(), what is not about the database.",
    }
    saving_us = max(0.0, held.seconds - held.sql_s) * 1e6
    return Sighting(LONG_TRANSACTION, route, held.alias, route, held.site, saving_us, evidence)


def _unbounded(
    subject: str, table: str, alias: str, route: str, seconds: float, fetched: Fetched, sentence: str = ""
) -> Sighting:
    spare = fetched.rows - limits.rows
    saving_us = seconds * 1e6 * spare / fetched.rows + spare * ROW_US
    evidence = {
        "rows": fetched.rows,
        "limit": limits.rows,
        "us": round(seconds * 1e6),
        "times": 1,
        "about": table,
        "advice": "a page, or iterator()",
        "sentence": sentence
        or f"{fetched.rows} rows came by a statement without a LIMIT; read them page by page, or stream them with iterator().",
    }
    return Sighting(UNBOUNDED, subject, alias, route, fetched.site, saving_us, evidence)


def _page_after(statements: Sequence[Any], place: int) -> str | None:
    """Return the page of the rows that were counted at a place, if one was read after it."""
    alias, counted, key = statements[place][1], scope(statements[place][0]), statements[place][4]
    for text, of, _, _, parameters, *_ in statements[place + 1 :]:
        if (
            of != alias
            or (counted.where and parameters != key)
            or type(text) is not str
            or not (page := _PAGE.search(text))
        ):
            continue
        rows, offset = int(page.group(1)), page.group(2)
        if rows > 1 and (rows != ROWS_OF_GET or offset) and scope(text) == counted:
            return text
    return None
