"""``suggest_indexes`` on the database of the lane: what it lists, what it proves, and that it leaves nothing behind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest
from django.core.management.base import CommandError
from django.db import connection, transaction

from perfsuite.indexes import Index, register
from perfsuite.indexes.advising import advise
from perfsuite.indexes.suggesting import suggestions
from perfsuite.indexes.suggesting.verifying import on_mongodb, on_postgresql, on_sqlite
from perfsuite.metrics import flush
from perfsuite.metrics.recorder import recorder
from perfsuite.queries import kinds
from perfsuite.queries.fingerprint import shape
from tests.indexes import world

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)

ROWS = 1_500
SQL = (
    f'SELECT "{world.LEADS}"."email" FROM "{world.LEADS}" '
    f'WHERE ("{world.LEADS}"."tenant_id" = %s AND "{world.LEADS}"."status" = %s) '
    f'ORDER BY "{world.LEADS}"."created_at" DESC LIMIT 20'
)
KEYS = ("tenant_id", "status", "-created_at")


def fingerprint() -> str:
    if world.DATABASE == "mongodb":
        return f"test.{world.LEADS}.aggregate[$match{{status, tenant_id}}, $sort{{-created_at}}, $limit]"
    return shape(SQL).fingerprint


def record(text: str, us: float = 20_000.0, times: int = 10) -> None:
    recorder.observe_many(((kinds.FINGERPRINT, (text, "default", "/leads/"), [us] * times),))
    flush()


@pytest.fixture(autouse=True)
def _no_other_statements() -> Iterator[None]:
    recorder.take()
    yield
    recorder.take()


@pytest.fixture
def slow(leads: str) -> str:
    """Fill the table and record a statement that no index serves."""
    rows = [world.lead(number) for number in range(ROWS)]
    with nullcontext() if world.ON_MONGODB else transaction.atomic():
        world.insert(*rows)
    if connection.vendor == "postgresql":
        world.execute(f"ANALYZE {leads}")
    record(fingerprint())
    return leads


@pytest.mark.usefixtures("slow")
def test_a_statement_without_an_index_is_listed_with_what_makes_one(run: Any) -> None:
    code, out, _ = run("suggest_indexes")

    assert code == 0
    assert f"default {world.LEADS} ({', '.join(KEYS)}): 200.0 ms a day in 10 calls" in out
    assert f'register("{world.LEADS}", Index("tenant_id", "status", "-created_at"))' in out
    assert ("createIndex" in out) == world.ON_MONGODB
    assert "by /leads/" in out
    assert world.index_names() == set()


@pytest.mark.usefixtures("slow")
def test_it_is_there_for_machines_and_for_the_panel(run: Any) -> None:
    (found,) = [json.loads(line) for line in run("suggest_indexes", "--format", "json")[1].splitlines()]

    assert (found["table"], tuple(found["keys"])) == (world.LEADS, KEYS)
    (same,) = suggestions("default")
    assert same.as_json() == found
    assert (same.calls_per_day, same.evidence[0].routes) == (10, ("/leads/",))


@pytest.mark.usefixtures("slow")
def test_verify_shows_the_plan_before_and_after_and_leaves_nothing(run: Any) -> None:
    before = everything()

    code, out, err = run("suggest_indexes", "--verify")

    assert (code, err) == (0, "")
    assert f"on a copy of {ROWS:,} rows" in out
    plans = out[out.index("before:") :]
    assert "times as fast" in plans
    used = {"sqlite": "USING INDEX suggested_idx", "postgresql": "using suggested_idx"}.get(
        connection.vendor, "IXSCAN tenant_id_1"
    )
    assert used in plans[plans.index("after:") :]
    assert used not in plans[: plans.index("after:")]
    assert everything() == before
    assert world.index_names() == set()


@pytest.mark.usefixtures("slow")
def test_verify_that_is_interrupted_leaves_nothing(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    before = everything()

    def interrupted(*args: Any) -> None:
        raise KeyboardInterrupt

    for module in (on_mongodb, on_postgresql, on_sqlite):
        monkeypatch.setattr(module, "_measured", interrupted)
    with pytest.raises(CommandError, match="the copy is gone"):
        run("suggest_indexes", "--verify")
    assert everything() == before


@pytest.mark.usefixtures("slow")
def test_what_is_declared_is_not_suggested_and_told_as_awaited(run: Any) -> None:
    register(world.LEADS, Index("tenant_id", "status", "-created_at"))

    _, out, err = run("suggest_indexes")

    assert out == ""
    assert f"default {world.LEADS} ({', '.join(KEYS)}) is declared and not there yet" in err
    run("setup_indexes", "--apply")
    _, out, err = run("suggest_indexes")
    assert (out, "declared and not there" in err) == ("", False)


@pytest.mark.usefixtures("slow")
def test_a_finding_of_a_missing_index_gets_the_line_that_makes_it() -> None:
    told = advise(fingerprint(), "default", world.LEADS)

    assert told["register"] == f'register("{world.LEADS}", Index("tenant_id", "status", "-created_at"))'
    assert told["keys"] == list(KEYS)
    assert 0.0 < told["left"] <= 0.5
    assert advise(fingerprint(), "default", "another") == {}
    assert advise(fingerprint(), "gone", world.LEADS) == {}
    register(world.LEADS, Index("tenant_id", "status", "-created_at"))
    unmade = advise(fingerprint(), "default", world.LEADS)
    assert "is declared and not there yet" in unmade["sentence"]
    assert (unmade["keys"], unmade["left"]) == (list(KEYS), told["left"])


@pytest.mark.relational
@pytest.mark.usefixtures("slow")
def test_a_finding_of_a_search_inside_a_text_is_told_what_serves_it(run: Any) -> None:
    place = f'"{world.LEADS}"."email"'
    on_postgresql = connection.vendor == "postgresql"
    search = f"UPPER({place}::text) LIKE UPPER(%s)" if on_postgresql else f"{place} LIKE %s ESCAPE '\\'"
    sql = f'SELECT "{world.LEADS}"."id" FROM "{world.LEADS}" WHERE {search}'
    told = advise(shape(sql).fingerprint, "default", world.LEADS)["sentence"]

    assert told.startswith("No plain index serves a search inside email")
    if on_postgresql and "pg_trgm to install" not in told:
        assert "type CREATE EXTENSION pg_trgm" in told
        world.execute("CREATE EXTENSION pg_trgm")
        try:
            told = advise(shape(sql).fingerprint, "default", world.LEADS)["sentence"]
            line = told.partition(" declare it with ")[2]
            eval(line, {"register": register, "Index": Index})
            run("setup_indexes", "--apply")
            world.execute("SET enable_seqscan = off")
            with connection.cursor() as cursor:
                cursor.execute("EXPLAIN " + sql, ["%son12%"])
                plan = "\n".join(row[0] for row in cursor.fetchall())
            assert "Bitmap Index Scan on ix_leads_upper_email" in plan
        finally:
            world.execute("RESET enable_seqscan")
            world.execute("DROP EXTENSION pg_trgm CASCADE")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--database", "nowhere"], "'nowhere' is neither in DATABASES"),
        (["--since", "soon"], "A duration is a number"),
        (["--limit", "0"], "--limit is 0; write a number"),
    ],
)
def test_bad_input_is_one_sentence(run: Any, arguments: list[str], sentence: str) -> None:
    with pytest.raises(CommandError, match=sentence):
        run("suggest_indexes", *arguments)


def test_without_statements_it_says_so(run: Any, leads: str) -> None:
    with pytest.raises(
        CommandError, match="No statement of a millisecond or more was recorded in the last 1h"
    ):
        run("suggest_indexes", "--since", "1h")


def test_a_statement_that_cannot_be_read_or_is_about_no_table_of_ours_is_left_alone(
    run: Any, leads: str
) -> None:
    record("SELECT this is … no statement (" if not world.ON_MONGODB else "no shape")
    record(
        'SELECT "gone"."x" FROM "gone" WHERE "gone"."y" = ?'
        if world.DATABASE != "mongodb"
        else "test.gone.find{y}"
    )

    assert run("suggest_indexes")[1] == ""


def everything() -> set[str]:
    """Return all tables or collections, and on PostgreSQL those of all sessions."""
    if world.ON_MONGODB:
        return set(world.database().list_collection_names())
    sql = (
        "SELECT name FROM sqlite_master" if connection.vendor == "sqlite" else "SELECT relname FROM pg_class"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return {name for (name,) in cursor.fetchall()}
