"""Brings a database to its plan. All that can be known to fail is found before the first index is made."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from perfsuite.indexes import planning
from perfsuite.indexes.collecting import collect_soon
from perfsuite.indexes.compare import CONFLICT, CREATE, Change
from perfsuite.indexes.engines.base import Duplicates, Engine, Say
from perfsuite.indexes.errors import DatabaseRefused
from perfsuite.indexes.planning import Plan


@dataclass(frozen=True)
class Created:
    """An index that was made, and how long it took."""

    change: Change
    seconds: float


def apply(
    engine: Engine,
    app: str = "",
    *,
    say: Say,
    done: Callable[[Created], None],
    show_values: bool = False,
    skip_missing: bool = False,
) -> Plan:
    """Make what is missing, one index after the other, and return the plan as it was; ``done`` hears of each.

    Nothing is made where something conflicts, rows stand in the way of a unique index, or the user may not. Killed at any point,
    the next run goes on. Raises ``DeclarationError`` and ``DatabaseRefused``.
    """
    plan = planning.make(engine, app, skip_missing=skip_missing)
    if plan.is_complete:
        return plan
    _require_no_conflict(plan)
    engine.require_writable({change.table for change in plan.of(CREATE)})
    with engine.alone(say):
        # Whoever was at it before has changed what is there.
        plan = planning.make(engine, app, skip_missing=skip_missing)
        _require_no_conflict(plan)
        _require_possible(engine, plan.of(CREATE))
        _require_no_duplicates(engine, plan.of(CREATE), show_values=show_values)
        creates = plan.of(CREATE)
        for number, change in enumerate(creates, 1):
            if change.wanted is None:
                continue
            say(f"{engine.alias}: {number} of {len(creates)}, creating {change.name} on {change.table}")
            started = time.monotonic()
            engine.create(change.wanted, change.present, say)
            done(Created(change, time.monotonic() - started))
    if creates:
        collect_soon()
    return plan


def _require_no_conflict(plan: Plan) -> None:
    if found := plan.of(CONFLICT):
        sentences = [
            f"{each.name} on {each.table} conflicts, so nothing was created: {each.reason}; give it another name, or drop "
            "the other with --drop-unused."
            for each in found
        ]
        raise DatabaseRefused("\n".join(sentences))


def _require_possible(engine: Engine, creates: Iterable[Change]) -> None:
    problems: dict[str, None] = {}
    for change in creates:
        if change.wanted and not (change.present and change.present.hidden):
            try:
                engine.rehearse(change.wanted)
            except DatabaseRefused as exc:
                problems[str(exc)] = None
    if problems:
        raise DatabaseRefused("\n".join([*problems, "Nothing was created."]))


def _require_no_duplicates(engine: Engine, creates: Iterable[Change], *, show_values: bool) -> None:
    sentences = []
    for change in creates:
        if (
            change.wanted
            and change.wanted.definition.unique
            and not (change.present and change.present.hidden)
        ):
            found = engine.duplicates(change.wanted)
            if found:
                sentences.append(in_words(change, found, show_values=show_values))
    if sentences:
        raise DatabaseRefused("\n".join(sentences))


def in_words(change: Change, found: Duplicates, *, show_values: bool) -> str:
    """Return the rows in the way of a unique index as a sentence, values masked unless they are to be shown."""
    columns = [column.name for column in change.definition.columns]
    examples = []
    for values, rows in found.examples:
        pairs = zip(columns, values, strict=False)
        key = ", ".join(
            f"{column}={repr(value) if show_values else masked(value)}" for column, value in pairs
        )
        examples.append(f"({key}) in {rows:,} rows")
    are = "key is" if found.keys == 1 else "keys are"
    return (
        f"{found.keys:,} {are} more than once in {change.table}, so the unique index {change.name} is impossible and nothing "
        f"was created: {'; '.join(examples)}{'.' if show_values else '; add --show-values to see them.'}"
    )


def masked(value: object) -> str:
    """Return a value as its kind alone."""
    if value is None:
        return "NULL"
    return f"<text of {len(value)}>" if isinstance(value, str) else f"<{type(value).__name__}>"
