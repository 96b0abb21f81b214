"""SQLite: builds that are cut off or have to wait, and files that cannot be written."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management.base import CommandError
from django.db import connection

from perfsuite.indexes import Index, register
from tests.indexes import processes, world

if world.DATABASE != "sqlite":
    pytest.skip("about SQLite; runs in its lanes", allow_module_level=True)

Run = Callable[..., tuple[int, str, str]]
MANY = f"""
    WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 60000)
    INSERT INTO {world.LEADS} (tenant_id, status, body) SELECT n % 7, 'new', 'body ' || (n * 7919 % 60000) FROM numbers
"""


def scalar(sql: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0]


def test_a_command_that_is_killed_in_mid_build_is_finished_by_the_next_run(
    leads: str, run: Run, tmp_path: Path
) -> None:
    world.execute(MANY)
    path = Path(str(connection.settings_dict["NAME"]))
    killed = processes.command(tmp_path, "setup_indexes", "--apply", indexes=["body"])
    processes.wait_for(
        lambda: killed.poll() is not None or path.with_name(f"{path.name}-journal").exists(),
        "the build writes",
    )
    killed.send_signal(signal.SIGKILL)
    processes.ended(killed)

    register(leads, Index("body"))
    run("setup_indexes", "--apply")

    assert run("check_indexes")[0] == 0
    assert len(world.index_names()) == 1
    assert scalar(f"SELECT COUNT(*) FROM {leads}") == 60_000
    assert scalar("PRAGMA integrity_check") == "ok"


def test_two_runs_at_once_end_well_with_one_index(leads: str, tmp_path: Path) -> None:
    world.execute(MANY)
    both = [processes.command(tmp_path, "setup_indexes", "--apply", indexes=["body"]) for _ in range(2)]
    assert [processes.ended(process)[0] for process in both] == [0, 0]
    assert len(world.index_names()) == 1


def test_a_file_that_another_writer_holds_is_said_to_be_locked(leads: str, run: Run) -> None:
    register(leads, Index("status"))
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute("BEGIN IMMEDIATE")
    world.execute("PRAGMA busy_timeout = 10")
    try:
        with pytest.raises(
            CommandError, match="'default' is locked by another writer; try again when it has finished"
        ):
            run("setup_indexes", "--apply")
    finally:
        with other.cursor() as cursor:
            cursor.execute("ROLLBACK")
        other.close()
        connection.close()
    assert world.index_names() == set()


def test_a_file_that_may_only_be_read_is_said_to_be(leads: str, run: Run) -> None:
    register(leads, Index("status"))
    world.execute("PRAGMA query_only = 1")
    try:
        with pytest.raises(
            CommandError, match="'default' may only be read by this user; make its file and folder writable"
        ):
            run("setup_indexes", "--apply")
    finally:
        world.execute("PRAGMA query_only = 0")
    assert world.index_names() == set()


def test_a_file_that_cannot_be_opened_is_said_to_be(leads: str, run: Run) -> None:
    register(leads, Index("status"))
    connection.close()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(connection.settings_dict, "NAME", os.path.join(os.devnull, "no", "such.sqlite3"))
        with pytest.raises(CommandError, match="'default' cannot be opened; check the path in DATABASES"):
            run("check_indexes")


def test_what_analyze_found_is_listed(leads: str, run: Run) -> None:
    world.insert(*(world.lead(number) for number in range(20)))
    register(leads, Index("tenant_id", name="ix_tenant"))
    run("setup_indexes", "--apply")
    world.execute("ANALYZE")

    assert "20 rows, 4 to a key when last analyzed" in run("list_indexes", leads)[1]


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE INDEX ix_theirs ON ix_leads (tenant_id, status DESC)",
        "create index ix_theirs on ix_leads(tenant_id,status desc)",
        'CREATE INDEX "ix_theirs" ON "ix_leads" ("tenant_id" ASC, "status" DESC)',
    ],
)
def test_an_index_serves_however_its_statement_was_written(sql: str, leads: str, run: Run) -> None:
    world.execute(sql)
    register(leads, Index("tenant_id", "-status"))
    assert run("check_indexes")[0] == 0


def test_the_collation_of_a_column_is_not_taken_for_one_of_the_index(leads: str, run: Run) -> None:
    world.execute("ALTER TABLE ix_leads ADD code varchar(5) COLLATE NOCASE")
    register(
        leads, Index("code"), Index("email", collation="nocase"), Index("email", "code", collation="RTRIM")
    )
    run("setup_indexes", "--apply")
    assert run("check_indexes")[0] == 0
    assert len(world.index_names()) == 3
