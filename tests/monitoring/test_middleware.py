"""The middleware, one request at a time: what is recorded of it, under which route, and that it is recorded once."""

from __future__ import annotations

import logging
import time
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.core.cache import caches
from django.core.cache.backends.locmem import LocMemCache
from django.core.exceptions import MiddlewareNotUsed
from django.db import connection
from django.http import HttpRequest, HttpResponse, HttpResponsePermanentRedirect
from django.test import AsyncClient, Client, RequestFactory, override_settings

from perfsuite import conf
from perfsuite.metrics import request as tally_of_request
from perfsuite.monitoring import RequestMetricsMiddleware, kinds
from tests.recorded import Recorded

pytestmark = pytest.mark.urls("tests.monitoring.views")
OFF = {"METRICS": {"ENABLED": False}}
LOCMEM = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}


def get(path: str, **headers: str) -> Any:
    return Client(raise_request_exception=False).get(path, **headers)


def async_get(path: str) -> Any:
    return async_to_sync(AsyncClient(raise_request_exception=False).get)(path)


ROUTES = [
    # path, route, method, status, code
    ("/zero/", "/zero/", "2xx", 200),
    ("/", "/", "2xx", 200),
    ("/pages/some-page/", "/pages/<slug:slug>/", "2xx", 200),
    ("/archive/abc/", "/^archive/(?P<slug>[a-z]{2,})/$", "2xx", 200),
    ("/nested/2024/some-page/", "/nested/<int:year>/<slug:slug>/", "2xx", 200),
    ("/redirect/", "/redirect/", "3xx", 302),
    ("/missing/", "/missing/", "4xx", 404),
    ("/forbidden/", "/forbidden/", "4xx", 403),
    ("/methods/", "/methods/", "2xx", 200),
    ("/nowhere/secret-path/", "<not found>", "4xx", 404),
    ("/zero", "<middleware>", "3xx", 301),
    ("/error/", "/error/", "5xx", 500),
    ("/odd-status/", "/odd-status/", "<other>", 799),
]


@pytest.mark.parametrize(("path", "route", "status", "code"), ROUTES)
def test_a_request_is_recorded_once_under_its_pattern_and_never_under_its_path(
    recorded: Recorded, path: str, route: str, status: str, code: int
) -> None:
    response = get(path)

    assert response.status_code == code
    assert recorded.requests() == {(route, "GET", status): 1}
    assert recorded.labels(kinds.STATUS) == {(status,)}
    assert recorded.count(kinds.STATUS) == 1
    for kind in (kinds.QUERIES, kinds.DB, kinds.BYTES_IN, kinds.BYTES_OUT):
        assert recorded.labels(kind) == {(route,)}
        assert recorded.count(kind) == 1
    assert recorded.count("self.request") == 1
    assert recorded.count("self.failures") == 0


@pytest.mark.parametrize(
    ("path", "route", "status"),
    [
        ("/async/zero/", "/async/zero/", "2xx"),
        ("/async/error/", "/async/error/", "5xx"),
        ("/zero/", "/zero/", "2xx"),
        ("/nowhere/", "<not found>", "4xx"),
    ],
)
def test_under_asgi_a_request_is_recorded_once_as_well(
    recorded: Recorded, path: str, route: str, status: str
) -> None:
    async_get(path)

    assert recorded.requests() == {(route, "GET", status): 1}
    assert recorded.count(kinds.STATUS) == 1


@pytest.mark.django_db
def test_the_statements_of_a_view_and_their_time_are_counted(recorded: Recorded) -> None:
    get("/queries/7/")

    assert recorded.sum(kinds.QUERIES, "/queries/<int:n>/") == 7
    assert recorded.sum(kinds.DB, "/queries/<int:n>/") > 0
    assert recorded.sum(kinds.DB, "/queries/<int:n>/") <= recorded.sum(kinds.STATUS, "2xx")


@pytest.mark.django_db
def test_the_statements_of_an_async_view_are_counted_whichever_task_runs_them(recorded: Recorded) -> None:
    async_get("/async/gathered/")
    async_get("/async/queries/3/")

    assert recorded.sum(kinds.QUERIES, "/async/gathered/") == 4
    assert recorded.sum(kinds.QUERIES, "/async/queries/<int:n>/") == 3


@pytest.mark.django_db
def test_a_request_adds_no_statement_to_the_hosts_database(
    recorded: Recorded, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(0):
        get("/zero/")
    with django_assert_num_queries(5):
        get("/queries/5/")


def test_the_time_recorded_is_the_time_the_view_took(recorded: Recorded) -> None:
    get("/sleep/30/")

    assert 30_000 <= recorded.sum(kinds.STATUS, "2xx") < 2_000_000


class SlowCache(LocMemCache):
    """A cache that answers after a while, as one on another host may."""

    def get(self, *args: Any, **kwargs: Any) -> Any:
        time.sleep(CACHE_S)
        return super().get(*args, **kwargs)


# They differ, so that none can stand in another's place.
DATABASE_S, CACHE_S, PYTHON_S = 0.03, 0.015, 0.045


def wait_in_the_database() -> None:
    """Have a statement take ``DATABASE_S``."""
    connection.ensure_connection()
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            connection.connection.create_function("nap", 1, time.sleep)
            cursor.execute("SELECT nap(%s)", [DATABASE_S])
        else:
            cursor.execute("SELECT pg_sleep(%s)", [DATABASE_S])


@pytest.mark.relational
@pytest.mark.django_db
def test_the_time_of_a_request_divides_into_sql_cache_and_python(recorded: Recorded) -> None:
    def view(request: HttpRequest) -> HttpResponse:
        wait_in_the_database()
        caches["slow"].get("key")
        # What the computation of a cached value takes is the view's own time, and no cache's.
        caches["slow"].get_or_set(request.path, lambda: time.sleep(PYTHON_S))
        return HttpResponse()

    with override_settings(
        CACHES={"default": LOCMEM, "slow": {**LOCMEM, "BACKEND": f"{__name__}.SlowCache"}}
    ):
        for path in ("/a/", "/b/"):
            RequestMetricsMiddleware(view)(RequestFactory().get(path))

    parts = {
        part: recorded.sum(kinds.TIME, "<middleware>", part) / 1e6 for part in ("sql", "cache", "python")
    }
    assert recorded.labels(kinds.TIME) == {("<middleware>", part) for part in parts}
    assert parts["sql"] == pytest.approx(recorded.sum(kinds.DB) / 1e6)
    assert parts["sql"] >= 2 * DATABASE_S
    assert parts["cache"] >= 2 * 2 * CACHE_S
    assert parts["python"] >= 2 * PYTHON_S
    assert sum(parts.values()) == pytest.approx(recorded.sum(kinds.STATUS, "2xx") / 1e6)


@pytest.mark.skipif(
    connection.vendor not in ("mongodb", "djongo"), reason="a request's commands need MongoDB"
)
@pytest.mark.django_db
def test_the_time_of_commands_is_that_of_mongodb(recorded: Recorded) -> None:
    get("/queries/3/")

    route = "/queries/<int:n>/"
    assert recorded.labels(kinds.TIME) == {(route, "mongodb"), (route, "python")}
    assert recorded.sum(kinds.TIME, route, "mongodb") == pytest.approx(recorded.sum(kinds.DB, route))
    assert recorded.sum(kinds.TIME, route, "mongodb") > 0
    assert recorded.sum(kinds.TIME) == pytest.approx(recorded.sum(kinds.STATUS, "2xx"))


def test_payload_sizes_are_those_of_the_bodies(recorded: Recorded) -> None:
    Client().post("/echo/", data=b"x" * 1234, content_type="application/octet-stream")

    assert recorded.sum(kinds.BYTES_IN, "/echo/") == 1234
    assert recorded.sum(kinds.BYTES_OUT, "/echo/") == 1234
    assert recorded.requests() == {("/echo/", "POST", "2xx"): 1}


@pytest.mark.parametrize(
    ("stated", "counted"),
    [
        ("", 0),
        ("17", 17),
        ("-5", 0),
        ("1e3", 0),
        ("seventeen", 0),
        ("9" * 15, 999_999_999_999_999),
        ("9" * 16, 0),
        ("9" * 5000, 0),
    ],
)
def test_a_senseless_content_length_counts_as_nothing_and_breaks_nothing(
    recorded: Recorded, stated: str, counted: int
) -> None:
    request = RequestFactory().get("/zero/")
    request.META["CONTENT_LENGTH"] = stated
    RequestMetricsMiddleware(lambda request: HttpResponse("x"))(request)

    assert recorded.sum(kinds.BYTES_IN) == counted
    assert recorded.count(kinds.STATUS) == 1
    assert recorded.count("self.failures") == 0


def test_a_head_request_sends_no_body(recorded: Recorded) -> None:
    Client().head("/zero/")

    assert recorded.requests() == {("/zero/", "HEAD", "2xx"): 1}
    assert recorded.sum(kinds.BYTES_OUT, "/zero/") == 0


def test_an_invented_method_is_recorded_as_other(recorded: Recorded) -> None:
    for method in ("PUT", "BREW", "<SCRIPT>"):
        Client().generic(method, "/zero/")

    assert recorded.requests() == {("/zero/", "PUT", "2xx"): 1, ("/zero/", "<other>", "2xx"): 2}


def test_a_request_answered_by_another_middleware_is_recorded(recorded: Recorded) -> None:
    with override_settings(SECURE_SSL_REDIRECT=True):
        assert isinstance(Client().get("/zero/"), HttpResponsePermanentRedirect)

    assert recorded.requests() == {("<middleware>", "GET", "3xx"): 1}


@pytest.mark.alike
def test_three_thousand_paths_fold_into_their_patterns(recorded: Recorded) -> None:
    client = Client(raise_request_exception=False)
    for number in range(1_500):
        client.get(f"/pages/page-{number}/")
        client.get(f"/no/such/path/{number}/")

    assert recorded.requests() == {
        ("/pages/<slug:slug>/", "GET", "2xx"): 1_500,
        ("<not found>", "GET", "4xx"): 1_500,
    }


def test_discarded_requests_are_not_recorded(recorded: Recorded, db: None) -> None:
    get("/discarded/")

    assert recorded.requests() == {}
    assert recorded.count("queries") == 0


def test_an_exception_that_django_lets_through_is_recorded_as_500_and_goes_on(recorded: Recorded) -> None:
    with override_settings(DEBUG_PROPAGATE_EXCEPTIONS=True), pytest.raises(RuntimeError, match="alert"):
        Client().get("/error/")

    assert recorded.requests() == {("/error/", "GET", "5xx"): 1}


def test_an_exit_is_recorded_as_cancelled_and_goes_on(recorded: Recorded) -> None:
    with pytest.raises(SystemExit):
        Client().get("/system-exit/")

    assert recorded.labels(kinds.STATUS) == {("cancelled",)}
    assert recorded.requests() == {("/system-exit/", "GET", "cancelled"): 1}


def test_the_tally_is_gone_after_the_request_and_an_outer_one_is_back(recorded: Recorded) -> None:
    outer = tally_of_request.Tally()
    token = tally_of_request.current.set(outer)
    try:
        for path in ("/zero/", "/error/", "/stream/0/"):
            get(path)
            assert tally_of_request.current.get() is outer
        with pytest.raises(SystemExit):
            get("/system-exit/")
        assert tally_of_request.current.get() is outer
    finally:
        tally_of_request.current.reset(token)


@pytest.mark.django_db
def test_a_request_inside_a_request_counts_for_itself(recorded: Recorded) -> None:
    def view(request: HttpRequest) -> HttpResponse:
        get("/queries/2/")
        get("/queries/3/")
        return HttpResponse("outer")

    RequestMetricsMiddleware(view)(RequestFactory().get("/"))

    assert recorded.sum(kinds.QUERIES, "/queries/<int:n>/") == 5
    assert recorded.sum(kinds.QUERIES, "<middleware>") == 0
    assert recorded.count(kinds.STATUS) == 3


def test_with_a_sync_only_middleware_in_between_an_async_request_is_still_counted_exactly(
    recorded: Recorded, db: None, settings: Any
) -> None:
    class SyncOnly:
        sync_capable, async_capable = True, False

        def __init__(self, get_response: Any) -> None:
            self.get_response = get_response

        def __call__(self, request: HttpRequest) -> Any:
            return self.get_response(request)

    import tests.monitoring.views as module

    module.SyncOnly = SyncOnly  # type: ignore[attr-defined]
    try:
        settings.MIDDLEWARE = [settings.MIDDLEWARE[0], "tests.monitoring.views.SyncOnly"]
        async_get("/async/queries/3/")
    finally:
        del module.SyncOnly  # type: ignore[attr-defined]

    assert recorded.sum(kinds.QUERIES, "/async/queries/<int:n>/") == 3
    assert recorded.count(kinds.STATUS) == 1


def test_off_by_the_setting_the_middleware_is_not_used(recorded: Recorded) -> None:
    with override_settings(PERFSUITE=OFF):
        with pytest.raises(MiddlewareNotUsed):
            RequestMetricsMiddleware(lambda request: HttpResponse())
        assert get("/zero/").status_code == 200

    assert recorded.requests() == {}


def test_off_by_the_environment_the_middleware_is_not_used(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENABLE_PERFORMANCE_MONITORING", "false")
    conf.reset()
    try:
        assert get("/zero/").status_code == 200
        assert recorded.requests() == {}
    finally:
        monkeypatch.undo()
        conf.reset()


def test_the_logger_performance_shows_each_request_at_debug_without_path_or_person(
    recorded: Recorded, caplog: pytest.LogCaptureFixture, db: None
) -> None:
    caplog.set_level(logging.DEBUG, logger="performance")
    get("/pages/mary-smith/?email=mary@example.org")
    get("/queries/2/")
    with pytest.raises(SystemExit):
        get("/system-exit/")

    lines = [line.getMessage() for line in caplog.records if line.name == "performance"]
    assert len(lines) == 3
    assert lines[0].startswith("GET /pages/<slug:slug>/ 200 ")
    assert lines[0].endswith(" ms, 0 queries 0.0 ms, 7 bytes")
    assert " ms, 2 queries " in lines[1]
    assert " cancelled " in lines[2]
    assert "mary" not in caplog.text


def test_above_debug_the_logger_performance_is_silent(
    recorded: Recorded, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="performance")
    get("/zero/")

    assert not [line for line in caplog.records if line.name == "performance"]
