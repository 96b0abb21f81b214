"""What each kind of database makes of the same text, for who reads its structure."""

from __future__ import annotations

import pytest

from perfsuite.queries.dialects import MYSQL, POSTGRESQL, STANDARD, Dialect
from perfsuite.queries.fingerprint import MAX_SQL_CHARS
from perfsuite.queries.tenant_guard.reading import verdict_of
from perfsuite.queries.tenant_guard.schema import FINE, NOT_UNDERSTOOD, Verdict
from tests.queries.tenant_guard.sql_table import SCHEMA

DIALECTS = {"PostgreSQL": POSTGRESQL, "SQLite": STANDARD, "MySQL": MYSQL}
IN_ORDER, LEAKS, NOT_READ = "in order", "leaks", "not read"

# A statement on a tenant's table, and what it comes to on PostgreSQL, SQLite and MySQL.
READINGS = [
    ("SELECT a FROM lead /* x /* y */ WHERE tenant_id = 5 -- */", LEAKS, IN_ORDER, IN_ORDER),
    ("SELECT a FROM lead /* x /* y */ -- */ WHERE tenant_id = 5", IN_ORDER, LEAKS, LEAKS),
    ("SELECT a FROM lead /*/*/ WHERE tenant_id = 5 -- */ */", LEAKS, IN_ORDER, IN_ORDER),
    ("SELECT a FROM other /* /* */ UNION SELECT a FROM lead -- */", IN_ORDER, LEAKS, LEAKS),
    ("SELECT a FROM lead /* /* */ it's */ WHERE tenant_id = 5 AND b = 'c'", IN_ORDER, LEAKS, LEAKS),
    ("SELECT a FROM lead /* x */ WHERE tenant_id = 5 /* y */", IN_ORDER, IN_ORDER, IN_ORDER),
    ("SELECT '/*', a FROM lead WHERE b = '/* */' AND tenant_id = 5", IN_ORDER, IN_ORDER, IN_ORDER),
    # what else only one of them takes for a comment, or does not
    ("SELECT a FROM other -- x\rUNION SELECT a FROM lead", LEAKS, IN_ORDER, IN_ORDER),
    ("SELECT a FROM lead WHERE tenant_id = 5--1 OR true", IN_ORDER, IN_ORDER, LEAKS),
    ("SELECT a FROM lead WHERE tenant_id = 5 -- OR true", IN_ORDER, IN_ORDER, IN_ORDER),
    ("SELECT a FROM lead WHERE tenant_id = 5 || 1", IN_ORDER, IN_ORDER, LEAKS),
    ("SELECT a FROM lead WHERE b = 1 && tenant_id = 5", LEAKS, LEAKS, IN_ORDER),
    ("SELECT a FROM lead WHERE tenant_id = 5 AND b = '||'", IN_ORDER, IN_ORDER, IN_ORDER),
    ("SELECT a FROM other /*! UNION SELECT a FROM lead */", IN_ORDER, IN_ORDER, NOT_READ),
    ("SELECT a FROM other /*M!100100 UNION SELECT a FROM lead */", IN_ORDER, IN_ORDER, NOT_READ),
]


def verdict(dialect: Dialect, sql: str) -> Verdict:
    blank = dialect.blank(sql)
    return NOT_UNDERSTOOD if blank is None else verdict_of(blank, SCHEMA)


@pytest.mark.parametrize(("sql", "on_postgresql", "on_sqlite", "on_mysql"), READINGS)
def test_a_statement_is_judged_as_its_database_reads_it(
    sql: str, on_postgresql: str, on_sqlite: str, on_mysql: str
) -> None:
    found = {name: verdict(dialect, sql) for name, dialect in DIALECTS.items()}
    told = {
        name: NOT_READ if not each.understood else LEAKS if each.unscoped else IN_ORDER
        for name, each in found.items()
    }
    assert told == {"PostgreSQL": on_postgresql, "SQLite": on_sqlite, "MySQL": on_mysql}


@pytest.mark.parametrize("name", DIALECTS)
def test_a_text_that_is_too_long_is_read_by_nobody_wherever_its_comments_stand(name: str) -> None:
    scoped = "SELECT a FROM lead WHERE tenant_id = 5"
    long = "x" * MAX_SQL_CHARS
    for sql in (
        f"{scoped} /* a /* b */ */ OR '{long}' = c",
        f"{scoped} /* a */ OR '{long}' = c /* d */",
        f"{scoped} OR '{long}' = c /* d /* e */ */",
    ):
        assert DIALECTS[name].blank(sql) is None


def test_a_long_list_of_placeholders_is_read_on_postgresql_unless_comments_stand_behind_it() -> None:
    keys = ", ".join(["%s"] * MAX_SQL_CHARS)
    scoped = f"SELECT a FROM lead WHERE tenant_id = %s AND id IN ({keys})"
    assert verdict(POSTGRESQL, scoped) == FINE
    assert verdict(POSTGRESQL, f"/* route */ {scoped}") == FINE
    assert verdict(POSTGRESQL, f"/* route */ /* view */ {scoped}") == FINE
    assert verdict(POSTGRESQL, f"{scoped} /* route */") == FINE
    assert verdict(POSTGRESQL, f"/* route */ {scoped} /* /* */ OR true -- */") == NOT_UNDERSTOOD
    assert verdict(POSTGRESQL, f"/* /* */ */ {scoped}") == NOT_UNDERSTOOD
