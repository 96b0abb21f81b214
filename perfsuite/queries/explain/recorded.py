"""Plans of statements that were recorded: by their fingerprint, from what is remembered of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from perfsuite.exceptions import StoreUnavailable
from perfsuite.metrics.exemplars import exemplars
from perfsuite.metrics.query import Window, top
from perfsuite.metrics.request import suppress
from perfsuite.queries import kinds
from perfsuite.queries.conf import QuerySettings
from perfsuite.queries.explain import asking_mongodb, relational
from perfsuite.queries.explain.connections import wrapper_of
from perfsuite.queries.explain.errors import NotExplainable, refused
from perfsuite.queries.explain.plans import Plan
from perfsuite.queries.fingerprint import MAX_SQL_CHARS
from perfsuite.queries.short_id import short_id

# How far back a statement is looked for, and how many are looked at.
WINDOW_S = 30 * 86_400
MAX_STATEMENTS = 10_000
# Between SQL and the commands that djongo made of it.
ARROW = " → "


class Recorded(NamedTuple):
    """A statement as it is recorded."""

    fingerprint: str
    alias: str


def explain(fingerprint: str, alias: str, *, analyze: bool | None = None) -> Plan:
    """Return the plan of a recorded statement; raise ``NotExplainable``, with one sentence, where there is none.

    Of what is remembered the instance with its parameters is taken, else the slowest; masked values are not taken for its own.
    ``analyze`` None is the option ``EXPLAIN_ANALYZE``. Asks the database on a connection of its own, for at most
    ``EXPLAIN_TIMEOUT_MS``; records nothing.
    """
    settings = QuerySettings.get()
    with suppress():
        data = _remembered(fingerprint, alias)
        timeout_ms = settings.explain_timeout_ms
        if _is_mongodb(alias):
            *_, shape = fingerprint.split(ARROW)
            command = data.get("command") or shape
            if isinstance(command, str) and not command.startswith("{"):  # a shape, behind djongo's SQL
                *_, command = command.split(ARROW)
            return asking_mongodb.explain_command(
                alias,
                shape.partition(".")[0],
                command,
                timeout_ms=timeout_ms,
                url=settings.explain_mongodb_url,
            )
        # Without an instance, the fingerprint is a statement too, with a placeholder for each value.
        sql = str(data.get("sql") or fingerprint)
        if len(sql) >= MAX_SQL_CHARS:
            raise refused("it is so long that only its beginning was kept")
        return relational.explain_sql(
            alias,
            sql,
            None if settings.mask_params else data.get("params"),
            timeout_ms=timeout_ms,
            analyze=settings.explain_analyze if analyze is None else analyze,
        )


def find(name: str, alias: str = "") -> Recorded:
    """Return the recorded statement of that fingerprint or short id, on that alias if given; else ``NotExplainable``."""
    name = name.strip()
    recorded = _recorded()
    if alias and alias not in {each.alias for each in recorded} and alias != asking_mongodb.BARE:
        wrapper_of(alias)
    named = [each for each in recorded if name in (each.fingerprint, short_id(each.fingerprint))]
    found = [each for each in named if alias in ("", each.alias)]
    if not found:
        where = f" on {alias!r}" if alias else ""
        raise NotExplainable(
            f"No statement {_shown(name)} was recorded{where} in the last {WINDOW_S // 86_400} days; "
            "write a fingerprint or its short id, as the panel shows it."
        )
    if len({each.fingerprint for each in found}) > 1:
        raise NotExplainable(f"{name!r} is the short id of several statements; write the whole fingerprint.")
    if len(found) > 1:
        aliases = " or ".join(sorted(f"--database {each.alias}" for each in found))
        raise NotExplainable(f"The statement {_shown(name)} ran on several databases; add {aliases}.")
    return found[0]


def _shown(name: str) -> str:
    return repr(name if len(name) <= 60 else name[:59] + "…")


def _recorded() -> list[Recorded]:
    rows = _top(kinds.FINGERPRINT, ("fingerprint", "alias"))
    return [Recorded(row["fingerprint"], row["alias"]) for row in rows]


def _top(kind: str, by: tuple[str, ...]) -> list[dict[str, str]]:
    try:
        rows = top(kind, Window.last(WINDOW_S), by, limit=MAX_STATEMENTS, percentiles=False)
    except StoreUnavailable as exc:
        raise NotExplainable(str(exc)) from exc
    return [row.labels for row in rows if is_one(row.labels["fingerprint"])]


def is_one(fingerprint: str) -> bool:
    """Tell whether a label is a statement, and not the rest of them or one whose description is gone."""
    return not (fingerprint.startswith("<") and fingerprint.endswith(">"))


def _is_mongodb(alias: str) -> bool:
    if alias == asking_mongodb.BARE and alias not in asking_mongodb.aliases():
        return True
    return wrapper_of(alias).vendor in asking_mongodb.VENDORS


def _remembered(fingerprint: str, alias: str) -> Mapping[str, Any]:
    """Return the details of the instance to explain; empty where none is remembered."""
    routes = [
        row["route"]
        for row in _top(kinds.FINGERPRINT, ("fingerprint", "alias", "route"))
        if (row["fingerprint"], row["alias"]) == (fingerprint, alias)
    ]
    try:
        rows = [row for route in routes for row in exemplars(kinds.FINGERPRINT, (fingerprint, alias, route))]
    except StoreUnavailable as exc:
        raise NotExplainable(str(exc)) from exc
    best = max(rows, key=lambda row: (row.data.get("params") is not None, row.value), default=None)
    return best.data if best is not None else {}
