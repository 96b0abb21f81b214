"""What requests come to that are folded together: the same as each of them by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from django.http import HttpRequest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from perfsuite.metrics import sightings
from perfsuite.metrics.guard import disabled_hooks
from perfsuite.metrics.request import Tally
from perfsuite.metrics.sightings import Sighting
from perfsuite.queries import dialects, findings, kinds
from perfsuite.queries.findings import Batch
from perfsuite.queries.fingerprint import Shape
from perfsuite.queries.pattern import columns_of, pattern_of
from perfsuite.queries.repeats import Site
from perfsuite.queries.rows import Fetched
from perfsuite.queries.statements import Command, fold_statements
from tests.queries.test_repeats import GET, LINE, OTHER, OTHER_LINE, WRITE, shape_of
from tests.recorded import Recorded

ONE, TWO = "default", "replica"
# The same shape as GET in another text, as of a name that was written into it.
LITERAL = GET.replace("%s", "{}")
READ_AGAIN = GET.replace("author", "tag")

Request = list[tuple[str | Shape, str, float, Any, Site | None]]
# Which statement, on which alias, where; what is likely to repeat.
whats = st.sampled_from([GET, READ_AGAIN, WRITE, OTHER, LITERAL.format(7), LITERAL.format(8)])
FIND = Shape("shop.tags.find{order}", "find")
CHANGE = Shape("shop.orders.update{author}", "update")
commands = st.sampled_from([FIND, Shape("shop.orders.find{author}", "find"), CHANGE])
sites = st.sampled_from(
    [None, LINE, OTHER_LINE, LINE._replace(one_owner=True), Site("a.py:1 in x", by="form")]
)
rest = st.sampled_from([ONE, ONE, TWO]), sites, st.integers(1, 12)
blocks, blocks_of_commands = st.tuples(whats, *rest), st.tuples(commands, *rest)
keys = st.one_of(st.just(range(60)), st.lists(st.sampled_from([1, 2, 3, None]), min_size=48, max_size=48))
# So quick that times never matter, or so slow that they may.
ms = st.sampled_from([0.1, 0.15, 0.7, 3.0, 5.0])


@st.composite
def routes(draw: st.DrawFn) -> list[Request]:
    """Requests of a route: some run what the one before ran, with parameters and times of their own."""
    requests: list[Request] = []
    plan: list[tuple[str | Shape, str, Site | None, int]] = []
    for _ in range(draw(st.integers(1, 5))):
        if not plan or not draw(st.integers(0, 3)):
            of = draw(st.sampled_from([blocks, blocks_of_commands]))
            plan = draw(st.lists(of, min_size=1, max_size=4))
        values, each_ms = draw(keys), draw(ms)
        statements = [(what, alias, site) for what, alias, site, times in plan for _ in range(times)]
        requests.append(
            [
                (what, alias, each_ms * (1 + place % 3) / 1e3, values[place], site)
                for place, (what, alias, site) in enumerate(statements)
            ]
        )
    return requests


def noted(request: Request) -> list[tuple[Any, ...]]:
    """Return statements as sql.py notes them; of commands, some that differ have a filter that does not."""
    return [
        (
            what,
            alias,
            seconds,
            False,
            key if type(what) is str or key is None else (key % 5, key),
            site,
            None,
            -1,
        )
        for what, alias, seconds, key, site in request
    ]


# By what a finding is told from others: what each request would have saved, and what the last of them showed.
Came = tuple[dict[tuple[str, ...], list[float]], dict[tuple[str, ...], tuple[Any, ...]]]


def together(requests: Sequence[Request], monkeypatch: pytest.MonkeyPatch) -> tuple[Came, list[Any]]:
    """Return what requests come to that are folded together, and what each of them repeats."""
    seen: list[Sighting] = []
    monkeypatch.setattr(sightings, "sight", seen.append)
    batch, repeated = Batch("/list/"), []
    for request in requests:
        statements = noted(request)
        repeated.append(batch.tell(Tally(), statements, shape_of, columns_of(statements)))
    batch.close()
    assert not disabled_hooks
    saved: dict[tuple[str, ...], list[float]] = {}
    last: dict[tuple[str, ...], tuple[Any, ...]] = {}
    for each in seen:
        key = each.kind, each.subject, each.alias, each.site
        saved.setdefault(key, []).extend([*each.others_us, each.saving_us])
        last[key] = tuple(each.evidence[name] for name in ("count", "distinct", "us"))
    return (rounded(saved), last), repeated


def one_by_one(requests: Sequence[Request]) -> tuple[Came, list[Any]]:
    """Return the same by a search of each request."""
    saved: dict[tuple[str, ...], list[float]] = {}
    last: dict[tuple[str, ...], tuple[Any, ...]] = {}
    repeated = []
    for request in requests:
        found = findings.findings_of(noted(request), shape_of, findings.limits())
        repeated.append({(each.shape, each.alias) for each in found})
        for each in found:
            key = each.kind, each.shape.fingerprint or "/list/", each.alias, each.site.where
            saved.setdefault(key, []).append(each.saving_s * 1e6)
            last[key] = each.count, each.distinct, round(each.seconds * 1e6)
    return (rounded(saved), last), repeated


def rounded(saved: dict[tuple[str, ...], list[float]]) -> dict[tuple[str, ...], list[float]]:
    return {key: [round(each, 3) for each in sorted(values)] for key, values in saved.items()}


N_PLUS_ONE: Request = [(GET, ONE, 0.0001, number, LINE) for number in range(12)]
DUPLICATE: Request = [(GET, ONE, 0.0002, 1, LINE) for number in range(12)]
OF_A_FORM: Request = [(GET, ONE, 0.0001, number, Site("a.py:1 in x", by="form")) for number in range(12)]
# Slow enough to be worth a finding though there are few; the times decide.
FEW_SLOW: Request = [(GET, ONE, 0.005, number, LINE) for number in range(6)]
FEW_QUICK: Request = [(GET, ONE, 0.0001, number, LINE) for number in range(6)]
TEN: Request = N_PLUS_ONE[:10]
NINE_AND_A_BATCH: Request = [*N_PLUS_ONE[:9], (GET, ONE, 0.0001, None, LINE)]
BATCHES: Request = [(GET, ONE, 0.0001, None, LINE) for number in range(12)]
ON_ANOTHER: Request = [(GET, TWO, 0.0001, number, LINE) for number in range(12)]
OTHERS: Request = [(READ_AGAIN, ONE, 0.0001, number, LINE) for number in range(12)]
QUICK: Request = [(GET, ONE, 0.00005, number, LINE) for number in range(12)]
# Only some of the statements are what is found.
AND_MORE: Request = [*N_PLUS_ONE, (WRITE, ONE, 0.003, 1, OTHER_LINE), (OTHER, ONE, 0.002, 1, OTHER_LINE)]
QUICKER: Request = [*QUICK, (WRITE, ONE, 0.001, 1, OTHER_LINE), (OTHER, ONE, 0.001, 1, OTHER_LINE)]
# By a clock that stood still.
IN_NO_TIME: Request = [(GET, ONE, 0.0, number, LINE) for number in range(12)]
MANY: Request = [(f"SELECT {number} FROM a{number}", ONE, 0.0001, number, LINE) for number in range(60)]


FINDS: Request = [(FIND, ONE, 0.0001, number, LINE) for number in range(12)]
# All of another filter, and two filters.
OF_ALL_FILTERS: Request = [(FIND, ONE, 0.0001, number, LINE) for number in range(5)] * 2
OF_TWO_FILTERS: Request = [(FIND, ONE, 0.0001, 5 * number, LINE) for number in range(5)] * 2


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@example(requests=[N_PLUS_ONE, N_PLUS_ONE, DUPLICATE, N_PLUS_ONE])
@example(requests=[N_PLUS_ONE, OF_A_FORM])
@example(requests=[FEW_QUICK, FEW_SLOW, FEW_QUICK])
@example(requests=[FEW_SLOW, FEW_QUICK])
@example(requests=[DUPLICATE, BATCHES])
@example(requests=[TEN, NINE_AND_A_BATCH])
@example(requests=[N_PLUS_ONE, ON_ANOTHER])
@example(requests=[N_PLUS_ONE, OTHERS])
@example(requests=[AND_MORE, QUICKER])
@example(requests=[MANY, MANY])
@example(requests=[IN_NO_TIME, N_PLUS_ONE])
@example(requests=[FINDS, N_PLUS_ONE, FINDS, FINDS])
@example(requests=[OF_ALL_FILTERS, OF_TWO_FILTERS])
@given(requests=routes())
def test_requests_come_together_to_what_each_comes_to_by_itself(
    requests: list[Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert together(requests, monkeypatch) == one_by_one(requests)


def test_those_that_run_the_same_are_searched_once_and_sighted_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    searched: list[int] = []
    search = findings.findings_of
    monkeypatch.setattr(
        findings,
        "findings_of",
        lambda *args: searched.append(1) or search(*args),  # type: ignore[func-returns-value]
    )
    seen: list[Sighting] = []
    monkeypatch.setattr(sightings, "sight", seen.append)
    batch = Batch("/list/")
    for moved in range(5):
        statements = noted([(GET, ONE, 0.0001, number + moved, LINE) for number in range(12)])
        batch.tell(Tally(), statements, shape_of, columns_of(statements))
    batch.close()
    batch.close()
    assert (len(searched), [len(each.others_us) for each in seen]) == (1, [4])


def test_the_pattern_is_unknown_where_times_decide() -> None:
    assert pattern_of(columns_of(noted(FEW_QUICK)), 20.0) is not None
    assert pattern_of(columns_of(noted(FEW_SLOW)), 20.0) is None


def test_a_search_that_fails_costs_the_other_requests_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Sighting] = []
    monkeypatch.setattr(sightings, "sight", seen.append)
    failures: list[BaseException] = []
    monkeypatch.setattr(findings.guard, "failed", failures.append)
    batch = Batch("/list/")

    def tell(request: Request, shapes: Any = shape_of) -> set[tuple[Shape, str]]:
        statements = noted(request)
        return batch.tell(Tally(), statements, shapes, columns_of(statements))

    assert len(tell(N_PLUS_ONE)) == 1
    assert tell(DUPLICATE, shapes=lambda text, alias: 1 / 0) == set()
    assert len(tell(DUPLICATE)) == 1
    assert len(tell(N_PLUS_ONE)) == 1
    batch.close()
    assert [type(each) for each in failures] == [ZeroDivisionError]
    assert [each.kind for each in seen] == ["n_plus_one", "duplicate", "n_plus_one"]


def test_one_finding_that_cannot_be_told_costs_the_others_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Sighting] = []
    monkeypatch.setattr(sightings, "sight", seen.append)
    failures: list[BaseException] = []
    monkeypatch.setattr(findings.guard, "failed", failures.append)
    advise = findings.advise
    monkeypatch.setattr(findings, "advise", lambda found: advise(found) if seen or failures else 1 / 0)
    batch = Batch("/list/")
    statements = noted([*N_PLUS_ONE, *OTHERS])
    batch.tell(Tally(), statements, shape_of, columns_of(statements))
    batch.close()
    assert (len(seen), len(failures)) == (1, 1)


def test_what_is_counted_of_several_is_what_is_counted_of_each(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(dialects._known, TWO, dialects.STANDARD)
    many = [(GET, ONE, 0.001 * number, False, number, LINE, None, 1) for number in range(4)]
    statements = {
        "alike": [(GET, ONE, 0.001, False, number, LINE, None, -1) for number in range(4)],
        "rows": many,
        "two texts": [*many, (WRITE, ONE, 0.002, False, 1, None, None, 3)],
        "two aliases": [*many, (GET, TWO, 0.002, False, 1, None, None, 1)],
        "slow": [*many, (GET, ONE, 0.9, False, 9, None, None, -1)],
        "failed": [*many, (GET, ONE, 0.004, True, 9, None, None, -1)],
        "fetched": [*many, (GET, ONE, 0.004, False, 9, None, None, Fetched(7))],
        "commands": [(FIND, ONE, 0.001, False, (number, number), LINE, None, 5) for number in range(4)],
        "documents not known": [
            (FIND, ONE, 0.001, False, (1, number), None, None, -1) for number in range(4)
        ],
        "two commands": [(each, ONE, 0.001, False, (1, 1), None, None, 2) for each in (FIND, CHANGE, FIND)],
        "commands and SQL": [*many, (FIND, ONE, 0.002, False, (1, 1), None, None, 3), *many],
    }

    def folded(*of: str, into: str) -> None:
        tallies = [Tally() for _ in of]
        for tally, name in zip(tallies, of, strict=True):
            tally.held.extend(statements[name])
            tally.commands = sum(type(each[0]) is Shape for each in statements[name])
        fold_statements(tallies, into)

    folded(*statements, into="/together/")
    for name in statements:
        folded(name, into="/each/")
    for kind in (kinds.FINGERPRINT, kinds.ROWS, kinds.DOCUMENTS, kinds.SLOW, kinds.FAILED):
        of_route = {route: set[Any]() for route in ("/together/", "/each/")}
        for labels in recorded.labels(kind):
            values = recorded.count(kind, *labels), round(recorded.sum(kind, *labels), 3)
            of_route[labels[-1]].add((labels[:-1], values))
        assert of_route["/together/"] == of_route["/each/"] != set()


def test_what_mixes_commands_and_sql_is_searched_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(dialects._known, TWO, dialects.STANDARD)
    seen: list[Sighting] = []
    monkeypatch.setattr(sightings, "sight", seen.append)
    tallies = []
    for finds in (OF_ALL_FILTERS, OF_TWO_FILTERS):
        tally = Tally(HttpRequest())
        tally.held.extend(noted([(WRITE, TWO, 0.0001, 1, LINE), *finds, (WRITE, TWO, 0.0001, 2, LINE)]))
        tally.commands, tally.seen = len(finds), {findings.REPEATED: 1}
        tallies.append(tally)
    fold_statements(tallies, "/mixed/")
    assert [(each.kind, each.evidence["distinct"], each.others_us) for each in seen] == [
        ("n_plus_one", 5, [])
    ]


def test_a_command_among_statements_that_are_alike_is_counted_by_itself(recorded: Recorded) -> None:
    command = Command(FIND)
    command.counted(7)
    get = (GET, ONE, 0.001, False, 1, LINE, None, 1)
    tally = Tally()
    tally.held.extend([get, [command, ONE, 0.002, False, (1, 1), LINE, None], get, get])
    tally.commands = 1
    fold_statements([tally], "/mixed/")
    fingerprint = dialects.dialect_of(ONE).shape(GET).fingerprint
    assert recorded.count(kinds.FINGERPRINT, fingerprint, ONE, "/mixed/") == 3
    assert recorded.count(kinds.FINGERPRINT, FIND.fingerprint, ONE, "/mixed/") == 1
    assert recorded.sum(kinds.DOCUMENTS, FIND.fingerprint, ONE, "/mixed/") == 7
