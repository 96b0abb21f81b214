"""Plans by fingerprint, from what is remembered of a statement, and the command that prints them."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import override_settings

from perfsuite.exceptions import StoreUnavailable
from perfsuite.metrics import flush
from perfsuite.metrics.exemplars import remember
from perfsuite.metrics.recorder import recorder
from perfsuite.queries import kinds
from perfsuite.queries.explain import NotExplainable, recorded
from perfsuite.queries.explain.recorded import explain, find
from perfsuite.queries.explain.relational import UNKNOWN
from perfsuite.queries.fingerprint import MAX_SQL_CHARS, shape
from perfsuite.queries.short_id import short_id
from tests.queries.explain.test_relational import gives_generic_plans
from tests.testapp.models import Author, Book

pytestmark = [pytest.mark.relational, pytest.mark.django_db(databases="__all__", transaction=True)]

TEXT = 'SELECT "testapp_book"."title" FROM "testapp_book" WHERE "testapp_book"."title" = %s AND "testapp_book"."pages" = {}'
SQL = TEXT.format("%s")
FINGERPRINT = shape(SQL).fingerprint
CAN_SEE_UNKNOWN = connection.vendor == "sqlite"


def record(fingerprint: str, alias: str, route: str = "/", slow: bool = False) -> None:
    """Count a statement, as a request does, and flush; a slow one takes ten times the limit, which is no accident at once."""
    for kind in (kinds.FINGERPRINT, kinds.SLOW) if slow else (kinds.FINGERPRINT,):
        recorder.observe(kind, (fingerprint, alias, route), 1_000_000.0 if slow else 250_000.0)
    flush()


def instance(value: float, **data: Any) -> None:
    remember(kinds.FINGERPRINT, (FINGERPRINT, "default", "/"), value, {"sql": SQL, "params": None, **data})


@pytest.fixture
def books() -> None:
    author = Author.objects.create(name="a")
    Book.objects.bulk_create(Book(author=author, title=str(n), pages=n) for n in range(500))


@pytest.mark.usefixtures("books")
def test_the_instance_whose_parameters_are_kept_is_taken_before_a_slower_one() -> None:
    instance(5.0, params=["7", 7])
    flush()
    instance(9.0)
    record(FINGERPRINT, "default")

    plan = explain(FINGERPRINT, "default")

    assert plan.notes == ()
    assert plan.findings[0].columns == ("title", "pages")
    assert plan.findings[0].rows == 500


@pytest.mark.skipif(not CAN_SEE_UNKNOWN, reason="PostgreSQL before 16 gives no plan for unknown values")
@pytest.mark.usefixtures("books")
@pytest.mark.parametrize("is_remembered", [True, False])
def test_without_parameters_and_even_without_an_instance_the_plan_is_for_unknown_values(
    is_remembered: bool,
) -> None:
    if is_remembered:
        instance(9.0, sql=TEXT.format("?"))
    record(FINGERPRINT, "default")

    plan = explain(FINGERPRINT, "default")

    assert plan.notes == (UNKNOWN,)
    assert plan.findings[0].rows == 500


@pytest.mark.usefixtures("books")
@pytest.mark.parametrize(("sql", "params"), [(SQL, ["***", "***"]), (TEXT.format("?"), ["***"])])
def test_masked_values_are_not_taken_for_those_of_the_statement(sql: str, params: list[str]) -> None:
    """PostgreSQL would say that '***' is no number, and SQLite give a plan of values that nobody asked for."""
    instance(5.0, sql=sql, params=params)
    record(FINGERPRINT, "default")

    with override_settings(PERFSUITE={"QUERIES": {"MASK_PARAMS": "tests.queries.test_findings.stars"}}):
        if not gives_generic_plans():
            with pytest.raises(
                NotExplainable, match=r"gives no plan for unknown values; .* without MASK_PARAMS"
            ):
                explain(FINGERPRINT, "default")
            return
        plan = explain(FINGERPRINT, "default")

    assert plan.notes == (UNKNOWN,)
    assert plan.findings[0].rows == 500


def test_a_statement_of_which_only_the_beginning_is_kept_is_refused() -> None:
    instance(9.0, sql=SQL.ljust(MAX_SQL_CHARS, "x"))
    record(FINGERPRINT, "default")

    with pytest.raises(NotExplainable, match="only its beginning"):
        explain(FINGERPRINT, "default")


def test_a_statement_is_found_by_its_text_and_by_its_short_id() -> None:
    record(FINGERPRINT, "default")
    record("SELECT ?", "other")

    assert find(FINGERPRINT) == find(short_id(FINGERPRINT)) == find(f" {short_id(FINGERPRINT)} ", "default")
    assert find(FINGERPRINT) == (FINGERPRINT, "default")


def test_a_short_id_is_the_beginning_of_a_hash_that_others_can_make() -> None:
    # printf 'SELECT ?' | b2sum
    assert short_id("SELECT ?") == "4f146c32"
    assert len(short_id("\udc80")) == 8


def test_what_is_not_there_or_not_one_is_told_in_a_sentence_that_says_what_to_type(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    record(FINGERPRINT, "default")
    record(FINGERPRINT, "other")
    record("SELECT ?", "default")

    with pytest.raises(
        NotExplainable, match="No statement 'nothing' was recorded in the last 30 days; write a"
    ):
        find("nothing")
    with pytest.raises(NotExplainable, match="was recorded on 'other' in"):
        find("SELECT ?", "other")
    with pytest.raises(NotExplainable, match="add --database default or --database other"):
        find(FINGERPRINT)
    with pytest.raises(NotExplainable, match="'nowhere' is not in DATABASES; write one of default"):
        find(FINGERPRINT, "nowhere")
    assert find(FINGERPRINT, "other").alias == "other"

    monkeypatch.setattr(recorded, "short_id", lambda text: "00000000")
    with pytest.raises(NotExplainable, match="short id of several statements; write the whole"):
        find("00000000")


def test_a_store_that_is_away_is_told_in_its_own_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*args: Any, **options: Any) -> Any:
        raise StoreUnavailable("The store is away.")

    monkeypatch.setattr(recorded, "exemplars", away)
    record(FINGERPRINT, "default")
    with pytest.raises(NotExplainable, match=r"^The store is away\.$"):
        explain(FINGERPRINT, "default")

    monkeypatch.setattr(recorded, "top", away)
    with pytest.raises(NotExplainable, match=r"^The store is away\.$"):
        find(FINGERPRINT)


# The command


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("explain_query", *arguments, stdout=out)
    return out.getvalue()


@pytest.mark.usefixtures("books")
def test_the_command_prints_the_statement_its_plan_and_what_stands_out() -> None:
    instance(5.0, params=["7", 7])
    record(FINGERPRINT, "default")

    first, *rest = run(short_id(FINGERPRINT)).splitlines()

    assert first == f"{short_id(FINGERPRINT)} on default ({connection.vendor}): {FINGERPRINT}"
    assert any(line.startswith("=> ") for line in rest)
    assert (
        "All of testapp_book (rows: 500) is read and filtered by title, pages; no index serves that." in rest
    )


@pytest.mark.usefixtures("books")
def test_the_command_prints_one_json_object_for_machines() -> None:
    instance(5.0, params=["7", 7])
    record(FINGERPRINT, "default")

    told = json.loads(run(FINGERPRINT, "--database", "default", "--format", "json"))

    assert (told["fingerprint"], told["alias"], told["short_id"]) == (
        FINGERPRINT,
        "default",
        short_id(FINGERPRINT),
    )
    assert told["findings"][0]["table"] == "testapp_book"
    assert told["root"]["is_costly"] is True


@pytest.mark.parametrize(
    ("fingerprint", "said"),
    [
        ("UPDATE t SET a = ?", "This statement is not explained: it is an UPDATE, and only SELECT is."),
        ("SELECT * FROM nowhere", "The database 'default' gave no plan: "),
    ],
)
def test_the_command_fails_with_one_sentence(fingerprint: str, said: str) -> None:
    record(fingerprint, "default")

    with pytest.raises(CommandError) as caught:
        run(fingerprint)

    assert str(caught.value).startswith(said)
    with pytest.raises(CommandError, match="No statement 'ffffffff' was recorded"):
        run("ffffffff")


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite never runs what it explains")
@pytest.mark.usefixtures("books")
def test_the_statement_is_run_where_the_option_says_so() -> None:
    instance(5.0, params=["7", 7])
    record(FINGERPRINT, "default")

    assert explain(FINGERPRINT, "default").examined is None
    with override_settings(PERFSUITE={"QUERIES": {"EXPLAIN_ANALYZE": True}}):
        assert explain(FINGERPRINT, "default").examined == 500
        assert explain(FINGERPRINT, "default", analyze=False).examined is None
