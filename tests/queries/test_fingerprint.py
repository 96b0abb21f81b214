"""Fingerprints: the same shape for the same statement, and nothing of its values in it."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from perfsuite.queries import fingerprint
from perfsuite.queries.fingerprint import (
    MAX_CACHED_CHARS,
    MAX_FINGERPRINT_CHARS,
    MAX_SQL_CHARS,
    OPERATIONS,
    masked,
    shape,
    shape_with_nesting,
    without_nesting,
)

SHAPES = [
    # Django's own statements, which the wrapper sees with placeholders
    (
        'SELECT "a"."id", "a"."name" FROM "a" WHERE "a"."name" = %s LIMIT 21',
        'SELECT "a"."id", "a"."name" FROM "a" WHERE "a"."name" = ? LIMIT ?',
    ),
    ("SELECT 1 AS a FROM t WHERE id = %(id)s", "SELECT ? AS a FROM t WHERE id = ?"),
    ("SELECT a FROM t WHERE a = ? AND b = ?2", "SELECT a FROM t WHERE a = ? AND b = ?"),
    ("SELECT a FROM t WHERE a = $1 AND b = :name", "SELECT a FROM t WHERE a = ? AND b = ?"),
    # values
    ("SELECT 'it''s', 'b'", "SELECT ?, ?"),
    ("SELECT '', ''''", "SELECT ?, ?"),
    ("SELECT E'it\\'s', e'\\\\', 'c:\\'", "SELECT ?, ?, ?"),
    ("SELECT * FROM t WHERE a LIKE'x%%'", "SELECT * FROM t WHERE a LIKE?"),
    ("SELECT $$it's$$, $tag$a $$ b$tag$", "SELECT ?, ?"),
    ("SELECT x'ff', N'text', DATE '2024-01-01'", "SELECT x?, N?, DATE ?"),
    ("SELECT 1, -1, +1, 1.5, .5, 1., 1e9, 1E-9, 0xFF", "SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?"),
    ("SELECT 1_000_000, 0b1010, 0o17, 123abc", "SELECT ?, ?, ?, ?"),
    ("SELECT a-1, a - 1, a+1, (a)-1, \"a\"-1, %s-1", 'SELECT a-?, a - ?, a+?, (a)-?, "a"-?, ?-?'),
    ("SELECT 5\"alias\"", 'SELECT ?"alias"'),
    # what looks like a value and is none
    ("SELECT t1.col_2, a$1, md5(x)", "SELECT t1.col_2, a$1, md5(x)"),
    ('SELECT "it\'s 5 o clock"', "SELECT ?"),
    ('SELECT "a""5"', "SELECT ?"),
    ("SELECT `a 5` FROM `t 1`", "SELECT `a 5` FROM `t 1`"),
    ("SELECT a::int, '5'::text, a::varchar(10)", "SELECT a::int, ?::text, a::varchar(?)"),
    ("SELECT a->'k'->>'l', a#>>'{a,b}', a @> '{}', a ? 'k', a ?| array['k']",
     "SELECT a->?->>?, a#>>?, a @> ?, a ? ?, a ?| array[…]"),
    ("SELECT a[1:2]", "SELECT a[?:?]"),
    # lists and rows
    ("SELECT a FROM t WHERE a IN (1)", "SELECT a FROM t WHERE a IN (…)"),
    ("SELECT a FROM t WHERE a IN (1, 2,3 , 'x')", "SELECT a FROM t WHERE a IN (…)"),
    ("SELECT a FROM t WHERE a in (%s, %s, %s) AND b = 1", "SELECT a FROM t WHERE a in (…) AND b = ?"),
    ("SELECT a FROM t WHERE (a, b) IN ((1, 2), (3, 4))", "SELECT a FROM t WHERE (a, b) IN (…)"),
    ("SELECT a FROM t WHERE a IN (%s::uuid, %s::uuid)", "SELECT a FROM t WHERE a IN (…)"),
    ("SELECT a FROM t WHERE a IN (SELECT b FROM u)", "SELECT a FROM t WHERE a IN (SELECT b FROM u)"),
    ("SELECT ARRAY[1, 2, 3]", "SELECT ARRAY[…]"),
    ("INSERT INTO t (a, b) VALUES (%s, %s)", "INSERT INTO t (a, b) VALUES (?, ?)"),
    ("INSERT INTO t (a, b) VALUES (%s, %s), (%s, %s), (%s, %s)", "INSERT INTO t (a, b) VALUES (?, ?)"),
    ("INSERT INTO t VALUES (1, now()), (2, now()) RETURNING id", "INSERT INTO t VALUES (?, now()) RETURNING id"),
    ("INSERT INTO t VALUES (1),(2) ON CONFLICT DO NOTHING", "INSERT INTO t VALUES (?) ON CONFLICT DO NOTHING"),
    # comments and space
    ("SELECT 1 /* user=7 */ FROM t -- person 5\nWHERE a = 2", "SELECT ? FROM t WHERE a = ?"),
    ("SELECT '/* no comment */', '-- nor this', 'a'", "SELECT ?, ?, ?"),
    ("/* it's */ SELECT 'a'", "SELECT ?"),
    ("  SELECT\n\t1 ;\n", "SELECT ?"),
    ("SELECT 1 /* never closed 'secret", "SELECT ?"),
    # what Django and hosts number or name
    ('SAVEPOINT "s140_x1"', "SAVEPOINT ?"),
    ('RELEASE SAVEPOINT "s140_x1"', "RELEASE SAVEPOINT ?"),
    ("ROLLBACK TO SAVEPOINT `s140_x1`", "ROLLBACK TO SAVEPOINT ?"),
    ("SELECT savepoint FROM trip", "SELECT savepoint FROM trip"),
    ('DECLARE "_django_curs_140_sync_1" CURSOR FOR SELECT 1', "DECLARE ? CURSOR FOR SELECT ?"),
    ("SET search_path = acme, public", "SET search_path = ?"),
    ("SET LOCAL app.user TO mary", "SET LOCAL app.user TO ?"),
    ("SET TRANSACTION READ ONLY", "SET TRANSACTION READ ONLY"),
    ("SELECT 'grüße', \"straße\" FROM größe WHERE x = '日本'", 'SELECT ?, "straße" FROM größe WHERE x = ?'),
    ("", ""),
    (" ; ", ""),
]  # fmt: skip


NESTED = [
    # the statement, as PostgreSQL reads it, as all others do, and with its values out of the text as PostgreSQL reads it
    ("SELECT /* a /* b */ c */ 1", "SELECT ?", "SELECT c */ ?", "SELECT   ?"),
    ("SELECT 1 /* a /* b */, d", "SELECT ?", "SELECT ? , d", "SELECT ?  "),  # never closed, and closed
    ("SELECT /*/*/**/*/*/ a", "SELECT a", "SELECT ** a", "SELECT   a"),
    (
        "SELECT '/* /*', 'it''s' FROM t -- /* /*\n WHERE a = '*/'",
        "SELECT ?, ? FROM t WHERE a = ?",
        None,
        None,
    ),
    ('SELECT "/*" FROM t /* b */ WHERE "/*" = 5', 'SELECT "/*" FROM t WHERE "/*" = ?', None, None),
    ("SELECT $$ /* /* $$, a", "SELECT ?, a", None, None),
]


@pytest.mark.parametrize(("sql", "nested", "flat", "masked_text"), NESTED)
def test_comments_nest_in_postgresql_alone(
    sql: str, nested: str, flat: str | None, masked_text: str | None
) -> None:
    assert shape_with_nesting(sql).fingerprint == nested
    assert shape(sql).fingerprint == (nested if flat is None else flat)
    if masked_text is not None:
        assert masked(without_nesting(sql)) == masked_text


def test_an_apostrophe_in_a_nested_comment_turns_no_string_of_postgresqls_inside_out() -> None:
    sql = "SELECT a /* b /* c */ it's */ FROM t WHERE d = 'secret'"
    assert shape_with_nesting(sql).fingerprint == "SELECT a FROM t WHERE d = ?"
    assert "secret" not in masked(without_nesting(sql))
    long = sql.ljust(MAX_CACHED_CHARS + 1)
    assert shape_with_nesting(long) == shape_with_nesting(sql)


@pytest.mark.parametrize(("sql", "expected"), SHAPES)
def test_postgresql_reads_all_else_as_the_standard_says(sql: str, expected: str) -> None:
    assert shape_with_nesting(sql).fingerprint == expected


@pytest.mark.parametrize(("sql", "expected"), SHAPES)
def test_a_fingerprint_keeps_the_statement_and_none_of_its_values(sql: str, expected: str) -> None:
    assert shape(sql).fingerprint == expected


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ('SELECT "it\'s", \'say \\"x\\"\', "a""b", "\\""', "SELECT ?, ?, ?, ?"),
        ("SELECT 'it\\'s', 'x'", "SELECT ?, ?"),
        ("SELECT `a`, 1 # person 5\nFROM t", "SELECT `a`, ? FROM t"),
        ("SELECT a FROM t WHERE a IN (1, 2)", "SELECT a FROM t WHERE a IN (…)"),
    ],
)
def test_mysql_reads_double_quotes_backslashes_and_hashes_in_its_own_way(sql: str, expected: str) -> None:
    assert shape(sql, double_quotes_are_strings=True).fingerprint == expected


@pytest.mark.parametrize(
    ("sql", "operation"),
    [
        ("select 1", "SELECT"),
        ("(SELECT 1) UNION (SELECT 2)", "SELECT"),
        ("/* hint */ INSERT INTO t VALUES (1)", "INSERT"),
        ("UPDATE t SET a = 1", "UPDATE"),
        ("DELETE FROM t", "DELETE"),
        ("WITH a AS (SELECT 1) SELECT * FROM a", "SELECT"),
        ("WITH RECURSIVE a(n) AS (SELECT 1 UNION ALL SELECT 2), b AS (DELETE FROM c) UPDATE t SET a = 1", "UPDATE"),
        ('WITH "delete" AS (SELECT (1)) INSERT INTO t SELECT 1', "INSERT"),
        ("WITH a AS (SELECT 1) DELETE FROM t", "DELETE"),
        ("WITH a AS (SELECT 1", "SELECT"),
        ('SAVEPOINT "x"', "SAVEPOINT"),
        ('RELEASE SAVEPOINT "x"', "RELEASE"),
        ('ROLLBACK TO SAVEPOINT "x"', "ROLLBACK"),
        ("BEGIN", "BEGIN"),
        ("COMMIT", "COMMIT"),
        ("PRAGMA foreign_keys", "PRAGMA"),
        ("EXPLAIN SELECT 1", "EXPLAIN"),
        ("CREATE TABLE t (a int)", "CREATE"),
        ("VACUUM", "OTHER"),
        ("LISTEN channel", "OTHER"),
        ("", "OTHER"),
        ("'SELECT'", "OTHER"),
        ("42", "OTHER"),
    ],
)  # fmt: skip
def test_the_operation_is_what_the_statement_does(sql: str, operation: str) -> None:
    assert shape(sql).operation == operation


def test_lists_and_inserts_of_any_length_have_one_fingerprint_even_when_they_are_cut() -> None:
    lists = [
        f'SELECT "a" FROM "t" WHERE "a" IN ({", ".join(["%s"] * n)})' for n in (1, 5, 400, 5_000, 200_000)
    ]
    rows = [f'INSERT INTO "t" ("a", "b") VALUES {", ".join(["(%s, %s)"] * n)}' for n in (1, 2, 300, 5_000)]
    numbers = [f"SELECT a FROM t WHERE a IN ({', '.join(map(str, range(n)))})" for n in (1, 10, 1_000)]

    assert {shape(sql).fingerprint.rstrip(")") for sql in lists} == {'SELECT "a" FROM "t" WHERE "a" IN (…'}
    assert {shape(sql).fingerprint for sql in rows} == {'INSERT INTO "t" ("a", "b") VALUES (?, ?)'}
    assert {shape(sql).fingerprint for sql in numbers} == {"SELECT a FROM t WHERE a IN (…)"}


@pytest.mark.parametrize("tail", range(6))
def test_a_list_that_is_cut_at_any_place_still_folds(tail: int) -> None:
    for item in ("%s", "7", "'x'", "(%s, %s)", "%(name)s"):
        text = "SELECT a FROM t WHERE a IN (" + ", ".join([item] * 6_000)
        assert shape(text[: MAX_SQL_CHARS - tail]).fingerprint == "SELECT a FROM t WHERE a IN (…"


def test_a_fingerprint_is_cut_where_it_is_too_long() -> None:
    long = shape("SELECT " + ", ".join(f"column_{n}" for n in range(1_000)))

    assert len(long.fingerprint) == MAX_FINGERPRINT_CHARS
    assert long.fingerprint.endswith("…")
    assert long.operation == "SELECT"


def test_short_statements_are_remembered_and_long_ones_are_not() -> None:
    fingerprint._remembered.cache_clear()
    for _ in range(3):
        shape("SELECT 1")
        shape("SELECT " + "1, " * 5_000)

    assert fingerprint._remembered.cache_info()[:2] == (2, 1)


# Each repeats a text that makes careless expressions go back over what they have read.
ADVERSARIES = [
    "(", ")", "'", '"', "`", "''", "'\\", "E'", "E'\\'", "$", "$a$", "$a", "/*", "*/", "/*/", "/*/**/*/", "/*/**/",
    "--", "-", "+-", ".", "1",
    "1e", "1.", "%", "%(", "%(a", ":a", "::", "?", "?,", ", ?", " ", "\n", "a", "_", "VALUES ", "VALUES (", "VALUES ((((",
    "VALUES (a)", "VALUES ((a),", "(a),", "(a(b)),", "VALUES (a VALUES (b) ,", "IN (", "IN (?,", "IN ((?,?),", "ARRAY[",
    "(%s, ",
    "IN (%s, %s", "(%s), (%s), ", "SAVEPOINT ", "SET a", "SET a TO ", "=", '"_django_curs_', "WITH (", "SELECT ", ";", "\\", "\0",
]  # fmt: skip
OPENINGS = [
    "",
    "VALUES (",
    "IN (",
    "IN ((?,",
    "'",
    '"',
    "E'",
    "/*",
    "$a$",
    "WITH a AS (",
    "SET ",
    "SAVEPOINT ",
]


@pytest.mark.parametrize("repeated", ADVERSARIES)
def test_no_text_takes_long(repeated: str) -> None:
    """A text takes milliseconds; one that made an expression go back and forth would take minutes."""
    started = time.process_time()
    for opening in OPENINGS:
        for mysql in (False, True):
            for end in ("", "x", ")"):
                text = opening + repeated * (MAX_SQL_CHARS // len(repeated))
                shape(text[: MAX_SQL_CHARS - 1] + end, mysql)
                without_nesting(text)

    assert time.process_time() - started < 10


def test_ten_megabytes_take_no_longer_than_what_is_looked_at() -> None:
    started = time.process_time()
    for text in ("SELECT '" + "x" * 10_000_000 + "'", "SELECT " + "1, " * 3_000_000):
        assert len(shape(text).fingerprint) <= MAX_FINGERPRINT_CHARS

    assert time.process_time() - started < 5


# Statements made of names and values, where every value holds one of these secrets.
SECRET = "zqsecret"
SECRET_NUMBER = "7295381"
any_text = st.text(max_size=8) | st.sampled_from(
    ["'", '"', "\\", "''", "--", "/*", "*/", "$", "$$", "%s", "(", ")", "\n", "#", "`"]
)
secret_text = st.tuples(any_text, any_text).map(lambda around: around[0] + SECRET + around[1])
numbers = st.sampled_from(["{}", "-{}", "+{}", "{}.5", "0.{}", ".{}", "{}e5", "1e{}", "1e-{}", "0x{}", "{}_000", "0b{}"]).map(
    lambda form: form.format(SECRET_NUMBER)
)  # fmt: skip
names = st.sampled_from(["a", "t1", '"b"', '"Column 2"', "t.c", "now()", "NULL", "größe", "a$b"])
gaps = st.sampled_from([" ", "  ", "\n", " /* plain */ ", " -- plain\n", "\t"])
joins = st.sampled_from(
    [" = ", " IN (", "), (", ", ", " AND ", " LIKE ", "->", "||", "(", ")", " VALUES (", " - ", "-", "+"]
)


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def escaped(text: str, quote: str = "'") -> str:
    return quote + text.replace("\\", "\\\\").replace(quote, "\\" + quote) + quote


def dollar_quoted(text: str) -> str:
    return f"$q$ {text.replace('$', '')} $q$"


def in_comment(text: str) -> str:
    return "/* " + text.replace("*", "").replace("/", "") + " */ 1"


def in_line_comment(text: str) -> str:
    return "1 -- " + text.replace("\n", "") + "\n"


ansi_values = numbers | st.one_of(
    *(secret_text.map(form) for form in (quoted, dollar_quoted, in_comment, in_line_comment)),
    secret_text.map(lambda text: "E" + escaped(text)),
    secret_text.map(lambda text: quoted(text) + "::text"),
)
mysql_values = numbers | st.one_of(
    *(secret_text.map(form) for form in (escaped, in_comment, in_line_comment)),
    secret_text.map(lambda text: escaped(text, '"')),
    secret_text.map(lambda text: '"' + text.replace("\\", "\\\\").replace('"', '""') + '"'),
)


def statements(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    part = st.tuples(names | values | values, gaps, joins, gaps).map("".join)
    first = st.sampled_from(
        ["SELECT ", "INSERT INTO t ", "UPDATE t SET a = ", "WITH a AS (SELECT ", "SET a = ", "CALL "]
    )
    return st.tuples(first, st.lists(part, min_size=1, max_size=6).map("".join)).map("".join)


def assert_no_secret(text: str) -> None:
    # A cut may leave a part of the secret; three characters of it would be one.
    for start in range(len(SECRET) - 2):
        assert SECRET[start : start + 3] not in text
    assert not re.search(r"729|295|953|538|381", text)


@given(statements(ansi_values), st.integers(0, 400))
@example("SELECT 'zqsecret\\", 400)
@example("SELECT E'zqsecret\\", 400)
def test_no_value_survives_wherever_the_text_is_cut(sql: str, cut: int) -> None:
    assert_no_secret(shape(sql).fingerprint)
    assert_no_secret(shape(sql[:cut]).fingerprint)


@given(statements(mysql_values), st.integers(0, 400))
@example("SELECT 'zqsecret\\", 400)
@example('SELECT "zqsecret\\', 400)
def test_no_value_survives_in_mysql_wherever_the_text_is_cut(sql: str, cut: int) -> None:
    assert_no_secret(shape(sql, True).fingerprint)
    assert_no_secret(shape(sql[:cut], True).fingerprint)


@given(
    st.lists(st.tuples(names, joins, st.sampled_from("nst")), min_size=1, max_size=5),
    st.integers(0, 10**12), st.integers(0, 10**12), st.text(max_size=10), st.text(max_size=10),
)  # fmt: skip
def test_statements_that_differ_in_their_values_only_have_one_shape(
    parts: list[tuple[str, str, str]], number: int, other_number: int, text: str, other_text: str
) -> None:
    def filled(number: int, text: str) -> str:
        values = {"n": str(number), "s": quoted(text), "t": f"${'tag'}${text.replace('$', '')}$tag$"}
        return "SELECT " + " ".join(f"{name}{join}{values[kind]}" for name, join, kind in parts)

    assert shape(filled(number, text)) == shape(filled(other_number, other_text))


@given(
    st.text(max_size=300) | st.lists(st.sampled_from(ADVERSARIES + OPENINGS), max_size=60).map("".join),
    st.booleans(),
)
def test_any_text_at_all_has_a_shape(sql: str, mysql: bool) -> None:
    found = shape(sql, mysql)

    assert len(found.fingerprint) <= MAX_FINGERPRINT_CHARS
    assert found.operation in OPERATIONS | {"OTHER"}
    assert "\n" not in found.fingerprint
    assert shape(sql, mysql) == found
