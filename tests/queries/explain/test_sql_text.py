"""What may be explained: a table of what is refused, and that what is sent is what was read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfsuite.queries.explain import NotExplainable
from perfsuite.queries.explain.sql_text import MAX_CHARS, count_values, joined, one_select

REFUSED = {
    "": "it is no SELECT",
    "   -- only a comment": "it is no SELECT",
    "DELETE FROM t": "it is a DELETE",
    "INSERT INTO t VALUES (1)": "it is an INSERT",
    "UPDATE t SET a = 1": "it is an UPDATE",
    "EXPLAIN SELECT 1": "it is an EXPLAIN",
    "EXPLAIN ANALYZE DELETE FROM t": "it is an EXPLAIN",
    "VALUES (1)": "it is a VALUES",
    "PRAGMA user_version = 1": "it is a PRAGMA",
    "VACUUM": "it is a VACUUM",
    "BEGIN": "it is a BEGIN",
    "TABLE t": "it is a TABLE",
    "(DELETE FROM t)": "it is a DELETE",
    "(ANALYZE) SELECT 1": "it is an ANALYZE",
    "SELECT 1; DELETE FROM t": "semicolon",
    "SELECT 1;COMMIT;DROP TABLE t": "semicolon",
    "SELECT ';'": "semicolon",
    'SELECT ";" FROM t': "semicolon",
    "SELECT $$;$$": "semicolon",
    "WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x": "it writes (DELETE)",
    "WITH x AS (SELECT 1) DELETE FROM t": "it writes (DELETE)",
    "WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x": "it writes (INSERT)",
    "WITH x AS (SELECT 1) REPLACE INTO t SELECT * FROM x": "(INTO)",
    "with x as (update t set a = 1 returning *) select * from x": "it writes (UPDATE)",
    "WITH x AS (MERGE INTO t USING s ON true WHEN MATCHED THEN DO NOTHING) SELECT 1": "it writes (MERGE)",
    "WITH x AS (SELECT 1) /* a */ D/* b */ELETE FROM t; ": "",  # no statement at all to any database
    "WITH x AS (/* SELECT 1 */ DELETE/**/FROM t RETURNING 1) SELECT 1": "it writes (DELETE)",
    "SELECT * INTO copied FROM t": "(INTO)",
    "SELECT * FROM t INTO OUTFILE '/tmp/x'": "(INTO)",
    "SELECT * FROM t FOR UPDATE": "it locks rows (FOR UPDATE)",
    "SELECT * FROM t FOR NO KEY UPDATE": "it locks rows (FOR NO)",
    "SELECT * FROM t FOR KEY SHARE": "it locks rows (FOR KEY)",
    "SELECT * FROM t for /* x */ share skip locked": "it locks rows (FOR SHARE)",
    "SELECT 'it does not end": "a quote in it does not end",
    'SELECT "it does not end': "a quote in it does not end",
    "SELECT E'\\'": "a quote in it does not end",
    "SELECT 1 /* it does not end": "a comment in it does not end",
    "SELECT 1 /* /* */ DELETE": "a comment in it does not end",
    "SELECT a\0b": "null byte",
    "SELECT a, b, c FROM t WHERE a = %s AND …": "only its beginning was kept",
    "SELECT " + "1," * MAX_CHARS: "longer than",
}


@pytest.mark.parametrize(("sql", "why"), [(sql, why) for sql, why in REFUSED.items() if why])
def test_what_writes_locks_or_is_not_one_select_is_refused(sql: str, why: str) -> None:
    with pytest.raises(NotExplainable) as caught:
        one_select(sql)

    assert why in str(caught.value)
    assert str(caught.value).startswith("This statement is not explained: ")
    assert str(caught.value).count(".") == 1


def test_a_word_cut_by_a_comment_is_not_put_together() -> None:
    assert joined(one_select("SELECT 1 AS D/* b */ELETE"), "?") == "SELECT 1 AS D ELETE"


ACCEPTED = {
    "SELECT 1": "SELECT 1",
    "select 1 ; ;": "select 1",
    "(SELECT 1) UNION (SELECT 2)": "(SELECT 1) UNION (SELECT 2)",
    "WITH x AS (SELECT 1) SELECT * FROM x": "WITH x AS (SELECT 1) SELECT * FROM x",
    "/* who; asked */ SELECT 1 -- and; why": "SELECT 1",
    "SELECT/* a /* nested */ one */1": "SELECT 1",
    "SELECT 'a /* no comment */ -- none'": "SELECT 'a /* no comment */ -- none'",
    "SELECT 'DELETE FROM t', \"update\", `into` FROM t": "SELECT 'DELETE FROM t', \"update\", `into` FROM t",
    "SELECT REPLACE(a, 'x', 'y'), updated_at, deleted FROM t": "SELECT REPLACE(a, 'x', 'y'), updated_at, deleted FROM t",
    "SELECT 'it''s' || E'\\'' || $x$ ' $x$": "SELECT 'it''s' || E'\\'' || $x$ ' $x$",
    "SELECT 1 WHERE a LIKE '%x'": "SELECT 1 WHERE a LIKE '%x'",
    "SELECT -1.5e3, .5, 1. FROM t": "SELECT -1.5e3, .5, 1. FROM t",
}


@pytest.mark.parametrize(("sql", "sent"), ACCEPTED.items())
def test_what_only_reads_is_sent_as_it_is_without_its_comments(sql: str, sent: str) -> None:
    assert joined(one_select(sql), "?") == sent


PLACEHOLDERS = [
    ("SELECT %s, %(name)s LIMIT %s", 3, "SELECT ?, ? LIMIT ?", "SELECT $1, $2 LIMIT $3"),
    ("SELECT ? WHERE a IN (…)", 2, "SELECT ? WHERE a IN (?)", "SELECT $1 WHERE a IN ($2)"),
    ("SELECT ?1, :name, $1", 3, "SELECT ?, ?, ?", "SELECT $1, $2, $3"),
    ("SELECT a::text, %s::int[]", 1, "SELECT a::text, ?::int[]", "SELECT a::text, $1::int[]"),
    ("SELECT %s WHERE a LIKE 'x%%'", 1, "SELECT ? WHERE a LIKE 'x%'", "SELECT $1 WHERE a LIKE 'x%'"),
    ('SELECT 1 WHERE "data" ? %s', 1, 'SELECT 1 WHERE "data" ? ?', 'SELECT 1 WHERE "data" ? $1'),
    (
        "SELECT 1 WHERE ('{}'::jsonb) ?| %s",
        1,
        "SELECT 1 WHERE ('{}'::jsonb) ?| ?",
        "SELECT 1 WHERE ('{}'::jsonb) ?| $1",
    ),
    ("SELECT '?', '%s', '$1'", 0, "SELECT '?', '%s', '$1'", "SELECT '?', '%s', '$1'"),
]


@pytest.mark.parametrize(("sql", "count", "marks", "numbers"), PLACEHOLDERS)
def test_placeholders_of_every_kind_are_counted_and_written_as_the_database_wants_them(
    sql: str, count: int, marks: str, numbers: str
) -> None:
    statement = one_select(sql)

    assert count_values(statement) == count
    assert joined(statement, "?") == marks
    assert joined(statement, "$") == numbers


def test_for_djangos_cursor_a_percent_sign_that_is_none_of_its_placeholders_is_doubled() -> None:
    assert joined(one_select("SELECT %s WHERE a LIKE 'x%%' AND b % 2 = 1"), "%s") == (
        "SELECT %s WHERE a LIKE 'x%%' AND b %% 2 = 1"
    )


@given(st.text(alphabet="SELECT ;'\"$-*/()DELETE\n\\E%s?x1.", max_size=40))
def test_whatever_the_text_is_what_is_sent_has_no_semicolon_and_reads_the_same_again(text: str) -> None:
    try:
        sent = joined(one_select("SELECT " + text), "?")
    except NotExplainable:
        return
    assert ";" not in sent
    assert joined(one_select(sent), "?") == sent
