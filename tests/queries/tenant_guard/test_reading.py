"""What SQL comes to: which tables a statement reaches without their tenant."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfsuite.queries.fingerprint import without_values
from perfsuite.queries.tenant_guard.reading import MAX_LEVELS, verdict_of
from perfsuite.queries.tenant_guard.schema import FINE, NOT_UNDERSTOOD, Verdict
from perfsuite.queries.tenant_guard.tokens import MAX_DEPTH, MAX_TOKENS
from tests.queries.tenant_guard import sql_table
from tests.queries.tenant_guard.sql_table import SCHEMA, statements


def verdict(sql: str) -> Verdict:
    text = without_values(sql)
    return NOT_UNDERSTOOD if text is None else verdict_of(text, SCHEMA)


def reached(sql: str) -> str:
    """Return what a statement reaches without its tenant, as the table of statements writes it."""
    found = verdict(sql)
    return ", ".join(sorted(owned.table for owned in found.unscoped)) if found.understood else "?"


@pytest.mark.parametrize("sql", statements(sql_table.IN_ORDER))
def test_a_statement_that_is_held_to_tenants_is_in_order(sql: str) -> None:
    assert reached(sql) == ""


@pytest.mark.parametrize("line", statements(sql_table.LEAKS))
def test_a_statement_that_is_not_names_the_tables_that_it_reaches(line: str) -> None:
    tables, _, sql = line.partition(": ")
    assert reached(sql) == tables


@pytest.mark.parametrize("sql", statements(sql_table.NOT_UNDERSTOOD))
def test_what_cannot_be_read_is_said_to_be_not_understood(sql: str) -> None:
    assert verdict(sql) == NOT_UNDERSTOOD


def test_what_is_too_long_too_deep_or_without_end_is_not_understood() -> None:
    assert verdict("SELECT * FROM lead WHERE x IN (" + "1.5, " * 9_000 + "1)") == NOT_UNDERSTOOD
    assert verdict("SELECT * FROM lead WHERE " + "(" * MAX_DEPTH + "1" + ")" * MAX_DEPTH) == NOT_UNDERSTOOD
    assert verdict("a," * (MAX_TOKENS // 2 + 1)) == NOT_UNDERSTOOD
    bodies = ", ".join(
        f"x{n} AS (SELECT * FROM x{n - 1} a JOIN x{n - 1} b ON a.id = b.id)" for n in range(1, 30)
    )
    assert MAX_LEVELS < 2**29
    assert verdict(f"WITH x0 AS (SELECT * FROM lead), {bodies} SELECT * FROM x29") == NOT_UNDERSTOOD


def test_a_list_of_a_thousand_placeholders_is_read() -> None:
    keys = ", ".join(["%s"] * 5_000)
    assert verdict(f'SELECT * FROM "lead" WHERE "lead"."tenant_id" = %s AND "lead"."id" IN ({keys})') == FINE
    assert reached(f'SELECT * FROM "lead" WHERE "lead"."id" IN ({keys})') == "lead"


WORDS = """
SELECT FROM WHERE lead note l tenant_id id = ? ( ) , . AND OR NOT IN EXISTS JOIN LEFT ON USING UNION ALL WITH AS x UPDATE SET
DELETE INSERT INTO VALUES CASE WHEN THEN END BETWEEN * ; :: [ ] " ' ` TABLE RECURSIVE LATERAL ORDER BY GROUP
"""


@given(st.lists(st.sampled_from(WORDS.split()), max_size=40).map(" ".join))
def test_no_order_of_words_breaks_it(text: str) -> None:
    assert isinstance(verdict(text), Verdict)


@given(st.text(max_size=300))
def test_no_text_breaks_it(text: str) -> None:
    assert isinstance(verdict(text), Verdict)


@given(st.sampled_from(statements(sql_table.IN_ORDER)), st.data())
def test_a_statement_that_is_cut_anywhere_does_not_break_it(sql: str, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(sql)))
    assert isinstance(verdict(sql[:cut]), Verdict)
    assert isinstance(verdict(sql[cut:]), Verdict)


@given(st.sampled_from(statements(sql_table.IN_ORDER)))
def test_a_condition_that_narrows_a_statement_changes_nothing(sql: str) -> None:
    """AND in front of what was there keeps it in order; OR does not."""
    if sql.startswith("SELECT * FROM lead WHERE") and "UNION" not in sql:
        head, _, condition = sql.partition(" WHERE ")
        assert reached(f"{head} WHERE x = 1 AND ({condition}\n)") == ""
        assert "lead" in reached(f"{head} WHERE x = 1 OR ({condition}\n)")
