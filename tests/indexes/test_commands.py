"""What the commands take and print, and what belongs to Django."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest
from django.core.management.base import CommandError
from django.test import override_settings

from perfsuite.indexes import Index, dropping, register, registry
from perfsuite.indexes.compare import Column, Definition, Present
from perfsuite.indexes.engines import mongo_progress, pg_progress
from perfsuite.indexes.engines.base import Engine
from perfsuite.indexes.engines.other import Other
from perfsuite.indexes.rendering import in_bytes
from tests.indexes import world

Run = Callable[..., tuple[int, str, str]]


def test_an_index_that_a_migration_made_serves_and_stays(transactional_db: None, run: Run) -> None:
    register("testapp.Book", Index("author", name="ix_author"))

    assert run("check_indexes")[0] == 0
    (line,) = [line for line in run("setup_indexes")[1].splitlines() if " ix_author " in line]
    assert line.startswith(
        "default keep testapp_book ix_author (author_id): it is there as testapp_book_author_id_"
    )
    assert line.endswith(", which a migration made")

    registry.unregister_all()
    listed = run("list_indexes", "testapp_book")[1].splitlines()
    (djangos,) = [line for line in listed if "(author_id)" in line]
    assert djangos.startswith("default django testapp_book ")
    name = djangos.split()[3]
    with pytest.raises(CommandError, match=f"{name} is Django's; change the model and migrate"):
        run("setup_indexes", "--drop-unused", name, "--apply", "--yes")


def test_of_djangos_tables_nothing_is_foreign(transactional_db: None, run: Run) -> None:
    tables = [
        "auth_user",
        "auth_group",
        "auth_permission",
        "auth_user_groups",
        "django_session",
        "testapp_book",
    ]
    states = {line.split()[1] for line in run("list_indexes", *tables)[1].splitlines()}
    assert states
    assert states <= {"django", "constraint"}


def test_plan_and_list_are_json_for_machines(leads: str, run: Run) -> None:
    register(leads, Index("status", name="ix_status"))

    _, plan, _ = run("setup_indexes", "--format", "json")
    assert json.loads(plan) == {
        "database": "default",
        "action": "create",
        "table": leads,
        "name": "ix_status",
        "definition": "(status)",
        "reason": "",
        "declared_in": "tests.indexes.test_commands",
    }
    _, created, _ = run("setup_indexes", "--apply", "--format", "json")
    assert {"created"} <= {json.loads(line)["action"] for line in created.splitlines()}
    _, listed, _ = run("list_indexes", leads, "--format", "json")
    (entry,) = [each for line in listed.splitlines() if (each := json.loads(line))["name"] == "ix_status"]
    assert (entry["state"], entry["definition"]) == ("declared", "(status)")
    _, explained, _ = run("explain_index", "ix_status", "--format", "json")
    assert "ix_status" in json.loads(explained)["statement"]


def test_a_table_that_no_database_has_is_said_to_be_missing(leads: str, run: Run) -> None:
    with pytest.raises(CommandError, match=r"^No table 'ix_laeds' in default\.$"):
        run("list_indexes", leads, "ix_laeds")


def test_only_the_app_that_is_named_is_looked_at(leads: str, run: Run) -> None:
    register("testapp.Book", Index("author"))
    register(leads, Index("status"))

    assert run("check_indexes", "--app", "testapp")[0] == 0
    assert run("check_indexes")[0] == 2
    with pytest.raises(
        CommandError, match="No index is declared for the app 'testap'; did you mean 'testapp'"
    ):
        run("check_indexes", "--app", "testap")


def test_without_any_declaration_there_is_nothing_to_do(db: None, run: Run) -> None:
    assert "No index is declared" in run("setup_indexes", "--apply")[2]
    assert run("check_indexes") == (0, "", "")


def test_a_mistake_is_one_sentence_and_changes_nothing(leads: str, run: Run) -> None:
    register(leads, Index("status"))
    register("testapp.Book", Index("titel"))
    for command in ("setup_indexes", "check_indexes", "list_indexes"):
        with pytest.raises(CommandError, match=r"no such field; did you mean 'title'\?$"):
            run(command)
    assert world.index_names() == set()


@pytest.mark.skipif(world.ON_MONGODB, reason="a collection comes with its first index")
@pytest.mark.parametrize(
    ("table", "column", "sentence"),
    [
        ("ix_nowhere", "a", "The database 'default' has no table 'ix_nowhere', for which .* declares an index; correct its name"),
        (world.LEADS, "statsu", "'ix_leads' in the database 'default' has no column 'statsu', .*; did you mean 'status'"),
    ],
)  # fmt: skip
def test_a_table_or_column_that_is_not_there_is_said_to_be(
    table: str, column: str, sentence: str, leads: str, run: Run
) -> None:
    register(leads, Index("email"))
    register(table, Index(column))
    with pytest.raises(CommandError, match=sentence):
        run("setup_indexes", "--apply")
    assert world.index_names() == set()


@pytest.mark.skipif(world.ON_MONGODB, reason="MongoDB has no expressions")
def test_a_function_that_there_is_not_is_found_before_anything_is_made(leads: str, run: Run) -> None:
    register(
        leads,
        Index("body", name="ix_a"),
        Index("lowr(email)", name="ix_b"),
        Index("uppr(email)", name="ix_c"),
    )
    with pytest.raises(CommandError) as raised:
        run("setup_indexes", "--apply")
    first, second, last = str(raised.value).split("\n")
    assert first.startswith(
        f"The index ix_b on {leads}, declared in tests.indexes.test_commands, cannot be: "
    )
    assert "lowr" in first
    assert "uppr" in second
    assert last == "Nothing was created."
    assert world.index_names() == set()


def test_ctrl_c_ends_a_run_with_a_sentence_and_the_next_goes_on(
    leads: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(
        leads, Index("status", name="ix_a"), Index("email", name="ix_b"), Index("tenant_id", name="ix_c")
    )
    with (
        override_settings(
            PERFSUITE={"INDEXES": {"ENGINES": {vendor(): "tests.indexes.test_commands.Interrupted"}}}
        ),
        pytest.raises(CommandError, match=r"Stopped; what is done stays\. Type it again to go on\."),
    ):
        run("setup_indexes", "--apply")
    assert world.index_names() == {"ix_a"}

    run("setup_indexes", "--apply")
    assert world.index_names() == {"ix_a", "ix_b", "ix_c"}


def vendor() -> str:
    from django.db import connection

    return str(connection.vendor)


class Interrupted(Engine):
    """The engine of this lane, interrupted at the second index."""

    def __new__(cls, alias: str) -> Any:
        from django.utils.module_loading import import_string

        from perfsuite.indexes.engines import _OURS

        engine = import_string(_OURS[vendor()])(alias)
        create = engine.create

        def interrupted(wanted: Any, found: Any, say: Any) -> None:
            if wanted.name == "ix_b":
                raise KeyboardInterrupt
            create(wanted, found, say)

        engine.create = interrupted
        return engine


class Oracle(Other):
    """A database that perfsuite knows nothing of."""

    label: ClassVar[str] = "Oracle"


def test_another_database_is_told_where_its_indexes_belong(leads: str, run: Run) -> None:
    register(leads, Index("tenant_id", "-status", name="ix_status"))
    with override_settings(
        PERFSUITE={"INDEXES": {"ENGINES": {vendor(): "tests.indexes.test_commands.Oracle"}}}
    ):
        _, plan, _ = run("setup_indexes", "--apply")
        assert run("check_indexes")[0] == 0
    assert plan.startswith(
        f"default unsupported {leads} ix_status (tenant_id, status desc): perfsuite makes no indexes on "
    )
    assert world.index_names() == set()


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        ({}, ""),
        ({"msg": "query"}, ""),
        ({"msg": "Index Build: draining writes received during build"}, "draining writes received during build"),
        (
            {"msg": "Index Build: scanning collection: 40/200 20%", "progress": {"done": 40, "total": 200}},
            "scanning collection, 40 of 200, 20 %",
        ),
    ],
)  # fmt: skip
def test_the_progress_of_mongodb_is_put_into_words(operation: dict[str, Any], words: str) -> None:
    assert mongo_progress.in_words(operation) == words


def test_the_progress_of_postgresql_is_put_into_words() -> None:
    assert pg_progress.in_words("initializing", 0, 0, 0, 0, 0, 0) == "initializing"
    assert pg_progress.in_words("building index: scanning table", 250, 1000, 0, 0, 0, 0) == (
        "building index: scanning table, 250 of 1,000 blocks, 25 %"
    )
    assert pg_progress.in_words("waiting", 5, 5, 0, 0, 1, 2) == "waiting, 1 of 2 transactions, 50 %"


@pytest.mark.parametrize(
    ("size", "words"),
    [(None, ""), (0, "0 bytes"), (1023, "1,023 bytes"), (8192, "8.0 KiB"), (5 << 40, "5,120.0 GiB")],
)
def test_sizes_are_put_into_words(size: int | None, words: str) -> None:
    assert in_bytes(size) == words


def test_what_speaks_for_dropping_an_index_is_the_strongest_reason() -> None:
    present = Present("t", "i", Definition((Column("a"),)), uses=0)
    assert dropping.why(present, "twin", "longer") == "the same as twin"
    assert dropping.why(present, None, "longer") == "longer begins with the same columns"
    assert dropping.why(present, None, None) == ""
    assert dropping.not_yet(present) == "no use seen yet, and since when it is there is not known"
    old = replace(present, watched_since=datetime(2020, 2, 3, 4, 5, tzinfo=UTC), watched_uses=0)
    assert dropping.why(old, None, None) == "not used since 2020-02-03 04:05"
    assert dropping.not_yet(old) == ""
