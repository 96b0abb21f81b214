"""``manage.py check`` says what is wrong with declarations, and with ``--database`` what is missing."""

from __future__ import annotations

from typing import Any

import pytest
from django.core import checks
from django.core.management import call_command
from django.test import override_settings

from perfsuite.indexes import Index, register, registry
from perfsuite.indexes.checks import check_declarations, check_missing
from tests.indexes import world


def ids(messages: list[checks.CheckMessage]) -> list[str]:
    return [str(each.id) for each in messages]


def test_declarations_that_can_be_meant_are_silent() -> None:
    register("testapp.Book", Index("title"), Index("author", "-pages"))
    assert check_declarations() == []


def test_each_mistake_is_an_error_of_its_own() -> None:
    register("testapp.Book", Index("titel"), Index("pagse"))
    found = check_declarations()
    assert ids(found) == ["perfsuite_indexes.E001"] * 2
    assert "did you mean 'title'?" in found[0].msg


def test_a_mistake_in_the_settings_is_an_error() -> None:
    with override_settings(PERFSUITE={"INDEXES": {"DECLARE": {"testapp.Book": [{"title": 3}]}}}):
        assert ids(check_declarations()) == ["perfsuite_indexes.E001"]


def test_an_index_that_is_declared_in_two_places_is_a_warning() -> None:
    register("testapp.Book", Index("author", "title"))
    with override_settings(PERFSUITE={"INDEXES": {"DECLARE": {"testapp.Book": [("author_id", "title")]}}}):
        (found,) = check_declarations()
    assert found.id == "perfsuite_indexes.W001"
    assert "(author_id, title) on testapp_book is declared twice" in found.msg


def test_an_engine_that_cannot_be_imported_is_an_error() -> None:
    vendor = {"djongo": "djongo", "mongodb": "mongodb"}.get(world.DATABASE, world.DATABASE)
    with override_settings(PERFSUITE={"INDEXES": {"ENGINES": {vendor: "nowhere.Engine"}}}):
        (found,) = check_declarations()
    assert found.id == "perfsuite_indexes.E001"
    assert "'nowhere.Engine'" in found.msg


def test_nothing_is_asked_of_a_database_unless_one_is_named(leads: str) -> None:
    register(leads, Index("status"))
    assert check_missing() == []
    assert check_missing(databases=[]) == []


def test_a_missing_index_is_a_warning_until_it_is_made(leads: str, run: Any) -> None:
    register(leads, Index("status", name="ix_status"))
    (found,) = check_missing(databases=["default"])
    assert (found.id, found.msg) == ("perfsuite_indexes.W002", "default lacks declared indexes: ix_status.")
    run("setup_indexes", "--apply")
    assert check_missing(databases=["default"]) == []


def test_a_view_is_a_warning(leads: str) -> None:
    if world.ON_MONGODB:
        pytest.skip("a view of MongoDB outlives the test")
    world.execute(f"CREATE VIEW ix_view AS SELECT * FROM {leads}")
    register("ix_view", Index("status"))
    try:
        (found,) = check_missing(databases=["default"])
    finally:
        world.execute("DROP VIEW ix_view")
    assert "is a view" in found.msg


def test_what_is_declared_is_made_after_migrate_if_that_is_asked_for(leads: str) -> None:
    register(leads, Index("status", name="ix_status"))
    register("ix_no_such_table" if not world.ON_MONGODB else leads, Index("email", name="ix_email"))
    call_command("migrate", verbosity=0)
    assert world.index_names() == set()

    with override_settings(PERFSUITE={"INDEXES": {"APPLY_ON_MIGRATE": True}}):
        assert check_missing(databases=["default"]) == []
        call_command("migrate", verbosity=0)

    assert "ix_status" in world.index_names()


def test_a_migration_goes_on_where_no_index_can_be_made(leads: str, caplog: pytest.LogCaptureFixture) -> None:
    register("testapp.Book", Index("titel"))
    with override_settings(PERFSUITE={"INDEXES": {"APPLY_ON_MIGRATE": True}}):
        call_command("migrate", verbosity=0)
    assert "Not all indexes were created on default. " in caplog.text
    assert "did you mean 'title'?" in caplog.text


def test_what_is_missing_is_one_warning_and_a_table_that_is_not_there_is_none(leads: str) -> None:
    register(
        leads,
        *(Index(field, name=f"ix_{field}") for field in ("status", "email", "body", "keywords", "tenant_id")),
    )
    register("ix_not_there", Index("a"))

    (found,) = check_missing(databases=["default"])

    assert found.msg == "default lacks declared indexes: ix_body, ix_email, ix_keywords and 2 more."


def test_a_conflict_is_a_warning_of_its_own(leads: str, run: Any) -> None:
    register(leads, Index("status", name="ix_status"))
    run("setup_indexes", "--apply")
    registry.unregister_all()
    register(leads, Index("email", name="ix_status"))

    (found,) = check_missing(databases=["default"])

    assert found.msg.startswith(f"default: ix_status on {leads} conflicts: {leads} has an index of this name")
