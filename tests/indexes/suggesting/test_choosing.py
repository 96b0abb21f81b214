"""Which index is suggested for which statement."""

from __future__ import annotations

import pytest

from perfsuite.indexes.suggesting.choosing import Asked, choose
from perfsuite.indexes.suggesting.costing import Planner
from perfsuite.indexes.suggesting.figures import Column, Figures, Key, Keys
from perfsuite.indexes.suggesting.prices import PRICES
from perfsuite.indexes.suggesting.reading_command import read_command
from perfsuite.indexes.suggesting.reading_sql import read_sql

ROWS = 50_000.0
COLUMNS = {
    "id": Column(ROWS), "tenant_id": Column(50), "status": Column(5), "created_at": Column(ROWS), "email": Column(ROWS),
    "form_id": Column(200), "active": Column(2), "body": Column(ROWS, width=300),
}  # fmt: skip
LEADS = Figures(ROWS, 3_000, COLUMNS, ((Key("id"),),), "tenant_id")
FORMS = Figures(200.0, 5, {"id": Column(200), "slug": Column(200)}, ((Key("id"),),))
SELECT = 'SELECT "leads"."id", "leads"."body" FROM "leads" WHERE '

CASES = [
    (SELECT + '"leads"."email" = ?', [("email",)]),
    (SELECT + '("leads"."status" = ? AND "leads"."tenant_id" = ?) ORDER BY "leads"."created_at" DESC LIMIT 20',
        [("tenant_id", "status", "-created_at")]),
    (SELECT + '("leads"."created_at" >= ? AND "leads"."created_at" < ? AND "leads"."form_id" = ?)', [("form_id",)]),
    (SELECT + '"leads"."active" = ?', []),
    (SELECT + '"leads"."id" = ?', []),
    (SELECT + 'UPPER("leads"."email") LIKE UPPER(?)', []),
    ('SELECT "forms"."slug" FROM "forms" INNER JOIN "leads" ON ("forms"."id" = "leads"."form_id") WHERE "forms"."slug" = ?',
        [("form_id",)]),
    ('SELECT MAX("leads"."created_at") AS "m" FROM "leads"', [("created_at",)]),
]  # fmt: skip


def chosen(*texts: str, vendor: str = "sqlite", leads: Figures = LEADS) -> list[tuple[str, ...]]:
    read = read_command if vendor == "mongodb" else read_sql
    asked = [Asked(read(text)) for text in texts]
    found = choose(asked, {"leads": leads, "forms": FORMS}, PRICES[vendor])
    return sorted(tuple(map(str, each.keys)) for each in found if each.table == "leads")


@pytest.mark.parametrize("vendor", ["sqlite", "postgresql"])
@pytest.mark.parametrize(("sql", "expected"), CASES, ids=[sql for sql, _ in CASES])
def test_equality_comes_first_then_the_order_and_the_tenant_before_all(
    sql: str, expected: list[tuple[str, ...]], vendor: str
) -> None:
    found = chosen(sql, vendor=vendor)
    assert [keys[: len(wanted)] for keys, wanted in zip(found, expected, strict=True)] == expected


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ("shop.leads.find{status, tenant_id} sort{-created_at}", [("tenant_id", "status", "-created_at")]),
        ("shop.leads.aggregate[$match{$and.status, $and.tenant_id}, $sort{-created_at}, $limit]",
            [("tenant_id", "status", "-created_at")]),
        ("shop.leads.count{email}", [("email",)]),
        ("shop.leads.update{email}", [("email",)]),
        ("shop.leads.find{email.$regex}", []),
        ("shop.leads.find{}", []),
    ],
)  # fmt: skip
def test_a_shape_of_mongodb_s_is_read_as_well(shape: str, expected: list[tuple[str, ...]]) -> None:
    assert chosen(shape, vendor="mongodb") == expected


def with_index(*keys: Keys) -> Figures:
    return Figures(ROWS, 3_000, COLUMNS, ((Key("id"),), *keys), "tenant_id")


def test_what_an_index_serves_is_not_suggested() -> None:
    sql = CASES[1][0]
    assert chosen(sql, leads=with_index((Key("tenant_id"), Key("status"), Key("created_at")))) == []
    assert (
        chosen(
            sql, leads=with_index((Key("status"), Key("tenant_id"), Key("created_at", True), Key("email")))
        )
        == []
    )
    assert chosen(sql, leads=with_index((Key("email"),))) == [("tenant_id", "status", "-created_at")]


def test_one_index_serves_what_asks_for_the_beginning_of_another() -> None:
    narrow = SELECT + '"leads"."tenant_id" = ? AND "leads"."status" = ?'
    assert chosen(CASES[1][0], narrow) == [("tenant_id", "status", "-created_at")]


OFFERS = Figures(
    8_000.0,
    190,
    {"part_id": Column(2_000), "cost": Column(1_000), "supplier_id": Column(100)},
    ((Key("id"),),),
)
PARTS = Figures(2_000.0, 30, {"id": Column(2_000), "size": Column(50), "brand": Column(25)}, ((Key("id"),),))


def cost_of(sql: str, vendor: str, *index: str) -> float:
    """Return what a statement about offers and parts costs, with one more index of the offers if one is given."""
    planner = Planner(read_sql(sql), {"offers": OFFERS, "parts": PARTS}, PRICES[vendor])
    return planner.cost(*([("offers", tuple(map(Key, index)))] if index else []))


CHEAPEST = """
    SELECT "offers"."supplier_id" FROM "parts" INNER JOIN "offers" ON ("parts"."id" = "offers"."part_id")
    WHERE "parts"."size" = ? AND "offers"."cost" = (
        SELECT MIN(U0."cost") FROM "offers" U0 WHERE U0."part_id" = ("parts"."id"))"""
FEW = """
    SELECT SUM("offers"."cost") FROM "offers" INNER JOIN "parts" ON ("offers"."part_id" = "parts"."id")
    WHERE "parts"."brand" = ? AND "offers"."cost" < (
        SELECT AVG(U0."cost") FROM "offers" U0 WHERE U0."part_id" = ("parts"."id"))"""


def test_the_least_of_a_group_is_its_first_entry_in_order() -> None:
    together = cost_of(CHEAPEST, "postgresql", "part_id", "supplier_id", "cost")
    assert cost_of(CHEAPEST, "postgresql", "part_id", "cost", "supplier_id") < together


@pytest.mark.parametrize("vendor", ["sqlite", "postgresql"])
def test_a_subquery_that_a_condition_compares_with_is_asked_for_each_row_that_the_others_leave(
    vendor: str,
) -> None:
    once = cost_of('SELECT AVG("offers"."cost") FROM "offers"', vendor)
    # For a twenty-fifth of 8,000 offers, each time all of them.
    assert cost_of(FEW, vendor) > 100 * once
    assert cost_of(FEW, vendor, "part_id", "cost") < 30 * once
