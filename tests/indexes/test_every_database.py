"""The same declarations on every database: what it can have is made once, and then it is complete."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management.base import CommandError
from django.db import connection

from perfsuite.indexes import Index, register, registry
from tests.indexes import world

Run = Callable[..., tuple[int, str, str]]
COLLATION = {"sqlite": "NOCASE", "postgresql": "C", "mongodb": {"locale": "en", "strength": 2}}
EVERYTHING = {
    "plain": Index("tenant_id", "status", name="ix_plain"),
    "descending": Index("tenant_id", "-created_at", name="ix_descending"),
    "unique": Index("tenant_id", "email", unique=True, name="ix_unique"),
    "partial": Index("tenant_id", "amount", where={"status": "new"}, name="ix_partial"),
    "partial range": Index("amount", where={"amount": {"$gt": 5, "$lte": 100}}, name="ix_range"),
    "partial list": Index("status", where={"status": {"$in": ["new", "won"]}}, name="ix_list"),
    "partial null": Index("email", where={"status": None}, name="ix_null"),
    "partial present": Index("email", where={"status": {"$exists": True}}, name="ix_exists"),
    "partial absent": Index("keywords", where={"status": {"$exists": False}}, name="ix_absent"),
    "partial time": Index("status", where={"created_at": {"$gte": world.NOON}}, name="ix_time"),
    "partial flag": Index("status", where={"active": True}, name="ix_flag"),
    "partial quoted": Index("status", where={"status": "it's (new)"}, name="ix_quoted"),
    "partial negative": Index("amount", where={"amount": {"$lt": -2.5}}, name="ix_negative"),
    "partial unequal": Index("tenant_id", where={"status": {"$ne": "lost"}}, name="ix_unequal"),
    "sparse": Index("keywords", sparse=True, name="ix_sparse"),
    "include": Index("status", include=("email",), name="ix_include"),
    "unique include": Index("email", include=("status",), unique=True, name="ix_unique_include"),
    "expression": Index("tenant_id", "lower(email)", name="ix_expression"),
    "collation": Index("email", collation=COLLATION, name="ix_collation"),
    "text": Index("body", "keywords", kind="text", name="ix_text"),
    "hashed": Index("status", kind="hashed", name="ix_hashed"),
    "ttl": Index("created_at", expire_after_s=86_400 * 10_000, name="ix_ttl"),
}
CANNOT = {
    "sqlite": {"text", "hashed", "ttl", "unique include"},
    "postgresql": {"ttl"},
    "djongo": {"unique include", "expression", "partial absent", "partial unequal"},
    "mongodb": {"unique include", "expression", "partial absent", "partial unequal"},
}


def names(kinds: set[str]) -> set[str]:
    return {EVERYTHING[kind].name for kind in kinds}


def of_action(action: str, plan: str) -> set[str]:
    """Return the names of the indexes for which a plan has an action."""
    return {line.split()[3] for line in plan.splitlines() if line.split()[1] == action}


def test_the_first_run_makes_all_that_the_database_has_and_the_second_changes_nothing(
    leads: str, run: Run
) -> None:
    world.insert(*(world.lead(number) for number in range(20)))
    register(leads, *EVERYTHING.values())
    possible = names(set(EVERYTHING) - CANNOT[world.DATABASE])

    assert run("check_indexes")[0] == 2
    assert world.index_names() == set()
    _, planned, told = run("setup_indexes")
    assert world.index_names() == set()
    assert of_action("create", planned) == possible
    assert "type: manage.py setup_indexes --apply" in told

    _, created, _ = run("setup_indexes", "--apply")
    assert {line.split()[2] for line in created.splitlines() if line.startswith("created ")} == possible
    assert world.index_names() == possible

    _, again, told = run("setup_indexes", "--apply")
    assert of_action("create", again) == set()
    assert "created" not in again.split() + told.split()
    assert of_action("keep", again) == possible
    assert of_action("unsupported", again) == names(CANNOT[world.DATABASE])
    assert world.index_names() == possible
    assert run("check_indexes")[0] == 0


def inbox_plan() -> str:
    """Return how the database reads the leads of one tenant and status, newest first."""
    if world.ON_MONGODB:
        found = world.database()[world.LEADS].find({"tenant_id": 1, "status": "new"})
        return json.dumps(found.sort("created_at", -1).limit(20).explain()["queryPlanner"]["winningPlan"])
    world.execute(f"ANALYZE {world.LEADS}")
    explain = "EXPLAIN QUERY PLAN" if world.DATABASE == "sqlite" else "EXPLAIN"
    sql = f"SELECT * FROM {world.LEADS} WHERE tenant_id = 1 AND status = 'new' ORDER BY created_at DESC LIMIT 20"
    with connection.cursor() as cursor:
        cursor.execute(f"{explain} {sql}")
        return "\n".join(" ".join(map(str, row)) for row in cursor.fetchall())


def test_the_newest_leads_of_a_tenant_are_read_by_the_index_and_no_longer_from_the_whole_table(
    leads: str, run: Run
) -> None:
    world.insert(*(world.lead(number) for number in range(900)))
    register(leads, Index("tenant_id", "status", "-created_at", name="ix_inbox"))
    whole, sorts = {
        "sqlite": (f"SCAN {leads}", "TEMP B-TREE"),
        "postgresql": (f"Seq Scan on {leads}", "Sort"),
    }.get(world.DATABASE, ("COLLSCAN", '"SORT"'))

    before = inbox_plan()
    run("setup_indexes", "--apply")
    after = inbox_plan()

    assert (whole in before, sorts in before, "ix_inbox" in before) == (True, True, False)
    assert (whole in after, sorts in after, "ix_inbox" in after) == (False, False, True)


@pytest.mark.parametrize("kind", sorted(CANNOT[world.DATABASE]))
def test_what_the_database_cannot_do_is_said_with_a_reason(kind: str, leads: str, run: Run) -> None:
    register(leads, EVERYTHING[kind])

    _, planned, _ = run("setup_indexes", "--format", "json")

    change = json.loads(planned)
    assert (change["action"], change["table"], change["name"]) == (
        "unsupported",
        leads,
        EVERYTHING[kind].name,
    )
    assert len(change["reason"].split()) > 4


def test_rows_in_the_way_of_a_unique_index_are_told_and_nothing_is_made(leads: str, run: Run) -> None:
    twice = [world.lead(number, email=f"twice{number % 4}@example.com", tenant_id=1) for number in range(9)]
    world.insert(*twice, world.lead(50, email="alone@example.com"))
    register(leads, Index("status"), Index("tenant_id", "email", unique=True, name="ix_unique"))

    with pytest.raises(CommandError) as raised:
        run("setup_indexes", "--apply")

    said = str(raised.value)
    assert said.startswith(
        f"4 keys are more than once in {leads}, so the unique index ix_unique is impossible"
    )
    assert said.count("(tenant_id=<int>, email=<text of 18>) in ") == 3
    assert "in 3 rows" in said
    assert "twice" not in said
    assert world.index_names() == set()

    with pytest.raises(CommandError, match=r"email='twice0@example\.com'\) in 3 rows"):
        run("setup_indexes", "--apply", "--show-values")


def test_rows_that_the_filter_leaves_out_are_not_in_the_way(leads: str, run: Run) -> None:
    world.insert(*(world.lead(number, email="same@example.com", status="lost") for number in range(3)))
    world.insert(world.lead(7, email="same@example.com", status="new"))
    register(leads, Index("email", unique=True, where={"status": "new"}, name="ix_unique"))

    run("setup_indexes", "--apply")

    assert world.index_names() == {"ix_unique"}


def test_an_index_of_the_same_name_with_other_keys_is_a_conflict_and_nothing_is_made(
    leads: str, run: Run
) -> None:
    register(leads, Index("status", name="ix_one"))
    run("setup_indexes", "--apply")

    registry.unregister_all()
    register(leads, Index("email", name="ix_one"), Index("tenant_id", name="ix_two"))

    code, out, _ = run("check_indexes")
    assert code == 2
    assert (
        f"default conflict {leads} ix_one (email): {leads} has an index of this name with other keys" in out
    )
    with pytest.raises(CommandError, match="ix_one on ix_leads conflicts, so nothing was created"):
        run("setup_indexes", "--apply")
    assert world.index_names() == {"ix_one"}


def test_an_index_that_is_there_under_another_name_serves(leads: str, run: Run) -> None:
    register(leads, Index("status", "-created_at", name="ix_mine"))
    run("setup_indexes", "--apply")

    registry.unregister_all()
    register(leads, Index({"status": 1, "created_at": -1}))

    code, _, _ = run("check_indexes")
    assert code == 0
    assert "it is there as ix_mine" in run("setup_indexes")[1]


def test_a_view_is_no_place_for_an_index(leads: str, run: Run) -> None:
    if world.ON_MONGODB:
        world.database().create_collection("ix_view", viewOn=leads, pipeline=[])
    else:
        world.execute(f"CREATE VIEW ix_view AS SELECT * FROM {leads}")
    try:
        register("ix_view", Index("status"))
        with pytest.raises(CommandError, match="'ix_view' in the database 'default' is a view, on which"):
            run("setup_indexes", "--apply")
    finally:
        if world.ON_MONGODB:
            world.database().drop_collection("ix_view")
            world.database().drop_collection("system.views")
        else:
            world.execute("DROP VIEW ix_view")


def test_an_index_that_nobody_declared_is_foreign_and_stays(leads: str, run: Run) -> None:
    if world.ON_MONGODB:
        world.database()[leads].create_index("email", name="ix_theirs")
    else:
        world.execute(f"CREATE INDEX ix_theirs ON {leads} (email)")
    register(leads, Index("status", name="ix_mine"))

    assert f"default foreign {leads} ix_theirs (email)" in run("setup_indexes")[1]
    run("setup_indexes", "--apply")

    assert world.index_names() == {"ix_theirs", "ix_mine"}


def test_only_indexes_that_are_named_and_not_needed_are_dropped(leads: str, run: Run) -> None:
    register(leads, Index("tenant_id", "status", name="ix_long"))
    run("setup_indexes", "--apply")
    make: Any = world.database()[leads].create_index if world.ON_MONGODB else None
    for name, column in (("ix_short", "tenant_id"), ("ix_other", "email")):
        if make:
            make(column, name=name)
        else:
            world.execute(f"CREATE INDEX {name} ON {leads} ({column})")

    _, listed, _ = run("setup_indexes", "--drop-unused")
    assert f"{leads} ix_short (tenant_id) (ix_long begins with the same columns): may go" in listed
    assert "ix_long (" not in listed
    run("setup_indexes", "--drop-unused", "ix_short", "--apply")
    assert world.index_names() == {"ix_long", "ix_short", "ix_other"}
    with pytest.raises(CommandError, match="ix_long is declared; remove its declaration first"):
        run("setup_indexes", "--drop-unused", "ix_short", "ix_long", "--apply", "--yes")
    with pytest.raises(CommandError, match="has no index 'ix_shirt'; did you mean 'ix_short'"):
        run("setup_indexes", "--drop-unused", "ix_shirt", "--apply", "--yes")

    _, first, _ = run("setup_indexes", "--drop-unused", "ix_short", "--apply", "--yes")
    if world.ON_MONGODB:
        assert "hidden: nothing uses it any more" in first
        assert "ix_short" in world.index_names()
        run("setup_indexes", "--drop-unused", "ix_short", "--apply", "--yes")
    assert world.index_names() == {"ix_long", "ix_other"}


def test_the_list_tells_what_is_declared_missing_foreign_and_waste(leads: str, run: Run) -> None:
    register(leads, Index("tenant_id", "status", name="ix_long"), Index("tenant_id", name="ix_short"))
    run("setup_indexes", "--apply")

    registry.unregister_all()
    register(leads, Index("tenant_id", "status", name="ix_long"), Index("email", name="ix_missing"))

    _, out, _ = run("list_indexes", leads)
    lines = {line.split()[3]: line for line in out.splitlines()}

    assert lines["ix_long"].startswith(f"default declared {leads} ix_long (tenant_id, status)")
    assert lines["ix_missing"].startswith(f"default missing {leads} ix_missing (email)")
    assert lines["ix_short"].startswith(f"default foreign {leads} ix_short (tenant_id)")
    assert "ix_long begins with the same columns" in lines["ix_short"]


def test_an_index_is_explained(leads: str, run: Run) -> None:
    register(leads, Index("tenant_id", "-created_at", name="ix_newest"))

    _, out, _ = run("explain_index", "ix_newest")

    assert out.startswith(f"ix_newest: missing on {leads} in default\ndoes: (tenant_id, created_at desc)\n")
    assert "declared in: tests.indexes.test_every_database" in out
    made_by = next(line for line in out.splitlines() if line.startswith("made by: "))
    if world.ON_MONGODB:
        assert made_by.startswith(
            f'made by: db.getCollection("{leads}").createIndex({{"tenant_id": 1, "created_at": -1}}'
        )
    else:
        world.execute(made_by.removeprefix("made by: "))
        assert world.index_names() == {"ix_newest"}
        assert "declared on" in run("explain_index", f"{leads}.ix_newest")[1]
    with pytest.raises(CommandError, match="No index is called 'ix_newst'; did you mean 'ix_newest'"):
        run("explain_index", "ix_newst")
