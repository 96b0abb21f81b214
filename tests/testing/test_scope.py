"""``assert_tenant_scoped``: judges in its block alone, and all statements of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.test import Client, TestCase, override_settings

from perfsuite.metrics import sightings
from perfsuite.queries.tenant_guard.guard import in_force
from perfsuite.queries.tenant_guard.state import collecting
from perfsuite.tenancy import across_tenants, tenant
from perfsuite.testing import QueryAssertions
from perfsuite.testing import assert_tenant_scoped as tenant_scoped
from tests.recorded import Recorded
from tests.testapp.models import Author, Book
from tests.testing.work import LINE, failure, make_books, names_of_authors

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.testing.work")]

OWNED = {"TENANT_OWNED": {"testapp.Book": "author"}}
MODES = {
    "observe": {"QUERIES": OWNED},
    "raise": {"QUERIES": {**OWNED, "TENANT_GUARD": "raise"}},
    "off": {"QUERIES": {**OWNED, "TENANT_GUARD": "off"}},
    "METRICS off": {"QUERIES": OWNED, "METRICS": {"ENABLED": False}},
}


@pytest.fixture(params=MODES)
def _declared(request: pytest.FixtureRequest) -> Iterator[None]:
    """Declare books to belong to their authors, in each mode of the guard."""
    with override_settings(PERFSUITE=MODES[request.param]):
        yield


@pytest.fixture
def _observing() -> Iterator[None]:
    with override_settings(PERFSUITE=MODES["observe"]):
        yield


@pytest.mark.usefixtures("_declared")
@pytest.mark.parametrize("place", ["plain code", "a request"])
def test_what_reaches_all_tenants_fails_with_its_line_and_what_to_do_in(place: str) -> None:
    make_books(2)
    before = in_force.state

    def work() -> None:
        names_of_authors() if place == "plain code" else Client().get("/listing/")
        Author.objects.count()

    said = failure(scoped := tenant_scoped(), work)
    assert scoped.count == 4
    assert said.startswith("One statement reaches the rows of tenants without their tenant.\n")
    assert f"at {LINE} in names_of_authors" in said
    assert "reaches 'testapp_book' without its tenant column 'author_id'; filter by the tenant" in said
    assert "testapp_author" not in said.replace("tests/testing", "")
    assert in_force.state is None if before is None else in_force.state.mode == before.mode
    assert collecting.collect is None
    list(Book.objects.filter(author=Author.objects.first()))


@pytest.mark.usefixtures("_observing")
def test_what_says_whose_rows_it_means_passes() -> None:
    make_books(2)
    author = Author.objects.first()
    with tenant_scoped():
        assert list(Book.objects.filter(author=author))
        with across_tenants("a report on all"):
            assert Book.objects.count() == 2
        for book in Book.objects.filter(author=author):
            book.save()


@pytest.mark.usefixtures("_observing")
def test_what_runs_for_no_tenant_passes_if_asked_for() -> None:
    with tenant_scoped(always=False):
        Book.objects.count()
    with pytest.raises(AssertionError, match="One statement reaches"), tenant_scoped(always=False), tenant(1):
        Book.objects.count()


@pytest.mark.usefixtures("_observing")
def test_a_block_in_a_block_tells_the_outer_one_too() -> None:
    def work() -> None:
        assert failure(tenant_scoped(), Book.objects.count).startswith("One statement reaches")
        Book.objects.count()

    assert failure(tenant_scoped(), work).startswith("2 statements reach")


@pytest.mark.usefixtures("_observing")
def test_settings_that_change_in_a_block_leave_it_on() -> None:
    def work() -> None:
        with override_settings(PERFSUITE={"QUERIES": {**OWNED, "SLOW_QUERY_MS": 5}}):
            Book.objects.count()
        Book.objects.count()

    assert failure(tenant_scoped(), work).startswith("2 statements reach")


@pytest.mark.usefixtures("_observing")
def test_a_block_makes_no_finding(recorded: Recorded) -> None:
    with pytest.raises(AssertionError), tenant_scoped():
        Client().get("/listing/")
    assert recorded.count("queries.unscoped") == 0
    assert [row for row in sightings._sightings.take("test") if '"tenant"' in row.about] == []


def test_where_nothing_is_declared_nothing_can_pass() -> None:
    before = list(connection.execute_wrappers)
    with pytest.raises(
        ImproperlyConfigured, match="No table is declared to belong to tenants; name some in PERFSUITE"
    ):
        tenant_scoped().__enter__()
    assert collecting.collect is None
    assert connection.execute_wrappers == before


@pytest.mark.usefixtures("_observing")
def test_the_fixture_is_the_block(assert_tenant_scoped: Any) -> None:
    with pytest.raises(AssertionError, match="One statement reaches"), assert_tenant_scoped():
        Book.objects.count()
    with assert_tenant_scoped(always=False):
        Book.objects.count()


@override_settings(PERFSUITE=MODES["observe"])
class Methods(QueryAssertions, TestCase):
    def test_the_method_fails_as_the_block_does(self) -> None:
        with pytest.raises(AssertionError, match="One statement reaches"), self.assert_tenant_scoped():
            Book.objects.count()
        with self.assert_tenant_scoped(always=False):
            Book.objects.count()
