"""On a database in the shape of TPC-H: what an exhaustive search finds is suggested, and little else.

``benchmarks/suggest.py`` does all of it, with indexes of three columns; here are those of one, and a twentieth of the rows.
"""

from __future__ import annotations

import pytest
from django.db import connection

from perfsuite.indexes.engines import opened
from tests.indexes.wholesale import search, suggested
from tests.indexes.wholesale.queries import QUERIES
from tests.indexes.wholesale.schema import drop, fill

pytestmark = pytest.mark.relational

# What SQLite takes long for without an index.
_SLOW = ("small orders of a part", "suppliers who wait", "cheapest supplier")
QUICK = {name: sql for name, sql in QUERIES.items() if name not in _SLOW}


@pytest.mark.django_db(transaction=True)
def test_every_index_that_halves_a_statement_is_suggested_and_at_most_a_fifth_others() -> None:
    fill(connection, 0.05)
    try:
        with opened("default") as engine:
            chosen = suggested.suggest(engine, connection.vendor, QUICK)
        before = {name: search.cost(connection, sql) for name, sql in QUICK.items()}
        possible = search.possible(suggested.read(QUICK), columns=1)
        tried = {
            (index, name): cost for index, name, cost in search.costs(connection, QUICK, possible, before)
        }
        asked = {index: list(QUICK) for index in chosen}
        ours = {(index, name): cost for index, name, cost in search.costs(connection, QUICK, asked, before)}
        with_all = search.together(connection, QUICK, chosen, before)
    finally:
        drop(connection)

    found, alone, others = search.grade(before, tried, ours)
    _, missed, _ = search.grade(before, tried, ours, with_all)
    assert len(found) > 5
    assert not missed
    assert len(alone) <= len(found) / 10, alone
    assert len(others) <= len(chosen) / 5, others
