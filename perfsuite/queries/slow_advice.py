"""What to do about a slow statement, from its text alone: look at its plan, or, of a write, what is slow where there is no plan.

Rows that are written in one statement or in many look alike, so what is said of batches is for both.
"""

from __future__ import annotations

import re

from perfsuite.queries.advice import Advice, label_of, models, reading_of
from perfsuite.queries.fingerprint import Shape
from perfsuite.queries.repeats import CHANGES, INSERTS, READS, written_table

# The advice on a search inside of texts.
FULL_TEXT = "full-text search"
# Of the columns of a filter, so many are named.
MAX_NAMED = 5

_SEARCHED = re.compile(r"""["`]?(\w+)["`]?(?:::\w+)?\)? I?LIKE """, re.IGNORECASE)
_SQL_COSTS = "its indexes, its triggers, the lock of another transaction or the disk"
_MONGODB_COSTS = "its indexes, its write concern or the disk"


def advise_slow(shape: Shape) -> Advice:
    """Return what to do about a slow statement."""
    about = label_of(written_table(shape) or reading_of(shape).table)
    named = about or "the database"
    if shape.operation in READS:
        return _of_reading(shape, about, named)
    costs = _SQL_COSTS if shape.operation.isupper() else _MONGODB_COSTS
    if shape.operation in INSERTS:
        sentence = (
            f"Inserting into {named} is slow; the time goes to {costs}: drop the indexes that nothing uses, keep transactions "
            "short, and insert many rows by bulk_create() with a batch_size."
        )
        return Advice(about, "fewer indexes, short transactions, bulk_create()", sentence)
    if shape.operation in CHANGES:
        return _of_changing(shape, about, named, costs)
    sentence = (
        f"{shape.operation} is slow, and there is no plan of it: see what it waits for, a lock or the disk, and run it outside "
        "of requests."
    )
    return Advice(about, "see what it waits for", sentence)


def _of_reading(shape: Shape, about: str, named: str) -> Advice:
    searched = dict.fromkeys(_SEARCHED.findall(shape.fingerprint)) if shape.operation == "SELECT" else ()
    if searched:
        sentence = (
            f"A statement on {named} is slow and searches in {_listed(searched)} by LIKE, which a plain index serves at "
            "most for the beginning of a text: use the database's full-text search."
        )
        return Advice(about, FULL_TEXT, sentence)
    return Advice(about, "look at its plan", f"A statement on {named} is slow: look at its plan.")


def _of_changing(shape: Shape, about: str, named: str, costs: str) -> Advice:
    reading = reading_of(shape)
    columns = dict.fromkeys(column for _, column in reading.columns)
    model = models().get(written_table(shape))
    key = model._meta.pk.column if model is not None and model._meta.pk is not None else ""
    if reading.conditions == 1 and list(columns) == [key]:
        sentence = (
            f"Changing rows of {named} by their key is slow; the time goes to {costs}: keep transactions short, drop the indexes "
            "that nothing uses, and change many rows in batches of a few hundred."
        )
        return Advice(about, "short transactions, batches", sentence)
    by = f" by {_listed(columns)}" if columns else ""
    sentence = (
        f"Changing rows of {named} is slow: see that an index finds them{by}, and change many rows in batches of a few hundred, "
        "each in a transaction of its own."
    )
    return Advice(about, "an index for its filter, batches", sentence)


def _listed(columns: dict[str, None]) -> str:
    return ", ".join(list(columns)[:MAX_NAMED])
