"""A finding from its first sighting to its end: the advice is followed, it resolves itself, and comes back with the fault."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from perfsuite.metrics import compaction, flush, merging
from perfsuite.metrics.findings import FindingRow, findings
from perfsuite.metrics.flusher import flusher
from perfsuite.metrics.lifecycle import MIN_RUNS, QUIET_S
from perfsuite.monitoring import RequestMetricsMiddleware
from tests.metrics.conftest import Clock
from tests.queries.corpus.answers import texts
from tests.queries.corpus.models import Book, seed
from tests.recorded import Recorded

pytestmark = [pytest.mark.by_store, pytest.mark.django_db(databases="__all__")]

MODULES = ("sightings", "flusher", "compaction", "query", "findings", "merging")
View = Callable[[HttpRequest], HttpResponse]


def slow_books(request: HttpRequest) -> HttpResponse:
    return texts(f"{book.title} by {book.author.name}" for book in Book.objects.order_by("title"))


def fixed_books(request: HttpRequest) -> HttpResponse:
    """List the same, as the advice says."""
    books = Book.objects.select_related("author").order_by("title")
    return texts(f"{book.title} by {book.author.name}" for book in books)


class Site:
    """A process that serves pages and flushes, and leads, on a clock of its own."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        clock.epoch -= clock.epoch % 60

    def serve(self, view: View, times: int) -> None:
        """Answer so many requests, flush, let a minute go by, and do what the leader does."""
        flusher._reset()
        for _ in range(times):
            RequestMetricsMiddleware(view)(RequestFactory().get("/books/"))
        assert flush()
        self.clock.move(60)
        self.lead()

    def wait(self, seconds: int) -> None:
        """Let time go by, and have all that was served before merged."""
        self.clock.move(seconds)
        self.lead()

    def lead(self) -> None:
        compaction.compact(checkpoint=lambda: None)
        merging.merge(checkpoint=lambda: None)


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch, recorded: Recorded) -> Site:
    return Site(Clock(monkeypatch, *(f"perfsuite.metrics.{module}" for module in MODULES)))


def told() -> list[FindingRow]:
    return [row for row in findings() if row.kind == "n_plus_one"]


def state() -> tuple[str, int]:
    (row,) = told()
    return row.state, row.regressions


def test_a_finding_resolves_itself_when_its_advice_is_followed_and_opens_again_with_the_fault(
    site: Site,
) -> None:
    seed()

    site.serve(slow_books, MIN_RUNS)
    (found,) = told()
    last = found.evidence["last"]
    assert (found.state, last["about"], last["advice"]) == (
        "open",
        "corpus.Book.author",
        'select_related("author")',
    )
    assert found.site.startswith("tests/queries/test_lifecycle.py:")

    assert slow_books(HttpRequest()).content == fixed_books(HttpRequest()).content
    site.serve(fixed_books, MIN_RUNS - 1)
    site.wait(QUIET_S)
    assert state() == ("open", 0), "too few requests have shown it"
    site.serve(fixed_books, MIN_RUNS)
    site.serve(fixed_books, 1)
    site.wait(QUIET_S)
    assert state() == ("resolved", 0)

    site.serve(slow_books, 1)
    assert state() == ("open", 1)
    assert told()[0].reopened
