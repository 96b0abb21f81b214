"""A table of leads as each database has it, with no model: a table on SQL, a collection on MongoDB."""

from __future__ import annotations

import datetime as dt
import os
from typing import Any

from django.db import connections, transaction

DATABASE = os.environ.get("TEST_DATABASE", "sqlite")
ON_MONGODB = DATABASE in ("djongo", "mongodb")
LEADS = "ix_leads"
_COLUMNS = {
    "sqlite": "id integer primary key, tenant_id integer, status varchar(20), email varchar(100), body text, "
    "keywords varchar(100), amount decimal, active bool, created_at datetime",
    "postgresql": "id bigserial primary key, tenant_id bigint, status varchar(20), email varchar(100), body text, "
    "keywords varchar(100), amount numeric(10, 2), active boolean, created_at timestamptz",
}
NOON = dt.datetime(2024, 5, 1, 12, 0, tzinfo=dt.UTC)


def lead(number: int, **changes: Any) -> dict[str, Any]:
    """Return one lead; those with different numbers have different addresses."""
    values = {
        "tenant_id": number % 5,
        "status": ("new", "won", "lost")[number % 3],
        "email": f"person{number}@example.com",
        "body": f"The quick brown fox asks for offer {number}",
        "keywords": f"offer {number}",
        "created_at": NOON + dt.timedelta(minutes=number),
    }
    return {**values, **changes}


def database(alias: str = "default") -> Any:
    """Return pymongo's database."""
    connection: Any = connections[alias]
    connection.ensure_connection()
    return connection.connection if connection.vendor == "djongo" else connection.database


def execute(sql: str, params: Any = None) -> None:
    """Run a statement."""
    with connections["default"].cursor() as cursor:
        cursor.execute(sql, params)


def make_table(name: str = LEADS) -> None:
    """Make an empty table or collection anew."""
    drop_table(name)
    if ON_MONGODB:
        database().create_collection(name)
    else:
        execute(f"CREATE TABLE {name} ({_COLUMNS[DATABASE]})")


def drop_table(name: str = LEADS) -> None:
    """Remove the table with its indexes."""
    if ON_MONGODB:
        database().drop_collection(name)
    else:
        execute(f"DROP TABLE IF EXISTS {name}")


def insert(*leads: dict[str, Any], into: str = LEADS) -> None:
    """Store leads."""
    if ON_MONGODB:
        database()[into].insert_many([dict(each) for each in leads])
        return
    with transaction.atomic("default"), connections["default"].cursor() as cursor:
        for each in leads:
            columns, marks = ", ".join(each), ", ".join(["%s"] * len(each))
            cursor.execute(f"INSERT INTO {into} ({columns}) VALUES ({marks})", list(each.values()))


def index_names(table: str = LEADS) -> set[str]:
    """Return what the server itself says of the indexes, without those of keys."""
    if ON_MONGODB:
        return {each["name"] for each in database()[table].list_indexes()} - {"_id_"}
    sql = {
        "sqlite": "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = %s AND sql IS NOT NULL",
        "postgresql": "SELECT indexname FROM pg_indexes WHERE tablename = %s AND indexname NOT LIKE '%%_pkey'",
    }[DATABASE]
    with connections["default"].cursor() as cursor:
        cursor.execute(sql, [table])
        return {name for (name,) in cursor.fetchall()}
