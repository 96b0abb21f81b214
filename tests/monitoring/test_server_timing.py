"""Server-Timing: who gets it, what stands in it, and that asking who it is for adds no statement."""

from __future__ import annotations

import re
from typing import Any

import django
import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client, RequestFactory, override_settings

from perfsuite.metrics.request import Tally
from perfsuite.monitoring import RequestMetricsMiddleware
from perfsuite.monitoring.server_timing import add_server_timing
from tests.recorded import Recorded

pytestmark = [pytest.mark.urls("tests.monitoring.views"), pytest.mark.django_db]
OURS = r'total;dur=\d+\.\d, db;dur=\d+\.\d;desc="(\d+) queries"'
# What reading the session and the user costs a view that does so.
SESSION_AND_USER = 2
needs_auser = pytest.mark.skipif(django.VERSION < (5, 0), reason="request.auser came with Django 5.0")


@pytest.fixture
def boss(db: None) -> User:
    return User.objects.create_superuser("boss")


@pytest.fixture
def visitor(db: None) -> User:
    return User.objects.create_user("visitor")


def logged_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_with_debug_on_everyone_gets_it(recorded: Recorded) -> None:
    with override_settings(DEBUG=True):
        match = re.fullmatch(OURS, Client().get("/queries/3/")["Server-Timing"])

    assert match
    assert match[1] == "3"


def test_an_anonymous_visitor_does_not_get_it(recorded: Recorded, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        assert not Client().get("/zero/").has_header("Server-Timing")
        assert not Client().get("/whoami/").has_header("Server-Timing")


def test_a_staff_user_whom_the_view_has_loaded_gets_it_and_no_statement_is_added(
    recorded: Recorded, boss: User, django_assert_num_queries: Any
) -> None:
    client = logged_in(boss)
    with django_assert_num_queries(SESSION_AND_USER):
        response = client.get("/staff-check/")

    assert response.content == b"True"
    assert re.fullmatch(OURS, response["Server-Timing"])[1] == str(SESSION_AND_USER)  # type: ignore[index]


def test_a_staff_user_whom_the_view_has_not_loaded_does_not_get_it_and_is_not_loaded(
    recorded: Recorded, boss: User, django_assert_num_queries: Any
) -> None:
    client = logged_in(boss)
    with django_assert_num_queries(0):
        response = client.get("/zero/")

    assert not response.has_header("Server-Timing")


@pytest.mark.parametrize("change", [{}, {"is_active": False, "is_staff": True}])
def test_who_is_not_active_staff_does_not_get_it(
    recorded: Recorded, visitor: User, change: dict[str, bool]
) -> None:
    def view(request: HttpRequest) -> HttpResponse:
        request.user = visitor
        return HttpResponse()

    for name, value in change.items():
        setattr(visitor, name, value)

    response = RequestMetricsMiddleware(view)(RequestFactory().get("/"))
    assert not response.has_header("Server-Timing")  # type: ignore[union-attr]


def test_the_staff_user_of_a_login_gets_it(recorded: Recorded, boss: User) -> None:
    def view(request: HttpRequest) -> HttpResponse:
        request.user = boss
        return HttpResponse()

    response = RequestMetricsMiddleware(view)(RequestFactory().get("/"))
    assert response.has_header("Server-Timing")  # type: ignore[union-attr]


@needs_auser
def test_a_staff_user_whom_an_async_view_has_loaded_gets_it(recorded: Recorded, boss: User) -> None:
    async def ask() -> Any:
        client = AsyncClient()
        await client.aforce_login(boss)
        return await client.get("/async/staff-check/")

    response = async_to_sync(ask)()
    assert response.content == b"True"
    assert re.fullmatch(OURS, response["Server-Timing"])


@pytest.mark.parametrize(("path", "statements"), [("/deferred-user/", 1), ("/costly-user/", 0)])
def test_a_user_who_would_have_to_ask_the_database_is_not_asked(
    recorded: Recorded, boss: User, django_assert_num_queries: Any, path: str, statements: int
) -> None:
    with django_assert_num_queries(statements):
        response = Client().get(path)

    assert not response.has_header("Server-Timing")


def test_it_is_added_to_what_the_view_has_put_there(recorded: Recorded) -> None:
    with override_settings(DEBUG=True):
        header = Client().get("/own-header/")["Server-Timing"]

    assert re.fullmatch("render;dur=1.5, " + OURS, header)


def test_a_stream_an_error_and_an_unknown_page_carry_it_too(recorded: Recorded) -> None:
    client = Client(raise_request_exception=False)
    with override_settings(DEBUG=True):
        for path in ("/stream/1/", "/error/", "/nowhere/", "/file/"):
            assert re.fullmatch(OURS, client.get(path)["Server-Timing"]), path


def test_the_option_switches_it_off(recorded: Recorded, boss: User) -> None:
    with override_settings(DEBUG=True, PERFSUITE={"MONITORING": {"SERVER_TIMING": False}}):
        assert not logged_in(boss).get("/staff-check/").has_header("Server-Timing")


def test_a_tally_without_a_request_adds_nothing(recorded: Recorded) -> None:
    response = HttpResponse()
    with override_settings(DEBUG=True):
        add_server_timing(response, Tally(), 1.0)

    assert not response.has_header("Server-Timing")


@pytest.mark.parametrize(
    ("aliases", "names"),
    [
        (["default"], []),
        (["default", "default"], []),
        (["other", "default", "other"], ["db-default 1", "db-other 2"]),
        (["a b", "a;b", "é"], ["db-_ 1", "db-a_b 1", "db-a_b-2 1"]),
        (["a,b", "a\r\nX: y"], ["db-a__X:_y".replace(":", "_") + " 1", "db-a_b 1"]),
    ],
)
def test_each_database_has_an_entry_with_a_safe_name_if_there_are_several(
    aliases: list[str], names: list[str]
) -> None:
    tally = Tally(RequestFactory().get("/"))
    tally.held.extend(("SELECT 1", alias, 0.002, False) for alias in aliases)
    response = HttpResponse()
    with override_settings(DEBUG=True):
        add_server_timing(response, tally, 0.5)
    first, second, *rest = response["Server-Timing"].split(", ")
    assert (first, second.split(";")[0]) == ("total;dur=500.0", "db")
    found = [re.fullmatch(r'([^;]+);dur=\d+\.\d;desc="(\d+) queries"', each) for each in rest]
    assert sorted(f"{each[1]} {each[2]}" for each in found if each) == sorted(names)
    assert all(found)


def test_once_statements_are_folded_there_is_only_the_total() -> None:
    tally = Tally(RequestFactory().get("/"))
    tally.held.extend(("SELECT 1", alias, 0.002, False) for alias in ("default", "other"))
    tally.take_held()
    tally.held.extend(("SELECT 1", alias, 0.002, False) for alias in ("default", "other"))
    response = HttpResponse()
    with override_settings(DEBUG=True):
        add_server_timing(response, tally, 0.5)
    assert response["Server-Timing"] == 'total;dur=500.0, db;dur=8.0;desc="4 queries"'
