"""From a request's statements to sightings and exemplars, and what may go wrong on the way."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

import django
import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import connection, connections
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext

from perfsuite.metrics import exemplars, sightings
from perfsuite.metrics.request import MAX_HELD, Tally, current
from perfsuite.metrics.storages.alias import store_alias
from perfsuite.monitoring import RequestMetricsMiddleware
from perfsuite.queries import callsite, findings, kinds, sql, tracing
from perfsuite.queries.callsite import call_site
from perfsuite.queries.checks import check_mask
from perfsuite.queries.fingerprint import Shape, shape
from perfsuite.queries.slow_advice import advise_slow
from tests.recorded import Recorded
from tests.testapp.models import Author, Book

GET = "SELECT a FROM shop WHERE b = %s"
IN_LOOP = "tests/queries/test_findings.py"


@pytest.fixture(autouse=True)
def _afresh(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(callsite, "_known", {})
    sightings.take("")
    exemplars.take("")
    yield
    sightings.take("")
    exemplars.take("")


def in_a_request(work: Callable[[], object], **headers: str) -> None:
    """Run ``work`` as a view does."""

    def view(request: HttpRequest) -> HttpResponse:
        work()
        return HttpResponse()

    RequestMetricsMiddleware(view)(RequestFactory().get("/", **headers))


def note(statement: Any, params: Any = None, many: bool = False) -> None:
    """Run a statement through the wrapper without a database."""
    context = {"connection": connection, "cursor": SimpleNamespace(cursor=SimpleNamespace(rowcount=-1))}
    assert sql.note_statement(lambda *args: "result", statement, params, many, context) == "result"


def loop(times: int = 12) -> None:
    for number in range(times):
        note(GET, (number,))


def sighted(recorded: Recorded) -> list[tuple[Any, dict[str, Any]]]:
    """Return what was sighted: what each finding is about, and its evidence."""
    recorded.count("")
    return [(json.loads(row.about), json.loads(row.evidence)) for row in sightings.take("w")]


def remembered(recorded: Recorded) -> list[dict[str, Any]]:
    recorded.count("")
    return [json.loads(row.data) for row in exemplars.take("w")]


def test_an_n_plus_one_is_sighted_with_its_line_its_advice_and_the_id_of_the_request(
    recorded: Recorded,
) -> None:
    in_a_request(loop, HTTP_X_REQUEST_ID="of the proxy")

    ((about, evidence),) = sighted(recorded)
    kind, subject, alias, route, site = about
    assert (kind, subject, alias, route) == (
        "n_plus_one", "SELECT a FROM shop WHERE b = ?", "default", "<middleware>",
    )  # fmt: skip
    assert site.startswith(f"{IN_LOOP}:")
    assert site.endswith(" in note")
    assert (evidence["count"], evidence["distinct"], evidence["request_id"]) == (12, 12, "of the proxy")
    assert evidence["about"] == "shop.b"
    assert evidence["advice"] == "WHERE b IN (...)"
    assert evidence["sentence"].startswith("shop.b is looked up row by row")


def test_a_request_without_an_id_gets_one(recorded: Recorded) -> None:
    in_a_request(loop)
    in_a_request(loop)

    ((_, evidence),) = sighted(recorded)
    assert len(evidence["request_id"]) == 16


def test_the_thresholds_are_options(recorded: Recorded, settings: Any) -> None:
    settings.PERFSUITE = {"QUERIES": {"N_PLUS_ONE_ANY_COUNT": 13}}
    in_a_request(loop)
    assert sighted(recorded) == []

    settings.PERFSUITE = {"QUERIES": {"N_PLUS_ONE_COUNT": 2, "N_PLUS_ONE_MS": 0}}
    in_a_request(lambda: loop(3))
    assert [about[0] for about, _ in sighted(recorded)] == ["n_plus_one"]


def test_a_slow_statement_that_its_request_repeats_is_told_as_repeated_alone(
    recorded: Recorded, settings: Any
) -> None:
    settings.PERFSUITE = {"QUERIES": {"SLOW_QUERY_MS": 0}}

    in_a_request(lambda: (loop(), note(f"{GET} AND c = 1", (1,))))

    found = sorted((about[0], about[1]) for about, _ in sighted(recorded))
    assert found == [("n_plus_one", shape(GET)[0]), ("slow", shape(f"{GET} AND c = 1")[0])]
    assert recorded.count(kinds.SLOW) == 13


def test_the_first_statement_of_a_series_is_remembered_without_its_values(recorded: Recorded) -> None:
    in_a_request(lambda: note("SELECT a FROM shop WHERE b = %s AND c = 'secret' AND d = 5", ("secret",)))

    (data,) = remembered(recorded)
    assert data["sql"] == "SELECT a FROM shop WHERE b = %s AND c = ? AND d = ?"
    assert (data["params"], data["many"], data["failed"]) == (None, False, False)
    assert data["site"].startswith(f"{IN_LOOP}:")
    assert data["request_id"]


def test_parameters_are_remembered_only_if_asked_for_and_then_as_the_mask_leaves_them(
    recorded: Recorded, settings: Any
) -> None:
    settings.PERFSUITE = {"QUERIES": {"CAPTURE_PARAMS": True}}
    in_a_request(lambda: note(GET, ("open", 7)))
    assert remembered(recorded)[0]["params"] == ["open", 7]

    settings.PERFSUITE = {"QUERIES": {"CAPTURE_PARAMS": True, "MASK_PARAMS": f"{__name__}.stars"}}
    in_a_request(
        lambda: note(f"{GET} AND c = %s", ("open", 7))
    )  # of one statement, few are remembered in a minute
    assert remembered(recorded)[0]["params"] == ["***", "***"]

    settings.PERFSUITE = {"QUERIES": {"CAPTURE_PARAMS": True, "MASK_PARAMS": f"{__name__}.broken"}}
    in_a_request(lambda: note(f"{GET} AND d = %s", ("secret", 7)))
    assert "secret" not in str(remembered(recorded))
    assert recorded.count("self.failures", "queries.mask_params") == 1


@pytest.mark.parametrize("params", [(), None, ("secret",)])
def test_with_a_mask_no_value_that_stands_in_the_text_is_kept_either(
    recorded: Recorded, settings: Any, params: Any
) -> None:
    settings.PERFSUITE = {"QUERIES": {"CAPTURE_PARAMS": True, "MASK_PARAMS": f"{__name__}.stars"}}
    text = f"SELECT a FROM shop WHERE name = 'secret'{' AND b = %s' if params else ''} -- secret {params is None}"
    in_a_request(lambda: note(text, params))

    (data,) = remembered(recorded)
    assert data["sql"].startswith("SELECT a FROM shop WHERE name = ?")
    assert data["params"] == (["***"] if params else [])
    assert "secret" not in str(data)


@pytest.mark.parametrize(
    ("path", "ids"),
    [
        ("", []),
        (f"{__name__}.stars", []),
        (f"{__name__}.nothing", ["perfsuite_queries.E001"]),
        (f"{__name__}.GET", ["perfsuite_queries.E001"]),
    ],
)
def test_a_mask_that_is_no_function_is_a_system_check(path: str, ids: list[str], settings: Any) -> None:
    settings.PERFSUITE = {"QUERIES": {"MASK_PARAMS": path}}
    assert [message.id for message in check_mask()] == ids


def stars(statement: str, params: list[Any]) -> list[str]:
    return ["***" for _ in params]


def broken(statement: str, params: list[Any]) -> list[str]:
    raise LookupError("secret")


@pytest.mark.parametrize(
    ("module", "name", "hook"),
    [
        (tracing, "_third", "queries.tracing"),
        (callsite._Look, "site", "queries.tracing"),
        (findings, "findings_of", "queries.findings"),
        (findings, "advise", "queries.findings"),
        (findings, "dialect_of", "queries.findings"),
    ],
)
def test_what_fails_inside_is_counted_and_neither_the_site_nor_the_counting_is_affected(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch, module: Any, name: str, hook: str
) -> None:
    def fails(*args: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(module, name, fails)
    in_a_request(loop)

    assert recorded.count(kinds.ALL) == 12
    assert recorded.count("self.failures", hook) >= 1
    assert recorded.labels("self.failures") == {(hook,)}


BAD = {
    "a megabyte": "SELECT '" + "x" * 1_000_000 + "' FROM shop WHERE b = %s",
    "a megabyte of names": 'SELECT "' + "x" * 1_000_000,
    "null bytes": "SELECT '\x00' FROM \x00shop WHERE b = %s",
    "invalid bytes": b"SELECT '\xff\xfe' FROM shop \xff WHERE b = %s",
    "a lone surrogate": "SELECT '\ud800' FROM shop WHERE b = %s",
    "nested comments": "SELECT /* a /* b */ c */ 1 FROM shop WHERE b = %s -- '",
    "many comments": "SELECT " + "/*" * 10_000,
    "dollar quoting": "SELECT $x$ it's $$ $x$ FROM shop WHERE b = %s",
    "unclosed dollar": "SELECT $x$ FROM shop WHERE b = 1",
    "percent in a literal": "SELECT '100%', '%%', '%s' FROM shop WHERE b LIKE '%x%'",
    "quotes": 'SELECT "a\'b" FROM shop WHERE c = \'it\'\'s\' AND "d""e" = %s',
    "parentheses": "SELECT a FROM shop WHERE b IN " + "(" * 20_000,
    "nothing": "",
}


@pytest.mark.parametrize("name", BAD)
def test_bad_statements_are_counted_and_nothing_fails(recorded: Recorded, name: str) -> None:
    def work() -> None:
        for number in range(12):
            note(BAD[name], (number, "\x00", b"\xff", "x" * 1_000_000))

    in_a_request(work)
    assert recorded.count(kinds.ALL) == 12
    assert recorded.count("self.failures") == 0
    sighted(recorded)
    remembered(recorded)


@pytest.mark.parametrize("params", [(), [], {}, {"a": 1}, "text", 5, [object()], ([[]],), iter([1])])
def test_parameters_of_any_kind_are_taken(recorded: Recorded, params: Any) -> None:
    in_a_request(lambda: [note(GET, params) for _ in range(12)])

    assert recorded.count(kinds.ALL) == 12
    assert recorded.count("self.failures") == 0


def test_a_thread_that_runs_statements_after_the_end_of_the_request_adds_nothing(recorded: Recorded) -> None:
    ended, done = threading.Event(), threading.Event()

    def work() -> None:
        tally = current.get()

        def later() -> None:
            current.set(tally)
            ended.wait(10)
            loop()
            done.set()

        threading.Thread(target=later).start()
        note(GET, (1,))

    in_a_request(work)
    ended.set()
    assert done.wait(10)
    assert recorded.count(kinds.ALL) == 1
    assert sighted(recorded) == []


def test_very_many_different_statements_are_held_in_bounded_memory(recorded: Recorded) -> None:
    """A hundredth of a million here; what is held does not depend on how many there were."""
    sizes = []

    def work() -> None:
        tally = current.get()
        assert tally is not None
        for number in range(5 * MAX_HELD):
            note(f"SELECT {number}, 'x{number}' FROM shop WHERE b = {number}")
            sizes.append(len(tally.seen) + len(tally.held))

    in_a_request(work)
    assert recorded.count(kinds.ALL) == 5 * MAX_HELD
    assert max(sizes) <= 2 * MAX_HELD
    assert len(sql._texts) <= 1_000
    assert len(sightings.take("w")) == 1  # one line that asks row by row


@pytest.mark.relational
@pytest.mark.django_db(databases="__all__")
def test_with_everything_on_a_request_sends_no_statement_but_its_own_to_any_database(
    recorded: Recorded, settings: Any
) -> None:
    books = 40
    authors = Author.objects.bulk_create([Author(name=f"author {n}") for n in range(books)])
    Book.objects.bulk_create([Book(author=author, title="one") for author in authors])
    settings.PERFSUITE = {"QUERIES": {
        "SLOW_QUERY_MS": 0, "CAPTURE_PARAMS": True, "MASK_PARAMS": f"{__name__}.stars", "WIDE_ROWS_SAMPLE": 1,
        "WIDE_ROWS": 20, "TENANT_OWNED": {"testapp.Book": "author"}, "TENANT_GUARD": "observe", "TENANT_GUARD_ALWAYS": True,
        "EXPLAIN_DAILY": True,
    }}  # fmt: skip

    with ExitStack() as stack:
        sent = {
            alias: stack.enter_context(CaptureQueriesContext(connections[alias]))
            for alias in {*connections, store_alias()}
        }
        in_a_request(lambda: [book.author.name for book in Book.objects.all()])

    assert {alias: len(captured) for alias, captured in sent.items() if len(captured)} == {
        "default": books + 1
    }
    # A slow request is looked at before its answer leaves, so all of that was done.
    found = {json.loads(row.about)[0] for row in sightings.take("w")}
    assert found >= {"n_plus_one", "tenant", "slow"}
    assert "***" in str([row.data for row in exemplars.take("w")])
    assert recorded.count("self.failures") == 0


@pytest.mark.skipif(django.VERSION < (4, 2), reason="Django 4.2 brought the async methods of querysets")
@pytest.mark.django_db
def test_twenty_async_views_at_once_get_their_own_findings(recorded: Recorded) -> None:
    """All views have begun before the first goes on, and each gives way after each statement."""
    total = 20
    begun = 0
    all_began = asyncio.Event()

    async def view(request: HttpRequest) -> HttpResponse:
        nonlocal begun
        number = int(request.GET["n"])
        begun += 1
        if begun == total:
            all_began.set()
        await all_began.wait()
        for each in range(number):
            await sync_to_async(note)(f"SELECT a FROM shop{number} WHERE b = %s", (each,))
            await Author.objects.filter(name=str(each)).aexists()
            await asyncio.sleep(0)
        return HttpResponse()

    async def run() -> None:
        middleware = RequestMetricsMiddleware(view)
        requests = [
            RequestFactory().get(f"/?n={number}", HTTP_X_REQUEST_ID=f"request {number}")
            for number in range(total)
        ]
        await asyncio.gather(*map(middleware, requests))

    async_to_sync(run)()

    found = sighted(recorded)
    own = {about[1]: evidence for about, evidence in found if "shop" in about[1]}
    assert {(subject, each["count"], each["request_id"]) for subject, each in own.items()} == {
        (f"SELECT a FROM shop{number} WHERE b = ?", number, f"request {number}")
        for number in range(10, total)
    }
    assert recorded.count("self.failures") == 0


def test_the_line_is_that_of_the_code_that_is_the_hosts_own() -> None:
    line = sys._getframe().f_lineno + 1
    assert call_site() == f"{IN_LOOP}:{line} in test_the_line_is_that_of_the_code_that_is_the_hosts_own"
    line = sys._getframe().f_lineno + 1
    assert list(map(lambda _: call_site(), [1]))[0].startswith(f"{IN_LOOP}:{line} in ")  # noqa: C417, RUF015


def test_code_without_a_host_has_no_line() -> None:
    found: list[str] = []
    thread = threading.Thread(
        target=exec, args=("found.append(call_site())", {"found": found, "call_site": call_site})
    )
    thread.start()
    thread.join()
    assert found == [""]


def test_a_site_follows_the_line_from_which_a_text_comes() -> None:
    tally = Tally()
    for _ in range(3):
        tracing.trace(tally, GET, "default", (1,), False, 0.0, False)
    one = tracing.trace(tally, GET, "default", (1,), False, 0.0, False)[1]
    two = tracing.trace(tally, GET, "default", (1,), False, 0.0, False)[1]

    assert one is not None
    assert two is not None
    numbers = [int(site.where.split(":")[1].split(" ")[0]) for site in (one, two)]
    assert numbers[1] == numbers[0] + 1


def test_slow_statements_are_sighted_with_their_line(recorded: Recorded, settings: Any) -> None:
    settings.PERFSUITE = {"QUERIES": {"SLOW_QUERY_MS": 0}}
    in_a_request(lambda: note("SELECT a FROM testapp_author WHERE b = %s", (1,)))

    ((about, evidence),) = sighted(recorded)
    assert (about[0], evidence["about"], evidence["advice"]) == ("slow", "testapp.Author", "look at its plan")
    assert about[4].startswith(IN_LOOP)


@pytest.mark.parametrize(
    ("sql", "advice"),
    [
        (
            'SELECT "a"."x" FROM "a" WHERE ("a"."x" LIKE %s ESCAPE \'\\\' OR "a"."y" LIKE %s)',
            "full-text search",
        ),
        ('SELECT "a"."x" FROM "a" WHERE UPPER("a"."x"::text) LIKE UPPER(%s)', "full-text search"),
        ('SELECT "a"."x" FROM "a" WHERE "a"."x" = %s', "look at its plan"),
        ('UPDATE "a" SET "x" = %s WHERE "a"."x" LIKE %s', "an index for its filter, batches"),
    ],
)
def test_a_slow_search_inside_of_texts_is_advised_to_be_a_full_text_search(sql: str, advice: str) -> None:
    given = advise_slow(shape(sql))
    assert given.code == advice
    assert ("searches in x" in given.sentence) is (advice == "full-text search")


@pytest.mark.parametrize(
    ("given", "about", "said"),
    [
        (shape('INSERT INTO "testapp_author" ("name") VALUES (%s)'), "testapp.Author", "its triggers"),
        (shape("REPLACE INTO plain VALUES (%s)"), "plain", "bulk_create() with a batch_size"),
        (shape('UPDATE "a" SET "x" = %s WHERE ("a"."y" = %s AND "a"."z" > %s)'), "a", "finds them by y, and"),
        (shape('UPDATE "a" SET "x" = %s WHERE "a"."z" > %s'), "a", "finds them, and"),
        (
            shape('DELETE FROM "testapp_author" WHERE "testapp_author"."id" IN (%s, %s)'),
            "testapp.Author",
            "by their key is slow; the time goes to its indexes, its triggers",
        ),
        (
            shape('UPDATE "testapp_author" SET "name" = %s WHERE ("testapp_author"."id" = %s AND "name" LIKE %s)'),
            "testapp.Author",
            "finds them by id, and",
        ),
        (Shape("site.testapp_author.update{_id}", "update"), "testapp.Author", "its write concern"),
        (Shape("site.leads.delete{status}", "delete"), "leads", "finds them by status, and"),
        (Shape("site.leads.insert", "insert"), "leads", "its write concern"),
        (shape("CREATE TABLE b AS SELECT * FROM a"), "a", "CREATE is slow, and there is no plan of it"),
        (shape("COMMIT"), "", "see what it waits for"),
    ],
)  # fmt: skip
def test_a_slow_write_is_told_what_may_make_it_slow_and_not_to_look_at_a_plan_that_is_refused(
    given: Shape, about: str, said: str
) -> None:
    advice = advise_slow(given)
    assert advice.about == about
    assert said in advice.sentence
    assert "look at its plan" not in advice.code + advice.sentence
