"""What was written and what a server prints of it come out alike; what differs does not."""

from __future__ import annotations

import pytest

from perfsuite.indexes.canonical import canonical, split_columns


@pytest.mark.parametrize(
    ("written", "printed"),
    [
        ("\"status\" = 'new'", "((status)::text = 'new'::text)"),
        ('"a" IS NOT NULL OR "b" IS NOT NULL', "((a IS NOT NULL) OR (b IS NOT NULL))"),
        ('"amount" > 5 AND "amount" <= 100', "((amount > (5)::numeric) AND (amount <= (100)::numeric))"),
        ('"amount" < -2.5', "(amount < '-2.5'::numeric)"),
        (
            "\"s\" = ANY (ARRAY['a', 'b'])",
            "((s)::text = ANY ((ARRAY['a'::character varying, 'b'::character varying])::text[]))",
        ),
        (
            "\"at\" >= '2024-05-01 12:00:00+00:00'::timestamptz",
            "(at >= '2024-05-01 12:00:00+00'::timestamp with time zone)",
        ),
        ('lower("email")', "lower((email)::text)"),
        ("a != 1", "(a <> 1)"),
        ("[a] = `b`", "a = b"),
    ],
)
def test_the_same_comes_out_alike(written: str, printed: str) -> None:
    assert canonical(written) == canonical(printed)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("status = 'new'", "status = 'New'"),
        ("status = 'a (b)'", "status = 'a b'"),
        ("status = 'it''s'", "status = 'its'"),
        ("a > 1", "a >= 1"),
        ("a IS NULL", "a IS NOT NULL"),
        ("a = 1", "a = 2"),
    ],
)
def test_what_differs_stays_apart(one: str, other: str) -> None:
    assert canonical(one) != canonical(other)


@pytest.mark.parametrize(
    ("statement", "columns", "where"),
    [
        ("CREATE INDEX i ON t (a, b DESC)", ["a", "b DESC"], ""),
        ('CREATE UNIQUE INDEX "i (x)" ON "t" (lower(a), b) WHERE c = \')\'', ["lower(a)", "b"], "c = ')'"),
        ("CREATE INDEX i ON t(substr(a, 1, 2)) where b = 'x,y'", ["substr(a, 1, 2)"], "b = 'x,y'"),
        ("CREATE INDEX i ON t (a || ',' || b)", ["a || ',' || b"], ""),
    ],
)
def test_a_statement_is_taken_apart(statement: str, columns: list[str], where: str) -> None:
    assert split_columns(statement) == (columns, where)
