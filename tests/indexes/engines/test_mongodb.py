"""MongoDB: what only it has, a client of perfsuite's own, and builds that are cut off. On real servers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management.base import CommandError
from django.test import override_settings

from perfsuite.indexes import DatabaseRefused, Index, applying, register, registry
from perfsuite.indexes.engines import mongo_progress, mongodb, opened
from tests import servers
from tests.indexes import processes, world
from tests.indexes.engines.own_mongod import OwnMongod

if not world.ON_MONGODB:
    pytest.skip("about MongoDB; runs in its lanes", allow_module_level=True)

import pymongo

Run = Callable[..., tuple[int, str, str]]
EVENTS = "ix_events"


def stored(collection: str = world.LEADS) -> dict[str, dict[str, Any]]:
    """Return the indexes as the server has them, by name."""
    return {each["name"]: dict(each) for each in world.database()[collection].list_indexes()}


@pytest.mark.parametrize(
    ("index", "key", "options"),
    [
        (Index("tenant_id", "-created_at"), {"tenant_id": 1, "created_at": -1}, {}),
        (Index("status", kind="hashed"), {"status": "hashed"}, {}),
        (Index("created_at", expire_after_s=3600), {"created_at": 1}, {"expireAfterSeconds": 3600}),
        (
            Index("status", where={"status": {"$in": ["a"]}}),
            {"status": 1},
            {"partialFilterExpression": {"status": {"$in": ["a"]}}},
        ),
        (
            Index("status", where={"amount": {"$gt": 5}}),
            {"status": 1},
            {"partialFilterExpression": {"amount": {"$gt": 5}}},
        ),
        (Index("email", sparse=True, unique=True), {"email": 1}, {"sparse": True, "unique": True}),
        (Index("address.city"), {"address.city": 1}, {}),
        (Index("status", include=["email"]), {"status": 1, "email": 1}, {}),
    ],
)
def test_an_index_is_stored_as_it_is_declared(
    index: Index, key: dict[str, Any], options: dict[str, Any], leads: str, run: Run
) -> None:
    register(leads, index)
    run("setup_indexes", "--apply")

    (document,) = [each for name, each in stored().items() if name != "_id_"]

    assert dict(document["key"]) == key
    assert {name: document[name] for name in options} == options
    assert run("check_indexes")[0] == 0


def test_text_beside_a_plain_field_in_another_language_is_made_and_found(leads: str, run: Run) -> None:
    register(
        leads, Index("tenant_id", {"body": "text", "keywords": "text"}, language="german", name="ix_text")
    )
    run("setup_indexes", "--apply")
    world.insert(world.lead(1, body="Die Häuser am Fluss"))

    assert stored()["ix_text"]["default_language"] == "german"
    found = list(world.database()[leads].find({"tenant_id": 1, "$text": {"$search": "haus"}}))
    assert len(found) == 1
    assert run("check_indexes")[0] == 0


def test_a_collation_that_ignores_case_finds_in_any_case(leads: str, run: Run) -> None:
    collation = {"locale": "en", "strength": 2}
    register(leads, Index("email", unique=True, collation={"mongodb": collation}, name="ix_email"))
    world.insert(world.lead(1, email="Ada@example.com"))
    run("setup_indexes", "--apply")

    with pytest.raises(pymongo.errors.BulkWriteError, match="E11000 duplicate key"):
        world.insert(world.lead(2, email="ada@example.com"))
    assert run("check_indexes")[0] == 0


def test_addresses_that_differ_in_case_alone_stand_in_the_way_of_it(leads: str, run: Run) -> None:
    world.insert(world.lead(1, email="Ada@example.com"), world.lead(2, email="ada@example.com"))
    register(leads, Index("email", unique=True, collation={"locale": "en", "strength": 2}))
    with pytest.raises(CommandError, match="1 key is more than once in ix_leads"):
        run("setup_indexes", "--apply")


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [
        (
            Index("body", kind="text"),
            Index("keywords", kind="text"),
            "has a text index already, and can have only one",
        ),
        (
            Index("created_at", expire_after_s=60),
            Index("created_at", expire_after_s=90, name="ix_other"),
            "has these keys already with other options",
        ),
    ],
)
def test_what_a_collection_takes_once_is_a_conflict(
    first: Index, second: Index, reason: str, leads: str, run: Run
) -> None:
    register(leads, first)
    run("setup_indexes", "--apply")
    before = stored()
    registry.unregister_all()
    register(leads, second)

    with pytest.raises(CommandError, match=reason):
        run("setup_indexes", "--apply")
    assert stored() == before


def test_a_hidden_index_is_shown_again_when_it_is_declared(leads: str, run: Run) -> None:
    world.database()[leads].create_index("status", name="ix_status")
    world.database().command("collMod", leads, index={"name": "ix_status", "hidden": True})
    assert "hidden" in run("list_indexes", leads, "--database", "default")[1]
    register(leads, Index("status", name="ix_status"))

    assert "it is there and hidden; it will be shown again" in run("setup_indexes")[1]
    run("setup_indexes", "--apply")

    assert "hidden" not in stored()["ix_status"]


def test_documents_that_are_written_twice_after_the_look_are_told(leads: str) -> None:
    world.insert(world.lead(1))
    register(leads, Index("email", unique=True, name="ix_email"))

    with opened("default") as engine:
        create = engine.create

        def write_first(*args: Any) -> None:
            world.insert(world.lead(1))
            create(*args)

        engine.create = write_first  # type: ignore[method-assign] # what another client writes between check and build
        with pytest.raises(DatabaseRefused, match="'default' has duplicates that were written meanwhile"):
            applying.apply(engine, say=lambda text: None, done=lambda made: None)
    assert set(stored()) == {"_id_"}


def test_uses_and_sizes_are_listed(leads: str, run: Run) -> None:
    world.insert(*(world.lead(number) for number in range(50)))
    register(leads, Index("email", name="ix_email"))
    run("setup_indexes", "--apply")
    for _ in range(3):
        assert world.database()[leads].find_one({"email": "person7@example.com"})

    _, out, _ = run("list_indexes", leads)

    (line,) = [line for line in out.splitlines() if " ix_email " in line]
    assert " 3 uses since 20" in line
    assert "KiB" in line
    registry.unregister_all()
    with pytest.raises(CommandError, match=r"ix_email is in use: 3 times"):
        run("setup_indexes", "--drop-unused", "ix_email", "--database", "default", "--apply", "--yes")


def test_the_sizes_of_very_many_collections_are_left_out_unless_asked_for(
    leads: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mongodb, "CHEAP_COLLECTIONS", 0)
    register(leads, Index("email", name="ix_email"))
    run("setup_indexes", "--apply")
    assert world.database()[leads].find_one({"email": "person7@example.com"}) is None

    code, out, err = run("list_indexes", leads)

    assert code == 0
    (line,) = [line for line in out.splitlines() if " ix_email " in line]
    assert line.startswith(f"default declared {leads} ix_email (email)")
    assert " 1 uses since 20" in line
    assert "iB" not in line
    assert err.startswith(
        "The sizes on default were left out: of 1 collections the server works out each; add --sizes"
    )
    _, out, err = run("list_indexes", leads, "--sizes")
    assert (err, out.count("iB")) == ("", 2)


def a_database() -> Any:
    return pymongo.MongoClient(os.environ["TEST_MONGODB_URL"])["ix_bare"]


@pytest.mark.django_db(databases="__all__", transaction=True)
@pytest.mark.parametrize(
    "place", [os.environ.get("TEST_MONGODB_URL", "") + "ix_bare", f"{__name__}.a_database", a_database]
)
def test_a_database_that_is_not_djangos_is_reached_by_a_client_of_its_own(place: Any, run: Run) -> None:
    a_database().drop_collection(EVENTS)
    with override_settings(PERFSUITE={"INDEXES": {"CLIENTS": {"events": place}}}):
        register(EVENTS, Index("kind", "-at", name="ix_kind"), database="events")
        assert run("check_indexes")[0] == 2
        assert f"created {EVENTS} ix_kind" in run("setup_indexes", "--apply", "--database", "events")[1]
        assert run("check_indexes")[0] == 0
        assert f"events declared {EVENTS} ix_kind (kind, at desc)" in run("list_indexes")[1]
    a_database().drop_collection(EVENTS)


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        ("mongodb://127.0.0.1:1/", "names no database; write 'mongodb://host:27017/name'."),
        ("nowhere.at_all", "is 'nowhere.at_all', which is no function and no address"),
        (7, "is 7, which is no function and no address"),
    ],
)
def test_a_client_that_cannot_be_meant_is_said_to_be(place: Any, sentence: str, run: Run) -> None:
    with override_settings(PERFSUITE={"INDEXES": {"CLIENTS": {"events": place}}}):
        register(EVENTS, Index("kind"), database="events")
        with pytest.raises(CommandError) as raised:
            run("check_indexes")
    assert sentence in str(raised.value)


def test_a_server_that_is_away_is_said_to_be(run: Run) -> None:
    place = "mongodb://127.0.0.1:1/x?serverSelectionTimeoutMS=100"
    with override_settings(PERFSUITE={"INDEXES": {"CLIENTS": {"events": place}}}):
        register(EVENTS, Index("kind"), database="events")
        with pytest.raises(
            CommandError, match=r"The database 'events' cannot be reached: 127\.0\.0\.1:1"
        ) as raised:
            run("setup_indexes", "--apply")
    assert "\n" not in str(raised.value)


def test_a_database_that_nothing_has_is_said_with_those_that_there_are(run: Run) -> None:
    with pytest.raises(
        CommandError, match=r"'defualt' is neither in DATABASES nor in .*; did you mean 'default'"
    ):
        run("check_indexes", "--database", "defualt")


@pytest.fixture(scope="module")
def held() -> Iterator[OwnMongod]:
    """Return a server whose builds can be held up."""
    with OwnMongod("--setParameter", "enableTestCommands=1") as server:
        yield server


def hold(url: str, mode: str) -> None:
    with pymongo.MongoClient(url) as client:
        client.admin.command("configureFailPoint", "hangAfterSettingUpIndexBuild", mode=mode)


_SETTINGS = """
from tests.settings import *

PERFSUITE = {{"INDEXES": {{"CLIENTS": {{"own": {url!r}}}}}}}
from perfsuite.indexes import Index, register
register("ix_held", Index("status", name="ix_status"), database="own")
"""


def setup_indexes(folder: Path, url: str) -> subprocess.Popen[str]:
    """Start the command on the server of the test's own."""
    (folder / "holding.py").write_text(_SETTINGS.format(url=url))
    path = os.pathsep.join((str(folder), str(servers.ROOT)))
    arguments = ["setup_indexes", "--apply", "--database", "own", "--settings=holding"]
    return subprocess.Popen(
        [sys.executable, "-m", "django", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def is_building(url: str) -> bool:
    with pymongo.MongoClient(url) as client:
        operations = client.admin.command({"currentOp": 1, "ns": "ix_own.ix_held"})["inprog"]
    return any(
        "Index Build" in str(each.get("msg", "")) or "createIndexes" in each.get("command", {})
        for each in operations
    )


@pytest.fixture
def collection(held: OwnMongod) -> Iterator[str]:
    """Return the address of a database with a collection whose builds are held up."""
    url = held.url()
    with pymongo.MongoClient(url) as client:
        client.drop_database("ix_own")
        client["ix_own"]["ix_held"].insert_many([world.lead(number) for number in range(200)])
    hold(url, "alwaysOn")
    yield url
    hold(url, "off")


def finish(url: str) -> list[str]:
    """Run ``setup_indexes`` to its end, and return the names of the indexes that are there."""
    hold(url, "off")
    with override_settings(PERFSUITE={"INDEXES": {"CLIENTS": {"own": url}}}):
        register("ix_held", Index("status", name="ix_status"), database="own")
        with opened("own") as engine:
            applying.apply(engine, say=lambda text: None, done=lambda made: None)
    with pymongo.MongoClient(url) as client:
        assert client["ix_own"]["ix_held"].count_documents({}) == 200
        return sorted(each["name"] for each in client["ix_own"]["ix_held"].list_indexes())


def test_a_command_that_is_killed_in_mid_build_is_finished_by_the_next_run(
    collection: str, tmp_path: Path
) -> None:
    killed = setup_indexes(tmp_path, collection)
    processes.wait_for(lambda: is_building(collection), "the build is held up")
    killed.send_signal(signal.SIGKILL)
    processes.ended(killed)

    assert finish(collection) == ["_id_", "ix_status"]


def test_a_server_that_is_killed_in_mid_build_has_the_index_after_the_next_run(
    held: OwnMongod, collection: str, tmp_path: Path
) -> None:
    broken = setup_indexes(tmp_path, collection)
    processes.wait_for(lambda: is_building(collection), "the build is held up")
    held.kill()
    code, _, err = processes.ended(broken)
    assert code == 1
    assert err.strip().split("\n")[-1].startswith("CommandError: The database 'own' cannot be reached: ")
    held.start()

    assert finish(collection) == ["_id_", "ix_status"]


def test_two_runs_at_once_end_well_with_one_index(collection: str, tmp_path: Path) -> None:
    both = [setup_indexes(tmp_path, collection) for _ in range(2)]
    processes.wait_for(lambda: is_building(collection), "a build is held up")
    hold(collection, "off")
    outcomes = [processes.ended(process) for process in both]

    assert [code for code, _, _ in outcomes] == [0, 0], outcomes
    assert finish(collection) == ["_id_", "ix_status"]


def test_the_progress_of_a_build_is_told(collection: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mongo_progress, "EVERY_S", 0.02)
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        if text.startswith("ix_held: "):
            hold(collection, "off")

    with override_settings(PERFSUITE={"INDEXES": {"CLIENTS": {"own": collection}}}):
        register("ix_held", Index("status", name="ix_status"), database="own")
        with opened("own") as engine:
            applying.apply(engine, say=say, done=lambda made: None)
    assert said[0] == "own: 1 of 1, creating ix_status on ix_held"
    assert any(text.startswith("ix_held: ") for text in said)


def test_a_user_without_the_right_is_told_which_role_it_needs() -> None:
    with OwnMongod("--auth") as server:
        with pymongo.MongoClient(server.url()) as client:
            client.admin.command("createUser", "root", pwd="secret", roles=["root"])
        place = server.url().replace("//", "//root:secret@") + "&authSource=admin"
        with pymongo.MongoClient(place) as client:
            client["ix_own"].command("createUser", "reader", pwd="secret", roles=["read"])
            client["ix_own"].command("createUser", "writer", pwd="secret", roles=["readWrite"])
        for user in ("reader", "writer"):
            own = server.url().replace("//", f"//{user}:secret@")
            with override_settings(PERFSUITE={"INDEXES": {"CLIENTS": {"own": own}}}):
                registry.unregister_all()
                register("ix_held", Index("status", name="ix_status"), database="own")
                with opened("own") as engine:
                    if user == "reader":
                        with pytest.raises(
                            DatabaseRefused, match="'reader' may not make indexes on 'ix_held'; grant it"
                        ):
                            applying.apply(engine, say=lambda text: None, done=lambda made: None)
                    else:
                        applying.apply(engine, say=lambda text: None, done=lambda made: None)
                        (made,) = [each for each in engine.present(usage=True) if each.name == "ix_status"]
                        assert made.size


def test_a_replica_that_only_reads_is_said_to_be_one() -> None:
    with OwnMongod("--replSet", "rs0") as server, pymongo.MongoClient(server.url()) as client:
        member = {"_id": 0, "host": f"127.0.0.1:{server.port}"}
        client.admin.command("replSetInitiate", {"_id": "rs0", "members": [member]})
        processes.wait_for(lambda: client.admin.command("hello")["isWritablePrimary"], "it is primary")
        client["ix_own"]["ix_held"].insert_one({"status": "new"})
        client.admin.command({"replSetStepDown": 60, "force": True})
        with override_settings(PERFSUITE={"INDEXES": {"CLIENTS": {"own": server.url()}}}):
            register("ix_held", Index("status"), database="own")
            with (
                opened("own") as engine,
                pytest.raises(DatabaseRefused, match="'own' is a read-only replica; connect to"),
            ):
                applying.apply(engine, say=lambda text: None, done=lambda made: None)
