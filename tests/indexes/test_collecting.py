"""What tables hold and how their indexes are used: read on each database, kept, and shown by the command."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from django.core.management.base import CommandError
from django.db import connection
from django.test import override_settings

from perfsuite.exceptions import StoreUnavailable
from perfsuite.indexes import Index, analysis, collecting, kept, kinds, listing, register, rendering
from perfsuite.indexes.engines import opened
from perfsuite.indexes.reports import Analysis, IndexReport, TableReport
from perfsuite.metrics import flush, leader
from perfsuite.metrics.flusher import flusher
from perfsuite.metrics.query import Window, totals_of
from perfsuite.metrics.recorder import recorder
from tests.indexes import world

Run = Callable[..., tuple[int, str, str]]
pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)
ROWS = 300
DAY_S = 86_400
COUNTS_USES = world.DATABASE != "sqlite"
WASTE = {"ix_short": "ix_long begins with the same columns"}


@pytest.fixture(autouse=True)
def _leads_the_fleet() -> Iterator[None]:
    recorder.take()
    flusher._announced.clear()  # the store is empty again
    leader._reset()
    leader.candidate.renew()
    yield
    leader._reset()


@pytest.fixture
def filled(leads: str) -> str:
    """Return the name of a table of 300 leads with two indexes, of which one begins with the other's column."""
    world.insert(*(world.lead(n) for n in range(ROWS)))
    if world.ON_MONGODB:
        world.database()[leads].create_index([("tenant_id", 1)], name="ix_short")
        world.database()[leads].create_index([("tenant_id", 1), ("status", 1)], name="ix_long")
    else:
        world.execute(f"CREATE INDEX ix_short ON {leads} (tenant_id)")
        world.execute(f"CREATE INDEX ix_long ON {leads} (tenant_id, status)")
    settle()
    return leads


def settle() -> None:
    """Have PostgreSQL's counters told, which its sessions keep to themselves for a while."""
    if world.DATABASE == "postgresql":
        world.execute("SELECT pg_stat_force_next_flush()")
        world.execute("SELECT 1")


def use_an_index() -> None:
    if world.ON_MONGODB:
        list(world.database()[world.LEADS].find({"tenant_id": 1, "status": "new"}))
    else:
        off = world.DATABASE == "postgresql"
        with connection.cursor() as cursor:
            if off:
                cursor.execute("SET enable_seqscan = off")
            cursor.execute(f"SELECT id FROM {world.LEADS} WHERE tenant_id = 1 AND status = 'new'")
            cursor.fetchall()
            if off:
                cursor.execute("RESET enable_seqscan")
    settle()


def read_all() -> None:
    if world.ON_MONGODB:
        list(world.database()[world.LEADS].find({"body": "none"}))
    else:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT id FROM {world.LEADS} WHERE body = 'none'")
    settle()


def read() -> tuple[Analysis, TableReport]:
    with opened("default") as engine:
        found = analysis.analyze(engine)
    (table,) = (each for each in found.tables if each.table == world.LEADS)
    return found, table


def test_each_database_tells_what_a_table_holds(filled: str) -> None:
    found, table = read()

    assert table.rows == ROWS
    assert table.size
    assert table.index_size
    assert table.average
    assert 30 < table.average < 1_000
    assert table.ratio
    assert table.ratio > 0
    assert table.indexes == (2 if world.DATABASE == "sqlite" else 3)
    assert {each.name: each.waste for each in found.waste_of(filled)} == WASTE


def noted(table: str) -> dict[str, str]:
    with opened("default") as engine:
        return {each.name: each.note for each in listing.entries(engine, [table])}


def keep_watched(days: float, *, uses: int) -> None:
    """Keep a collection that has known the indexes for some days, and these uses of them before the server began anew."""
    first = read()[0]
    then = first.at - int(days * DAY_S)
    indexes = (
        replace(each, watched_at=then, watched_uses=uses) if each.uses is not None else each
        for each in first.indexes
    )
    kept.keep(replace(first, indexes=tuple(indexes)))
    flush()


@pytest.mark.skipif(not COUNTS_USES, reason="SQLite counts no uses")
def test_an_index_that_was_just_made_is_not_called_unused_and_not_dropped_as_such(
    filled: str, run: Run
) -> None:
    # PostgreSQL does not say since when an index is there.
    said = "counted since 20" if world.ON_MONGODB else "and since when it is there is not known"
    assert noted(filled)["ix_long"].startswith(f"no use seen yet, {said}")
    assert "ix_long (" not in run("setup_indexes", "--drop-unused")[1]
    with pytest.raises(
        CommandError, match=rf"ix_long may be needed: no use seen yet, {said}.*7 days to tell; it stays\."
    ):
        run("setup_indexes", "--drop-unused", "ix_long", "--apply", "--yes")
    assert "ix_long" in world.index_names()


@pytest.mark.skipif(not COUNTS_USES, reason="SQLite counts no uses")
@pytest.mark.parametrize(
    ("days", "uses", "note", "listed"),
    [
        (6.9, 0, "no use seen yet, counted since 20", False),
        (7.1, 0, "not used since 20", True),
        (7.1, 3, "", False),
    ],
)
def test_an_index_is_unused_when_collections_of_a_week_saw_no_use_of_it(
    filled: str, run: Run, days: float, uses: int, note: str, listed: bool
) -> None:
    keep_watched(days, uses=uses)
    assert noted(filled)["ix_long"].startswith(note)
    assert bool(noted(filled)["ix_long"]) == bool(note)
    assert (
        "ix_long (tenant_id, status) (not used since 20" in run("setup_indexes", "--drop-unused")[1]
    ) == listed
    if uses:
        with pytest.raises(
            CommandError, match=r"ix_long was in use: 3 times since 20.*before the server began"
        ):
            run("setup_indexes", "--drop-unused", "ix_long", "--apply", "--yes")


@pytest.mark.skipif(not COUNTS_USES, reason="SQLite counts no uses")
@pytest.mark.by_store
def test_each_collection_carries_on_since_when_uses_are_known_and_how_many(filled: str) -> None:
    keep_watched(40, uses=3)
    use_an_index()
    second = int(time.time())
    while int(time.time()) == second:  # two collections of one second are one
        time.sleep(0.05)
    now = collecting.collect("default")
    flush()
    held = kept.latest(["default"])["default"].analysis
    assert held is not None
    assert held.at == now.at
    (long,) = (each for each in held.indexes if each.name == "ix_long")
    assert long.watched_at is not None
    assert abs(now.at - long.watched_at - 40 * DAY_S) < 3_600
    assert long.watched_uses == 3 + (long.uses or 0)
    assert long.uses


def test_without_a_store_the_servers_word_is_all_there_is(
    filled: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*args: Any) -> None:
        raise StoreUnavailable("The metrics store cannot be reached.")

    monkeypatch.setattr(kept, "latest", away)
    assert noted(filled)["ix_short"] == "ix_long begins with the same columns"
    assert noted(filled)["ix_long"].startswith("no use seen yet" if COUNTS_USES else "")


@pytest.mark.skipif(not COUNTS_USES, reason="SQLite counts no uses")
def test_scans_index_reads_and_writes_are_counted(filled: str) -> None:
    _, before = read()
    read_all()
    use_an_index()
    world.insert(world.lead(ROWS + 1))
    settle()
    _, after = read()

    for name in ("scans", "reads", "writes"):
        assert getattr(after, name) > getattr(before, name), name
    assert after.since
    assert abs(after.since - time.time()) < DAY_S


def test_what_costs_much_is_left_out_when_nobody_asked(filled: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from perfsuite.indexes.engines import mongodb, sqlite

    monkeypatch.setattr(sqlite, "CHEAP_LOCKED_BYTES", 0)  # a file in memory has no WAL
    monkeypatch.setattr(mongodb, "CHEAP_COLLECTIONS", 1)
    with opened("default") as engine:
        engine.is_cheap = True
        found = analysis.analyze(engine)

    if world.ON_MONGODB:
        assert len(found.tables) == 1
        return
    (table,) = (each for each in found.tables if each.table == filled)
    assert table.rows == ROWS
    assert (table.size is None) == (world.DATABASE == "sqlite")


def test_the_leader_collects_and_what_it_read_is_kept(filled: str) -> None:
    register(filled, Index("tenant_id", "email", name="ix_declared"))

    assert collecting.collect_if_due() >= 1
    assert collecting.collect_if_due() == 0  # not before COLLECT_EVERY_S
    flush()

    held = kept.latest(["default"])["default"].analysis
    assert held is not None
    (table,) = (each for each in held.tables if each.table == filled)
    assert (table.rows, table.first_rows, table.first_at) == (ROWS, ROWS, held.at)
    states = {each.name: each.state for each in held.indexes if each.table == filled}
    assert states["ix_declared"] == "missing"
    assert states["ix_short"] == "foreign"
    assert {each.name for each in held.waste_of(filled)} == set(WASTE)
    label = ("default", filled)
    assert totals_of(kinds.ROWS, Window.last(3_600), [label])[label].sum == ROWS


@pytest.mark.by_store
def test_what_was_made_or_dropped_is_collected_when_the_leader_looks_next(filled: str, run: Run) -> None:
    def state() -> str | None:
        assert collecting.collect_if_due() >= 1
        flush()
        held = kept.latest(["default"])["default"].analysis
        assert held is not None
        states = {each.name: each.state for each in held.indexes if each.table == filled}
        return states.get("ix_declared")

    register(filled, Index("tenant_id", "email", name="ix_declared"))
    assert state() == "missing"
    second = int(time.time())
    run("setup_indexes", "--database", "default")
    assert collecting.collect_if_due() == 0  # nothing was made
    run("setup_indexes", "--apply", "--database", "default")
    while int(time.time()) == second:  # two collections of one second are one
        time.sleep(0.05)
    assert state() == "declared"
    run("setup_indexes", "--apply", "--database", "default")
    assert collecting.collect_if_due() == 0
    run("setup_indexes", "--drop-unused", "ix_short", "--apply", "--yes", "--database", "default")
    assert collecting.collect_if_due() >= 1


def test_a_store_that_is_away_keeps_no_index_from_being_made(
    filled: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> None:
        raise StoreUnavailable("The metrics store cannot be reached.")

    monkeypatch.setattr(collecting, "get_storage", away)
    register(filled, Index("tenant_id", "email", name="ix_declared"))
    code, _, err = run("setup_indexes", "--apply", "--database", "default")
    assert (code, "1 created" in err) == (0, True)


def test_the_history_adds_up_what_was_used_between_two_collections(filled: str) -> None:
    first = replace(read()[0], at=1_000)
    before = replace(
        first, tables=tuple(replace(each, scans=5, reads=9, writes=100) for each in first.tables)
    )
    now = replace(before, tables=tuple(replace(each, scans=7, reads=2, writes=100) for each in first.tables))

    found = {
        (kind, labels): value
        for kind, labels, value in collecting._observations(now, before)
        if labels[1] == filled
    }
    label = ("default", filled)
    assert found[kinds.SCANS, label] == 2
    assert found[kinds.READS, label] == 2  # fewer than before: the server began to count anew
    assert found[kinds.WRITES, label] == 0
    assert found[kinds.ROWS, label] == ROWS
    assert not [each for each in collecting._observations(now, None) if each[0] == kinds.SCANS]


def test_growth_is_told_since_the_oldest_sample_of_the_history(filled: str) -> None:
    now = int(time.time())
    old = TableReport(
        "default",
        filled,
        rows=100,
        size=1_000,
        index_size=500,
        first_at=now - 9 * DAY_S,
        first_rows=40,
        first_size=700,
    )
    found = collecting.with_growth(read()[0], Analysis("default", "", now, (old,)))
    (table,) = (each for each in found.tables if each.table == filled)

    assert (table.first_at, table.first_rows, table.first_size) == (now - 9 * DAY_S, 40, 700)
    assert rendering.growth(table).startswith(f"{ROWS - 40:+,} rows +")


def test_without_a_collection_the_history_itself_is_asked(filled: str) -> None:
    label = ("default", filled)
    recorder.observe_many(
        ((kinds.ROWS, label, 120.0), (kinds.DATA, label, 5_000.0), (kinds.INDEX, label, 700.0))
    )
    flush()
    found = collecting.with_growth(read()[0], None)
    (table,) = (each for each in found.tables if each.table == filled)

    assert (table.first_rows, table.first_size) == (120, 5_700)
    assert table.first_at is not None
    assert 0 <= time.time() - table.first_at <= DAY_S + 10


def test_very_many_indexes_are_kept_within_bounds_what_matters_first() -> None:
    tables = tuple(TableReport("many", f"t{n}", rows=n, size=n) for n in range(1_000))
    indexes = tuple(
        IndexReport("many", f"t{n}", f"i{n}", "foreign", '("a" desc)' * 100, statement='"' * 1_000, size=n)
        for n in range(2_000)
    )
    missing = IndexReport("many", "t1", "wanted", "missing", "(a)")
    kept.keep(Analysis("many", "PostgreSQL", 5, tables, (*indexes, missing)))
    flush()

    held = kept.latest(["many"])["many"].analysis
    assert held is not None
    assert held.indexes[0] == missing
    assert len(held.tables) == kept.MAX_TABLES
    assert 100 < len(held.indexes) <= kept.MAX_INDEXES
    assert held.left_out == 3_001 - len(held.tables) - len(held.indexes)
    assert held.tables[0].table == "t999"


def test_a_database_that_is_away_is_said_and_what_was_read_before_stays(
    filled: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    collecting.collect("default")
    flush()

    def away(*args: Any) -> Any:
        raise collecting.PerfsuiteError("The database 'default' cannot be reached: gone.")

    monkeypatch.setattr(analysis, "analyze", away)
    monkeypatch.setattr(collecting.time, "time", lambda: 4e9)
    assert collecting.collect_if_due() == 0
    flush()

    held = kept.latest(["default"])["default"]
    assert held.error == "The database 'default' cannot be reached: gone."
    assert held.analysis is not None


def test_nothing_is_collected_when_it_is_switched_off(filled: str) -> None:
    with override_settings(PERFSUITE={"INDEXES": {"COLLECT_EVERY_S": 0}}):
        assert collecting.collect_if_due() == 0


def test_a_collection_that_fails_hurts_nobody_but_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(alias: str) -> Any:
        raise RuntimeError("broken")

    monkeypatch.setattr(collecting, "collect", broken)
    monkeypatch.setattr(leader, "_jobs", {})
    leader.register_job("indexes.collect", 60, collecting.collect_if_due)
    with caplog.at_level(logging.ERROR, "perfsuite.metrics"):
        leader.tick()
    assert "indexes.collect failed" in caplog.text


def test_the_command_shows_each_table_and_its_waste(filled: str, run: Run) -> None:
    code, out, _ = run("analyze_collections", filled, "--database", "default")
    assert code == 0
    first, *waste = out.splitlines()
    assert first.startswith(f"default {filled}, 300 rows, ")
    assert "index ratio " in first
    assert any(line.startswith("  waste ix_short: ix_long begins with the same columns (") for line in waste)
    assert len(waste) == len(WASTE)

    _, out, _ = run("analyze_collections", filled, "--database", "default", "--format", "json")
    told = json.loads(out)
    assert (told["database"], told["table"], told["rows"]) == ("default", filled, ROWS)
    assert {each["name"]: each["reason"] for each in told["waste"]} == WASTE
    assert (told["scans"] is None) != COUNTS_USES


def test_the_command_keeps_what_it_read_if_asked_to(filled: str, run: Run) -> None:
    assert run("analyze_collections", "--database", "default", "--keep")[0] == 0
    assert kept.latest(["default"])["default"].analysis is not None


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("nope", "--database", "default"), "No table 'nope' in default."),
        (("--database", "nope"), "'nope' is neither in DATABASES nor in"),
        (("ix_leads", "--keep"), "--keep keeps all tables of a database; leave out the names."),
    ],
)
def test_bad_input_of_the_command_is_one_sentence(
    run: Run, arguments: tuple[str, ...], sentence: str
) -> None:
    with pytest.raises(CommandError) as raised:
        run("analyze_collections", *arguments)
    assert sentence in str(raised.value)
