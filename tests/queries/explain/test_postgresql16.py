"""Plans of unknown values as PostgreSQL 16 really gives them, whatever older server the other tests run on."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connections

from perfsuite.queries.explain.relational import GENERIC_PLAN_FROM, UNKNOWN, explain_sql
from tests import servers
from tests.testapp.models import Author, Book

pytestmark = pytest.mark.relational

TIMEOUT_MS = 20_000
BOOKS = 2_000


@pytest.fixture
def sixteen(django_db_blocker: Any) -> Iterator[str]:
    """Return the alias of a PostgreSQL 16 with books in it."""
    programs = servers.postgresql_of_wheel()
    if programs is None:
        missing = "pgserver is missing, a wheel with PostgreSQL 16; type: pip install pgserver"
        if os.environ.get("TEST_DATABASE") == "postgresql" and sys.version_info < (
            3,
            13,
        ):  # which has no such wheel
            pytest.fail(missing)
        pytest.skip(f"{missing}; runs in the lane of PostgreSQL")
    with servers.postgresql(programs) as server, django_db_blocker.unblock():
        connections.databases["sixteen"] = {
            **connections.databases["default"],
            **server.setting,
            "OPTIONS": {},
        }
        try:
            with connections["sixteen"].schema_editor() as editor:
                editor.create_model(Author)
                editor.create_model(Book)
            author = Author.objects.using("sixteen").create(name="a")
            books = (Book(author=author, title=str(n), pages=n) for n in range(BOOKS))
            Book.objects.using("sixteen").bulk_create(books)
            with connections["sixteen"].cursor() as cursor:
                cursor.execute("ANALYZE")
            yield "sixteen"
        finally:
            connections["sixteen"].close()
            del connections["sixteen"]
            del connections.databases["sixteen"]


def test_it_is_asked_for_a_generic_plan_where_the_values_are_not_known(sixteen: str) -> None:
    connection: Any = connections[sixteen]
    assert connection.connection.info.server_version >= GENERIC_PLAN_FROM
    rows = Book.objects.using(sixteen).filter(title="7", pages__in=[1, 2]).order_by("author__name")[:5]
    sql, params = rows.query.get_compiler(sixteen).as_sql()

    plan = explain_sql(sixteen, sql, timeout_ms=TIMEOUT_MS, analyze=True)
    assert plan.notes == (UNKNOWN,), "what has no values cannot be run"
    (scan,) = [fact for fact in plan.findings if (fact.kind, fact.table) == ("scan", "testapp_book")]
    assert set(scan.columns) == {"title", "pages"}
    assert (scan.rows, plan.examined) == (BOOKS, None)

    as_recorded = sql.replace("%s", "?")
    assert explain_sql(sixteen, as_recorded, timeout_ms=TIMEOUT_MS).as_text() == plan.as_text()
    assert explain_sql(sixteen, sql, [str(each) for each in params], timeout_ms=TIMEOUT_MS).notes == ()
