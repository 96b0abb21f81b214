"""What is said where no index is suggested."""

from __future__ import annotations

import pytest

from perfsuite.indexes.suggesting.figures import Column, Figures
from perfsuite.indexes.suggesting.reading_sql import read_sql
from perfsuite.indexes.suggesting.refusing import AVAILABLE, INSTALLED, NOT_TO_BE_HAD, trigram_line, why_none

LEADS = Figures(50_000.0, 3_000, {"email": Column(50_000), "active": Column(2)})
FROM = 'SELECT "leads"."id" FROM "leads" WHERE '
ICONTAINS = FROM + 'UPPER("leads"."email"::text) LIKE UPPER(?)'
CONTAINS = FROM + '"leads"."email"::text LIKE ?'
ON_SQLITE = FROM + '"leads"."email" LIKE ? ESCAPE ?'
UPPER = 'register("shop.Lead", Index("upper(email)", kind="gin", opclass="gin_trgm_ops"))'


def said(sql: str, vendor: str = "postgresql", trigrams: str = INSTALLED) -> str:
    def declare(column: str, function: str) -> str:
        return trigram_line("shop.Lead", column, function)

    return why_none(sql, read_sql(sql), "leads", LEADS, vendor, trigrams, declare)


@pytest.mark.parametrize(
    ("sql", "vendor", "trigrams", "sentence"),
    [
        (ICONTAINS, "postgresql", INSTALLED,
            f"No plain index serves a search inside email; one of its trigrams does: declare it with {UPPER}"),
        (CONTAINS, "postgresql", INSTALLED, 'declare it with register("shop.Lead", Index("email", kind="gin", '),
        (FROM + '"leads"."email" ILIKE ?', "postgresql", INSTALLED, 'Index("email", kind="gin", '),
        (ICONTAINS, "postgresql", AVAILABLE, "type CREATE EXTENSION pg_trgm in its psql, then declare it with register("),
        (ICONTAINS, "postgresql", NOT_TO_BE_HAD, "but this server has no extension pg_trgm to install."),
        (ON_SQLITE, "sqlite", NOT_TO_BE_HAD, "a search inside email, nor has SQLite another one: compare the whole value"),
        (ICONTAINS, "djongo", NOT_TO_BE_HAD, "a search inside email: a text index finds whole words."),
        (FROM + 'NOT ("leads"."active" = ?)', "sqlite", NOT_TO_BE_HAD, "the condition on active: it is a pattern, negates, "),
        (FROM + '("leads"."active" = ? OR "leads"."email" = ?)', "sqlite", NOT_TO_BE_HAD, "the condition on active, email: "),
        (FROM + '"leads"."active" = ?', "sqlite", NOT_TO_BE_HAD,
            "No index is suggested: of 50,000 rows, one on active would leave more than half of the work."),
    ],
)  # fmt: skip
def test_it_is_said_why_and_what_serves_instead(sql: str, vendor: str, trigrams: str, sentence: str) -> None:
    assert sentence in said(sql, vendor, trigrams)


def test_of_a_statement_without_conditions_nothing_is_said() -> None:
    assert said('SELECT "leads"."id" FROM "leads"') == ""


def test_a_search_beside_a_plain_condition_is_not_what_it_is_about() -> None:
    assert "one on active" in said(
        FROM + '("leads"."active" = ? AND UPPER("leads"."email"::text) LIKE UPPER(?))'
    )
