"""The fixtures of this folder: what is recorded, what is seen, and the guard with books that belong to authors."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory, override_settings

from perfsuite.metrics import sightings
from perfsuite.monitoring import RequestMetricsMiddleware
from perfsuite.queries.tenant_guard import reports
from tests.recorded import Recorded, recorded

__all__ = ["recorded"]

Seen = dict[str, Any]


@pytest.fixture
def seen(recorded: Recorded) -> Iterator[Callable[[], list[Seen]]]:
    """Return a function that returns the sightings of the tenant guard since it was last called."""

    def take() -> list[Seen]:
        recorded.count("queries")  # works out the requests that have been put aside
        taken = []
        for row in sightings._sightings.take("test"):
            kind, subject, alias, route, site = json.loads(row.about)
            if kind == "tenant":
                evidence = json.loads(row.evidence)
                taken.append(
                    {
                        "subject": subject,
                        "alias": alias,
                        "route": route,
                        "site": site,
                        "count": row.count,
                        **evidence,
                    }
                )
        return taken

    take()
    reports._logged_at.clear()
    yield take
    take()


@pytest.fixture
def guarding() -> Iterator[Callable[..., None]]:
    """Return a function that puts the guard on, in a mode and with other options."""
    held: list[override_settings] = []

    def guard(mode: str = "observe", **options: Any) -> None:
        queries = {"TENANT_OWNED": {"testapp.Book": "author"}, "TENANT_GUARD": mode, **options}
        held.append(override_settings(PERFSUITE={"QUERIES": queries}))
        held[-1].enable()

    yield guard
    while held:
        held.pop().disable()


def in_a_request(work: Callable[[], object]) -> None:
    """Run ``work`` as a view does."""

    def view(request: HttpRequest) -> HttpResponse:
        work()
        return HttpResponse()

    RequestMetricsMiddleware(view)(RequestFactory().get("/"))
