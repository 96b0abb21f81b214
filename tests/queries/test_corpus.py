"""The corpus: in each view exactly the findings that its answer names, no other, and no failure inside."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import django
import pytest
from asgiref.sync import async_to_sync, iscoroutinefunction
from django.db import connection
from django.http import HttpResponse
from django.test import RequestFactory, override_settings

from perfsuite.metrics import sightings
from perfsuite.metrics.sightings import Sighting
from perfsuite.monitoring import RequestMetricsMiddleware
from perfsuite.queries import loading, statements
from tests.queries.corpus import again, coroutines, nothing, per_row, relations  # noqa: F401 - they fill CASES
from tests.queries.corpus.answers import CASES, Case, marked, place
from tests.queries.corpus.models import seed
from tests.recorded import Recorded

IS_MONGODB = connection.vendor in ("djongo", "mongodb")


def able(case: Case) -> bool:
    """Tell whether this database and this Django have what a case needs."""
    lacks = {"async"} if django.VERSION < (4, 2) else set()
    if IS_MONGODB:
        lacks |= {"sql", "joins"}
    if connection.vendor == "mongodb":  # a command's values have no order that tells the fields
        lacks |= {"params"}
    return not case.needs & lacks


# What djongo sends is read as SQL, and this shows that it is; the rest of the corpus takes a minute with it.
OF_DJONGO = frozenset([
    "forward_fk", "reverse_fk", "m2m_forward", "one_to_one_reverse", "generic_fk", "get_by_field", "create_in_loop",
    "update_for_each_row", "duplicate_in_loop", "with_select_related", "with_prefetch_related",
])  # fmt: skip
ABLE = [
    pytest.param(case, id=case.name, marks=() if case.name in OF_DJONGO else pytest.mark.by_store)
    for case in CASES.values()
    if able(case)
]


@pytest.fixture
def sighted() -> Iterator[list[Sighting]]:
    """Return what is sighted from now on."""
    sightings.take("")
    seen: list[Sighting] = []
    with pytest.MonkeyPatch.context() as patch:
        for teller in (sightings, statements, loading):
            patch.setattr(teller, "sight", seen.append)
        yield seen


def test_the_corpus_is_large_and_each_answer_marks_a_line() -> None:
    assert len([case for case in CASES.values() if case.answers]) >= 60
    assert len([case for case in CASES.values() if not case.answers]) >= 30
    used = {place(case, answer) for case in CASES.values() for answer in case.answers}
    assert used - {""} == set(marked().values())
    assert set(CASES) >= OF_DJONGO


def answer_of(case: Case) -> HttpResponse:
    """Let a view answer a request as a server does, to its last byte."""
    middleware = RequestMetricsMiddleware(case.view)
    request = RequestFactory().get("/", HTTP_X_REQUEST_ID="the request")
    response: Any = middleware(request)
    if iscoroutinefunction(case.view):
        response = async_to_sync(_awaited)(response)
    if response.streaming:
        list(response)
    response.close()
    return response  # type: ignore[no-any-return]


async def _awaited(response: Any) -> Any:
    return await response


@pytest.mark.django_db
@pytest.mark.parametrize("case", ABLE)
def test_each_view_gives_its_findings_and_no_other(
    case: Case, recorded: Recorded, sighted: list[Sighting]
) -> None:
    seed()

    with override_settings(PERFSUITE={"QUERIES": {"SLOW_QUERY_MS": case.slow_ms, "N_PLUS_ONE_MS": 1_000}}):
        assert answer_of(case).status_code == 200
        assert recorded.count("self.failures") == 0

    assert sorted(map(seen, sighted)) == sorted(
        (answer.kind, answer.about, answer.advice, place(case, answer)) for answer in case.answers
    )


def seen(sighting: Sighting) -> tuple[str, str, str, str]:
    """Return a sighting as an answer writes it."""
    where = re.match(r"tests/queries/corpus/(\S+)", sighting.site)
    return (
        sighting.kind,
        sighting.evidence["about"],
        sighting.evidence["advice"],
        where.group(1) if where else sighting.site,
    )
