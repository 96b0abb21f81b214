"""The corpus of views with a known answer: each gives the findings that it must give, and no other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory, override_settings

from perfsuite.metrics.recorder import recorder
from perfsuite.metrics.sightings import Sighting
from perfsuite.monitoring import RequestMetricsMiddleware
from perfsuite.queries import connecting, loading, statements
from tests.queries.corpus_rows.models import Article, Topic
from tests.queries.corpus_rows.views import (
    ARTICLES,
    CASES,
    CLOCK,
    COUNT,
    KEPT,
    LIMITS,
    LONG,
    ON_MONGODB,
    TOPICS,
    UNBOUNDED,
    WIDE,
    Case,
)
from tests.recorded import Recorded

# Through djongo it is the same listener that counts the documents.
pytestmark = pytest.mark.by_store
IS_MONGODB = connection.vendor in ("djongo", "mongodb")
OURS = (UNBOUNDED, COUNT, WIDE, LONG)
IN_TRANSACTION = [
    case
    for case in (ON_MONGODB if IS_MONGODB else CASES)
    if LONG not in case.findings and "transaction" not in case.name and "commit" not in case.name
]
IN_AUTOCOMMIT = [] if IS_MONGODB else [case for case in CASES if case not in IN_TRANSACTION]


@pytest.fixture(autouse=True)
def options() -> Iterator[None]:
    with override_settings(PERFSUITE={"QUERIES": LIMITS}):
        yield
    KEPT.clear()


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connecting, "perf_counter", CLOCK)


def found_by(case: Case, monkeypatch: pytest.MonkeyPatch) -> list[Sighting]:
    """Serve a case as a view and return what was sighted."""
    seen: list[Sighting] = []
    for module in (statements, loading):
        monkeypatch.setattr(module, "sight", seen.append)

    def view(request: HttpRequest) -> HttpResponse:
        case.view()
        return HttpResponse()

    RequestMetricsMiddleware(view)(RequestFactory().get("/"))
    recorder.take()
    return [each for each in seen if each.kind in OURS]


def fill() -> None:
    topics = Topic.objects.bulk_create([Topic(name=f"topic {n}") for n in range(TOPICS)])
    Article.objects.bulk_create(
        [
            Article(topic=topics[n % TOPICS], number=n, title=f"article {n}", body="word " * 800)
            for n in range(ARTICLES)
        ]
    )


def judge(case: Case, recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    fill()
    found = found_by(case, monkeypatch)
    assert {each.kind for each in found} == case.findings, found
    assert len({(each.kind, each.subject, each.site) for each in found}) == len(found)
    assert all(case.subject in each.subject for each in found)
    assert all(f"in {case.name}" in each.site or each.site.endswith("in work") for each in found), found
    assert all(each.saving_us > 0 for each in found)
    for each in found:
        assert each.evidence["request_id"]
        assert each.evidence["about"]
        assert each.evidence["advice"]
        assert each.evidence["sentence"].endswith(".")
    assert recorded.count("self.failures") == 0


@pytest.mark.django_db
@pytest.mark.parametrize("case", IN_TRANSACTION, ids=lambda case: case.name)
def test_a_view_gives_its_findings_and_no_other(
    case: Case, recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge(case, recorded, monkeypatch)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("case", IN_AUTOCOMMIT, ids=lambda case: case.name)
def test_a_view_with_a_transaction_of_its_own_gives_its_findings_and_no_other(
    case: Case, recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge(case, recorded, monkeypatch)
