"""A wholesaler's database in the shape of TPC-H: eight tables with primary keys and no other index, and invented rows.

The same rows for the same size. At size 1.0 there are 60,000 lines of 15,000 orders.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterator
from typing import Any

from django.db import transaction

COLUMNS = {
    "region": "id integer primary key, name varchar(25), comment varchar(150)",
    "nation": "id integer primary key, name varchar(25), region_id integer, comment varchar(150)",
    "supplier": "id integer primary key, name varchar(25), address varchar(40), nation_id integer, phone varchar(15), "
    "balance integer, comment varchar(100)",
    "customer": "id integer primary key, name varchar(25), address varchar(40), nation_id integer, phone varchar(15), "
    "balance integer, segment varchar(10), comment varchar(120)",
    "part": "id integer primary key, name varchar(55), maker varchar(25), brand varchar(10), type varchar(25), size integer, "
    "container varchar(10), price integer, comment varchar(25)",
    "partsupp": "id integer primary key, part_id integer, supplier_id integer, available integer, cost integer, "
    "comment varchar(200)",
    "orders": "id integer primary key, customer_id integer, status varchar(1), total integer, date date, "
    "priority varchar(15), clerk varchar(15), comment varchar(80)",
    "lineitem": "id integer primary key, order_id integer, part_id integer, supplier_id integer, number integer, "
    "quantity integer, price integer, discount integer, tax integer, returned varchar(1), status varchar(1), shipped date, "
    "committed date, received date, mode varchar(10), comment varchar(44)",
}
SEGMENTS = ("AUTOMOBILE", "BUILDING", "FURNITURE", "HOUSEHOLD", "MACHINERY")
PRIORITIES = ("1-URGENT", "2-HIGH", "3-MEDIUM", "4-NOT SPEC", "5-LOW")
MODES = ("AIR", "FOB", "MAIL", "RAIL", "REG AIR", "SHIP", "TRUCK")
KINDS = ("STANDARD", "SMALL", "MEDIUM", "LARGE", "ECONOMY", "PROMO")
METALS = ("TIN", "NICKEL", "BRASS", "STEEL", "COPPER")
COLOURS = (
    "almond",
    "azure",
    "beige",
    "black",
    "blue",
    "coral",
    "cream",
    "forest",
    "green",
    "ivory",
    "khaki",
    "lemon",
)
FIRST_DAY = dt.date(1992, 1, 1)
DAYS = 2_400
TODAY = FIRST_DAY + dt.timedelta(days=1_900)


def rows(size: float = 1.0) -> Iterator[tuple[str, list[tuple[Any, ...]]]]:
    """Yield each table with its rows."""
    chance = random.Random(7)
    suppliers, customers = max(10, int(100 * size)), max(50, int(1_500 * size))
    parts, orders = max(50, int(2_000 * size)), max(200, int(15_000 * size))
    yield "region", [(n, f"REGION {n}", _text(chance, 60)) for n in range(5)]
    yield "nation", [(n, f"NATION {n}", n % 5, _text(chance, 70)) for n in range(25)]
    yield (
        "supplier",
        [
            (
                n,
                f"Supplier {n}",
                _text(chance, 30),
                n % 25,
                _phone(chance),
                chance.randrange(-999, 9_999),
                _text(chance, 60),
            )
            for n in range(suppliers)
        ],
    )
    yield "customer", [_customer(chance, n) for n in range(customers)]
    yield "part", [_part(chance, n) for n in range(parts)]
    yield (
        "partsupp",
        [
            (4 * n + k, n, (n + k * (suppliers // 4)) % suppliers, chance.randrange(1, 9_999), chance.randrange(1, 1_000),
             _text(chance, 120))
            for n in range(parts)
            for k in range(4)
        ],
    )  # fmt: skip
    made, lines = [], []
    for n in range(orders):
        day = FIRST_DAY + dt.timedelta(days=chance.randrange(DAYS))
        of_order = [
            _line(chance, len(lines) + k, n, k, day, parts, suppliers) for k in range(chance.randrange(1, 8))
        ]
        lines += of_order
        open_lines = sum(line[10] == "O" for line in of_order)
        status = "F" if not open_lines else "O" if open_lines == len(of_order) else "P"
        # A third of the customers never orders.
        customer = chance.randrange(customers // 3) * 3 + chance.randrange(2)
        made.append((
            n, min(customer, customers - 1), status, sum(line[6] for line in of_order), day, chance.choice(PRIORITIES),
            f"Clerk {chance.randrange(max(10, orders // 150))}", _text(chance, 50),
        ))  # fmt: skip
    yield "orders", made
    yield "lineitem", lines


def _customer(chance: random.Random, n: int) -> tuple[Any, ...]:
    return (
        n, f"Customer {n}", _text(chance, 30), chance.randrange(25), _phone(chance), chance.randrange(-999, 9_999),
        chance.choice(SEGMENTS), _text(chance, 70),
    )  # fmt: skip


def _part(chance: random.Random, n: int) -> tuple[Any, ...]:
    return (
        n, " ".join(chance.sample(COLOURS, 4)), f"Maker {1 + n % 5}", f"Brand {1 + n % 25}",
        f"{chance.choice(KINDS)} {chance.choice(METALS)}", chance.randrange(1, 51), f"BOX {chance.randrange(40)}",
        900 + n % 1_000, _text(chance, 15),
    )  # fmt: skip


def _line(
    chance: random.Random, key: int, order: int, number: int, day: dt.date, parts: int, suppliers: int
) -> tuple[Any, ...]:
    shipped = day + dt.timedelta(days=chance.randrange(1, 122))
    committed = day + dt.timedelta(days=chance.randrange(30, 91))
    received = shipped + dt.timedelta(days=chance.randrange(1, 31))
    part, quantity = chance.randrange(parts), chance.randrange(1, 51)
    supplier = (part + chance.randrange(4) * (suppliers // 4)) % suppliers
    returned = chance.choice("RA") if received <= TODAY else "N"
    return (
        key, order, part, supplier, number, quantity, quantity * (900 + part % 1_000), chance.randrange(11), chance.randrange(9),
        returned, "O" if shipped > TODAY else "F", shipped, committed, received, chance.choice(MODES), _text(chance, 27),
    )  # fmt: skip


def _text(chance: random.Random, length: int) -> str:
    return f"{chance.getrandbits(4 * length):x}"[:length]


def _phone(chance: random.Random) -> str:
    return f"{chance.randrange(10, 35)}-{chance.randrange(1_000_000, 9_999_999)}"


def fill(connection: Any, size: float = 1.0) -> None:
    """Make the tables anew on a connection of Django's, with their rows and statistics."""
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        for table, made in rows(size):
            cursor.execute(f"DROP TABLE IF EXISTS {table}")
            cursor.execute(f"CREATE TABLE {table} ({COLUMNS[table]})")
            marks = ", ".join(["%s"] * len(made[0]))
            cursor.executemany(f"INSERT INTO {table} VALUES ({marks})", made)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # Commits that are not on the disk yet keep VACUUM from marking pages as visible to all, which plans depend on.
            cursor.execute("SET synchronous_commit TO on")
            cursor.execute("VACUUM ANALYZE")
            cursor.execute("RESET synchronous_commit")
        else:
            cursor.execute("ANALYZE")


def drop(connection: Any) -> None:
    """Remove the tables."""
    with connection.cursor() as cursor:
        for table in COLUMNS:
            cursor.execute(f"DROP TABLE IF EXISTS {table}")
