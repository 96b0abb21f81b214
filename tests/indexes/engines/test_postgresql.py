"""PostgreSQL: builds that wait, are cut off or refused, and what only it has. On a real server."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.core.management.base import CommandError
from django.db import connection, transaction
from django.test import override_settings

from perfsuite.indexes import DatabaseRefused, Index, applying, register, registry
from perfsuite.indexes.engines import opened, pg_progress
from tests.indexes import processes, world
from tests.indexes.engines.standby import hot_standby
from tests.integration.restartable import RestartablePostgreSQL

if world.DATABASE != "postgresql":
    pytest.skip("about PostgreSQL; runs in its lane", allow_module_level=True)

Run = Callable[..., tuple[int, str, str]]
STATUS = Index("status", name="ix_leads_status_idx")
VALID = "SELECT x.indisvalid FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid WHERE i.relname = 'ix_leads_status_idx'"
BUILDERS = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX%%' AND pid <> pg_backend_pid() AND state = 'active'"


def rows(sql: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())


@contextmanager
def in_another_transaction(sql: str) -> Iterator[Callable[[], None]]:
    """Run ``sql`` in a transaction of another connection that stays open until the end, or until what is yielded is called."""
    other = connection.copy()
    other.inc_thread_sharing()  # it may be ended by the thread that tells the progress
    other.set_autocommit(False)
    try:
        with other.cursor() as cursor:
            cursor.execute(sql)
        yield other.rollback
    finally:
        other.rollback()
        other.close()


WRITER = f"INSERT INTO {world.LEADS} (status) VALUES ('new')"


def apply(said: list[str] | Callable[[str], None]) -> None:
    with opened("default") as engine:
        applying.apply(engine, say=said.append if isinstance(said, list) else said, done=lambda made: None)


def building() -> bool:
    """Tell whether a build has begun, and has left its index, not valid yet."""
    return rows(VALID) == [(False,)]


def test_a_command_that_is_killed_in_mid_build_is_finished_by_the_next_run(
    leads: str, tmp_path: Path
) -> None:
    register(leads, STATUS)
    with in_another_transaction(WRITER) as release:
        killed = processes.command(tmp_path, "setup_indexes", "--apply", indexes=["status"])
        processes.wait_for(building, "the build waits for the writer")
        killed.send_signal(signal.SIGKILL)
        processes.ended(killed)
        said: list[str] = []

        def say(text: str) -> None:
            said.append(text)
            if "another setup_indexes works on it" in text:
                release()  # the server does not know yet that nobody waits for it

        apply(say)

    assert any("another setup_indexes works on it (process " in text for text in said)
    assert rows(VALID) == [(True,)]
    assert world.index_names() == {STATUS.name}


def test_what_a_build_leaves_that_the_server_ended_is_dropped_and_built_anew(
    leads: str, run: Run, tmp_path: Path
) -> None:
    register(leads, STATUS)
    with in_another_transaction(WRITER):
        broken = processes.command(tmp_path, "setup_indexes", "--apply", indexes=["status"])
        processes.wait_for(building, "the build waits for the writer")
        ((pid,),) = rows(BUILDERS)
        rows(f"SELECT pg_terminate_backend({pid})")
        code, _, err = processes.ended(broken)
    assert code == 1
    assert err.strip().split("\n")[-1].startswith("CommandError: The database 'default' ")
    assert building()

    assert (
        "ix_leads_status_idx (status): what a build that was cut off has left is dropped first"
        in run("setup_indexes")[1]
    )
    assert "invalid: its build was cut off" in run("list_indexes", leads)[1]
    run("setup_indexes", "--apply")

    assert rows(VALID) == [(True,)]
    assert world.index_names() == {STATUS.name}


def test_two_runs_at_once_end_well_with_one_index(leads: str, tmp_path: Path) -> None:
    with in_another_transaction(WRITER) as release:
        first = processes.command(tmp_path, "setup_indexes", "--apply", indexes=["status"])
        processes.wait_for(building, "the first build waits for the writer")
        second = processes.command(tmp_path, "setup_indexes", "--apply", indexes=["status"])
        waits = "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_try_advisory_lock%%' AND pid <> pg_backend_pid()"
        processes.wait_for(lambda: rows(waits), "the second run asks for the lock")
        release()
        outcomes = [processes.ended(process) for process in (first, second)]

    assert [code for code, _, _ in outcomes] == [0, 0]
    assert "created ix_leads" in outcomes[0][1]
    assert "created" not in outcomes[1][1].split()
    assert "another setup_indexes works on it" in outcomes[1][2]
    assert rows(VALID) == [(True,)]


def test_writes_go_on_while_a_build_waits(leads: str, tmp_path: Path) -> None:
    with in_another_transaction(WRITER) as release:
        builder = processes.command(tmp_path, "setup_indexes", "--apply", indexes=["status"])
        processes.wait_for(building, "the build waits for the writer")
        world.execute("SET lock_timeout = '200ms'")
        world.insert(*(world.lead(number) for number in range(10)))
        world.execute("RESET lock_timeout")
        release()
        assert processes.ended(builder)[0] == 0
    assert rows(VALID) == [(True,)]


def test_a_lock_that_is_not_given_in_time_is_asked_for_again(leads: str) -> None:
    register(leads, STATUS)
    said: list[str] = []
    with (
        override_settings(PERFSUITE={"INDEXES": {"LOCK_TIMEOUT_S": 0.05, "LOCK_RETRIES": 2}}),
        in_another_transaction(f"LOCK TABLE {leads} IN SHARE UPDATE EXCLUSIVE MODE") as release,
    ):
        with pytest.raises(
            DatabaseRefused, match="did not give a lock in time: a transaction has been open for longer"
        ):
            apply(said)
        retries = [text for text in said if "no lock on ix_leads within 0.05 s; again, " in text]
        assert [text[-6:] for text in retries] == ["2 more", "1 more"]
        assert world.index_names() == set()

        apply(lambda text: release() if "no lock" in text else None)
    assert rows(VALID) == [(True,)]
    assert rows("SHOW lock_timeout") == [("0",)]


def test_a_build_that_waits_too_long_for_a_writer_leaves_nothing(leads: str) -> None:
    register(leads, STATUS)
    with (
        override_settings(PERFSUITE={"INDEXES": {"LOCK_TIMEOUT_S": 0.05, "LOCK_RETRIES": 0}}),
        in_another_transaction(WRITER),
        pytest.raises(DatabaseRefused, match="did not give a lock in time"),
    ):
        apply([])
    # Nor could what it had begun be dropped in time: the next run does it.
    apply([])
    assert rows(VALID) == [(True,)]


def test_a_build_that_waits_too_long_for_a_writer_is_tried_again(leads: str) -> None:
    register(leads, STATUS)
    with (
        override_settings(PERFSUITE={"INDEXES": {"LOCK_TIMEOUT_S": 0.05, "LOCK_RETRIES": 3}}),
        in_another_transaction(WRITER) as release,
    ):
        apply(lambda text: release() if text.endswith("1 more") else None)
    assert rows(VALID) == [(True,)]


def test_a_statement_timeout_of_the_connection_does_not_end_a_build(
    leads: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pg_progress, "EVERY_S", 0.2)
    register(leads, STATUS)
    with in_another_transaction(WRITER) as release, opened("default") as engine:
        create = engine.create

        def impatient(*args: Any) -> None:
            world.execute("SET statement_timeout = '50ms'")
            create(*args)

        engine.create = impatient  # type: ignore[method-assign] # the other statements are not what this is about
        try:
            # The writer is let go when the build has waited for the first look at its progress.
            say = lambda text: release() if "waiting for writers" in text else None  # noqa: E731
            applying.apply(engine, say=say, done=lambda made: None)
            assert rows("SHOW statement_timeout") == [("50ms",)]
        finally:
            world.execute("RESET statement_timeout")
    assert rows(VALID) == [(True,)]


def test_ctrl_c_ends_a_build_at_once_and_the_next_run_finishes_it(
    leads: str, run: Run, tmp_path: Path
) -> None:
    register(leads, STATUS)
    with in_another_transaction(WRITER):
        stopped = processes.command(tmp_path, "setup_indexes", "--apply", indexes=["status"])
        processes.wait_for(building, "the build waits for the writer")
        stopped.send_signal(signal.SIGINT)
        code, _, err = processes.ended(stopped)
        assert rows(BUILDERS) == []
    assert code == 1
    assert err.endswith("CommandError: Stopped; what is done stays. Type it again to go on.\n")

    run("setup_indexes", "--apply")
    assert rows(VALID) == [(True,)]


def test_a_server_that_is_killed_in_mid_build_has_the_index_after_the_next_run(tmp_path: Path) -> None:
    import psycopg

    def valid() -> Any:
        with psycopg.connect(autocommit=True, **login) as connection:
            return connection.execute(VALID).fetchall()

    with RestartablePostgreSQL() as own:
        login: dict[str, Any] = {**own._as_superuser("postgres")}
        with psycopg.connect(autocommit=True, **login) as connection:
            connection.execute(f"CREATE TABLE {world.LEADS} (id int, status text)")
            connection.execute(f"INSERT INTO {world.LEADS} SELECT n, 'new' FROM generate_series(1, 500) n")
        writer = psycopg.connect(**login)
        writer.execute(WRITER)
        start = {"indexes": ["status"], "database": "postgres", **own.there.env}
        broken = processes.command(tmp_path, "setup_indexes", "--apply", **start)
        processes.wait_for(lambda: valid() == [(False,)], "the build waits for the writer")
        own.server.stop(signal.SIGKILL)
        assert processes.ended(broken)[0] == 1
        writer.close()
        processes.wait_for(lambda: not any_of(own.server.pid), "its processes have ended")
        own.start()

        assert processes.ended(processes.command(tmp_path, "setup_indexes", "--apply", **start))[0] == 0
        assert valid() == [(True,)]
        with psycopg.connect(**login) as connection:
            assert connection.execute(f"SELECT count(*) FROM {world.LEADS}").fetchone() == (500,)


def any_of(session: int) -> bool:
    """Tell whether a process of the session is there still."""
    return subprocess.run(["pgrep", "-s", str(session)], capture_output=True, check=False).returncode == 0


def test_the_progress_of_a_build_is_told(leads: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pg_progress, "EVERY_S", 0.02)
    register(leads, STATUS)
    said: list[str] = []
    with in_another_transaction(WRITER) as release:

        def say(text: str) -> None:
            said.append(text)
            if "waiting for writers" in text:
                release()

        apply(say)
    assert "default: 1 of 1, creating ix_leads_status_idx on ix_leads" in said
    assert any(
        text.startswith("ix_leads: waiting for writers before build, 0 of 1 transactions, 0 %")
        for text in said
    )


def test_a_user_who_does_not_own_the_table_is_told_what_to_type(leads: str) -> None:
    register(leads, STATUS)
    ((owner,),) = rows("SELECT current_user")
    world.execute("CREATE ROLE ix_reader")
    try:
        world.execute(f"GRANT SELECT ON {leads} TO ix_reader")
        world.execute("SET ROLE ix_reader")
        with pytest.raises(
            DatabaseRefused,
            match=f"'ix_reader' does not own the table 'ix_leads'.* type: GRANT {owner} TO ix_reader",
        ):
            apply([])
    finally:
        world.execute("RESET ROLE")
        world.execute("DROP OWNED BY ix_reader")
        world.execute("DROP ROLE ix_reader")
    assert world.index_names() == set()


def test_a_read_only_session_is_said_to_be_one(leads: str) -> None:
    register(leads, STATUS)
    world.execute("SET default_transaction_read_only = on")
    try:
        with pytest.raises(
            DatabaseRefused, match="'default' is read-only; run setup_indexes with the alias of its primary"
        ):
            apply([])
    finally:
        world.execute("SET default_transaction_read_only = off")


def test_a_standby_is_read_and_told_to_be_one_before_anything_is_made(leads: str, tmp_path: Path) -> None:
    world.execute(f"CREATE INDEX ix_leads_email_idx ON {leads} (email)")
    with hot_standby() as standby:

        def ended(*arguments: str) -> tuple[int, str, str]:
            return processes.ended(
                processes.command(tmp_path, *arguments, indexes=["status", "email"], **standby.env)
            )

        refusal = (
            "CommandError: The database 'default' is a read-only replica; run setup_indexes with the alias "
            "of its primary.\n"
        )
        assert ended("setup_indexes", "--apply") == (1, "", refusal)
        code, out, _ = ended("list_indexes", "--format", "json")
        listed = {each["name"]: each["state"] for each in map(json.loads, out.splitlines())}
        assert code == 0
        assert listed["ix_leads_email_idx"] == "declared"
        assert "missing" in listed.values()
    assert world.index_names() == {"ix_leads_email_idx"}


def test_a_server_that_is_away_is_said_to_be(leads: str, tmp_path: Path) -> None:
    code, _, err = processes.ended(
        processes.command(tmp_path, "check_indexes", indexes=["status"], PGPORT="1")
    )
    assert code == 1
    assert err.startswith("CommandError: The database 'default' cannot be reached: ")
    assert err.count("\n") == 1


@pytest.mark.django_db
def test_nothing_is_built_inside_a_transaction() -> None:
    register("testapp.Book", Index("pages"))
    with (
        transaction.atomic(),
        pytest.raises(DatabaseRefused, match="is inside a transaction, where PostgreSQL builds nothing"),
    ):
        apply([])


def test_a_partitioned_table_is_said_to_be_one(leads: str, run: Run) -> None:
    world.execute("CREATE TABLE ix_parts (id bigint, status text) PARTITION BY RANGE (id)")
    try:
        register("ix_parts", Index("status"))
        with pytest.raises(
            CommandError,
            match=r"'ix_parts' in the database 'default' is a partitioned table.* make it on each partition",
        ):
            run("setup_indexes")
    finally:
        world.execute("DROP TABLE ix_parts")


def test_a_materialized_view_is_as_good_as_a_table(leads: str, run: Run) -> None:
    world.execute(
        f"CREATE MATERIALIZED VIEW ix_summary AS SELECT status, count(*) AS leads FROM {leads} GROUP BY status"
    )
    try:
        register("ix_summary", Index("status", name="ix_summary_status"))
        run("setup_indexes", "--apply")
        assert world.index_names("ix_summary") == {"ix_summary_status"}
        assert run("check_indexes")[0] == 0
    finally:
        world.execute("DROP MATERIALIZED VIEW ix_summary")


@pytest.mark.parametrize(
    ("index", "definition"),
    [
        (Index("tags", kind="gin", name="ix_gin"), "USING gin (tags)"),
        (
            Index("facts", kind="gin", opclass="jsonb_path_ops", name="ix_path"),
            "USING gin (facts jsonb_path_ops)",
        ),
        (
            Index("email", opclass="varchar_pattern_ops", name="ix_like"),
            "USING btree (email varchar_pattern_ops)",
        ),
        (
            Index("status", include=["email"], unique=True, name="ix_cover"),
            "USING btree (status) INCLUDE (email)",
        ),
        (
            Index("-tenant_id", "lower(email)", name="ix_lower"),
            "USING btree (tenant_id DESC, lower((email)::text))",
        ),
        (Index("id", where={"email": {"$in": ["a"]}}, name="ix_in"), "WHERE ((email)::text = ANY"),
    ],
)
def test_what_postgresql_has_is_made_and_recognised(
    index: Index, definition: str, leads: str, run: Run
) -> None:
    world.execute(f"ALTER TABLE {leads} ADD tags text[], ADD facts jsonb")
    register(leads, index)

    run("setup_indexes", "--apply")

    ((printed,),) = rows(f"SELECT indexdef FROM pg_indexes WHERE indexname = '{index.name}'")
    assert definition in printed
    assert run("check_indexes")[0] == 0


@pytest.mark.parametrize(
    ("index", "reason"),
    [
        (Index("tenant_id", {"body": "text"}), "only with the extension btree_gin, which is not installed"),
        (
            Index("email", kind="gin", opclass="gin_trgm_ops"),
            "of the extension pg_trgm, which is not installed",
        ),
        (
            Index("email", "status", kind="btree", collation="no-such"),
            "this server has no collation 'no-such'",
        ),
        (Index({"email": "hashed", "status": 1}), "a hash index of PostgreSQL has one column"),
        (Index("email", collation={"sqlite": "NOCASE"}), "add 'postgresql' to it"),
    ],
)
def test_what_this_server_lacks_is_said(index: Index, reason: str, leads: str, run: Run) -> None:
    register(leads, index)
    assert reason in run("setup_indexes")[1]


def test_a_full_text_search_of_django_finds_the_text_index(leads: str, run: Run) -> None:
    from django.contrib.postgres.search import SearchVector

    from tests.testapp.models import Author

    register(Author, Index("name", kind="text", name="ix_author_text"))
    run("setup_indexes", "--apply")
    try:
        found = Author.objects.annotate(found=SearchVector("name", config="english")).filter(found="fox")
        world.execute("SET enable_seqscan = off")
        assert "ix_author_text" in found.explain()
    finally:
        world.execute("RESET enable_seqscan")
        world.execute("DROP INDEX ix_author_text")


def test_an_index_in_use_is_not_dropped(leads: str, run: Run) -> None:
    world.execute(f"CREATE INDEX ix_used ON {leads} (email)")
    world.execute("SET enable_seqscan = off")
    for _ in range(3):
        rows(f"SELECT 1 FROM {leads} WHERE email = 'x'")
    world.execute("RESET enable_seqscan")
    rows("SELECT pg_stat_force_next_flush()")
    rows("SELECT 1")

    with pytest.raises(
        CommandError, match=r"ix_used is in use: \d+ times since \d{4}-\d\d-\d\d \d\d:\d\d; it stays\."
    ):
        run("setup_indexes", "--drop-unused", "ix_used", "--apply", "--yes")
    assert "uses since" in run("list_indexes", leads, "--database", "default")[1]
    assert world.index_names() == {"ix_used"}


def test_rows_that_are_written_twice_during_a_build_are_told_and_nothing_invalid_is_left(leads: str) -> None:
    world.insert(world.lead(1))
    register(leads, Index("email", unique=True, name="ix_leads_status_idx"))

    with opened("default") as engine:
        engine_create = engine.create

        def write_first(*args: Any) -> None:
            world.insert(world.lead(1))
            engine_create(*args)

        engine.create = write_first  # type: ignore[method-assign] # what another client writes between check and build
        with pytest.raises(DatabaseRefused, match="has duplicates that were written meanwhile"):
            applying.apply(engine, say=lambda text: None, done=lambda made: None)
    assert world.index_names() == set()


def test_the_table_of_another_schema_is_not_meant(leads: str, run: Run) -> None:
    world.execute("CREATE SCHEMA ix_other")
    world.execute("CREATE TABLE ix_other.ix_hidden (status text)")
    try:
        register("ix_hidden", Index("status"))
        with pytest.raises(CommandError, match="has no table 'ix_hidden'"):
            run("setup_indexes")
    finally:
        world.execute("DROP SCHEMA ix_other CASCADE")
    assert registry.declarations()
