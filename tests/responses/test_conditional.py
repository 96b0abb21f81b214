"""Conditional requests: 304 from a hit, validation of what is stale, stale-while-revalidate and stale-if-error."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from django.core.signals import request_finished
from django.http import HttpResponse, HttpResponseNotModified
from django.views.decorators.http import condition

from perfsuite.responses import cache_response
from tests.recorded import Recorded
from tests.responses.asking import CONDITIONAL
from tests.responses.conftest import CACHES
from tests.responses.site import OURS, text

DATE = "Mon, 01 Jan 2024 00:00:00 GMT"
AGING = ("Age", "Cache-Status")


@pytest.mark.parametrize("length", [10, 200_000])
@pytest.mark.parametrize("cache", CACHES.values(), ids=CACHES)
def test_a_client_that_has_the_page_gets_a_304_without_the_view(
    make_site: Any, cache: Any, length: int
) -> None:
    site = make_site({"p/": lambda request: text("x" * length, Last_Modified=DATE)}, cache=cache)
    tag = site.get("/p/")["ETag"]

    for headers in (
        {"if_none_match": tag},
        {"if_none_match": f'"other", W/{tag}'},
        {"if_none_match": "*"},
        {"if_modified_since": DATE},
    ):
        for ask in (site.get, site.head):
            answer = ask("/p/", **headers)
            assert (answer.status_code, answer.body) == (304, b""), headers
            assert answer["ETag"] == tag
            assert answer["Cache-Control"] == "max-age=60"
            assert not answer.has_header("Content-Length")
    for headers in (
        {"if_none_match": '"other"'},
        {"if_none_match": '"other"', "if_modified_since": DATE},
        {"if_modified_since": "Sun, 31 Dec 2023 00:00:00 GMT"},
        {"if_modified_since": "nonsense"},
    ):
        assert site.get("/p/", **headers).status_code == 200
    assert len(site.runs) == 1


def test_conditions_on_what_is_not_stored_go_to_the_view_as_they_are(make_site: Any) -> None:
    seen: list[str | None] = []

    def view(request: Any) -> HttpResponse:
        seen.append(request.headers.get("If-None-Match"))
        return HttpResponseNotModified()

    site = make_site({"p/": view})

    assert site.get("/p/", if_none_match='"a"').status_code == 304
    assert seen == ['"a"']


@pytest.mark.parametrize("middleware", [(OURS, CONDITIONAL), (CONDITIONAL, OURS)], ids=["inside", "outside"])
def test_djangos_conditional_get_answers_for_what_is_not_stored(make_site: Any, middleware: Any) -> None:
    views = {
        "stored/": lambda request: text("stored"),
        "not/": lambda request: text("not", "private"),
        "stale/": lambda request: text("stale", "no-cache"),
    }
    site = make_site(views, middleware=middleware)
    for url, runs in (("/stored/", 1), ("/not/", 4), ("/stale/", 4)):
        first, second = site.get(url), site.get(url)
        assert first["ETag"] == second["ETag"]
        answer = site.get(url, if_none_match=first["ETag"])
        assert (answer.status_code, answer.body) == (304, b"")
        assert site.get(url, if_none_match='"other"').body == first.body
        assert site.runs.count(url) == runs


def test_a_client_gets_a_304_from_the_answer_that_was_just_made(make_site: Any) -> None:
    site = make_site({"p/": lambda request: text(ETag='"a"')})
    ends: list[object] = []

    def end(**kwargs: object) -> None:
        ends.append(kwargs["sender"])

    request_finished.connect(end)
    answer = site.get("/p/", if_none_match='"a"')
    request_finished.disconnect(end)

    assert (answer.status_code, answer.body) == (304, b"")
    assert len(ends) == 1, "the response that is not sent ends no request"
    assert site.get("/p/").body == b"hello"
    assert len(site.runs) == 1


def test_what_is_stale_is_validated_and_the_body_comes_from_the_store(make_site: Any) -> None:
    asked: list[Any] = []

    @condition(etag_func=lambda request: '"v1"')
    def made(request: Any) -> HttpResponse:
        asked.append("made")
        return text("x" * 50_000, "no-cache")

    def view(request: Any) -> HttpResponse:
        asked.append(request.headers.get("If-None-Match"))
        response = made(request)
        response["Cache-Control"] = "no-cache"
        return response  # type: ignore[no-any-return]

    site = make_site({"p/": view})

    first = site.get("/p/")
    second = site.get("/p/", if_none_match='"something else"')
    third = site.get("/p/", if_none_match='"v1"')

    assert first.body == second.body == b"x" * 50_000
    assert (third.status_code, third.body) == (304, b"")
    assert asked == [None, "made", '"v1"', '"v1"']
    assert second["Cache-Status"] == "perfsuite; fwd=stale; fwd-status=304"


def test_a_new_answer_to_a_validation_takes_the_place_of_the_old(make_site: Any) -> None:
    version = [1]

    def view(request: Any) -> HttpResponse:
        return text(str(version[0]), "max-age=0", ETag=f'"{version[0]}"')

    site = make_site({"p/": view})
    site.get("/p/")
    version[0] = 2

    assert site.get("/p/").body == b"2"
    assert site.get("/p/", if_none_match='"2"').status_code == 304


def test_a_304_about_another_version_makes_the_view_run_once_more(make_site: Any) -> None:
    def view(request: Any) -> HttpResponse:
        if request.headers.get("If-None-Match"):
            response = HttpResponseNotModified()
            response["ETag"] = '"other"'
            return response
        return text("whole", "no-cache", ETag='"mine"')

    site = make_site({"p/": view})
    site.get("/p/")

    assert site.get("/p/").body == b"whole"


def _wait_until(condition: Any) -> None:
    until = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.01)


def test_a_stale_page_is_served_at_once_while_one_refresh_makes_it_anew(kind: str, make_site: Any) -> None:
    if kind == "async":
        pytest.skip("tested in one event loop below")
    version, going = [1], threading.Event()
    going.set()

    def view(request: Any) -> HttpResponse:
        going.wait(10)
        return text(str(version[0]), "max-age=1, stale-while-revalidate=60", Date="")

    site = make_site({"p/": _aged(view)})
    assert site.get("/p/").body == b"1"
    version[0] = 2
    going.clear()

    answers = [site.get("/p/", cookie="a=1; sessionid=x") for _ in range(5)]
    assert [answer.body for answer in answers] == [b"1"] * 5
    assert int(answers[0]["Age"]) >= 5
    going.set()
    _wait_until(lambda: len(site.runs) >= 2)
    _wait_until(lambda: site.get("/p/").body == b"2")
    assert len(site.runs) <= 3


def test_what_is_served_while_the_refresh_is_under_way_says_the_same_and_counts_as_stale(
    kind: str, make_site: Any, recorded: Recorded
) -> None:
    if kind == "async":
        pytest.skip("tested in one event loop below")
    going = threading.Event()
    runs: list[int] = []

    def view(request: Any) -> HttpResponse:
        runs.append(1)
        if len(runs) == 2:
            going.wait(10)
        return text(str(len(runs)), "max-age=1, stale-while-revalidate=5")

    site = make_site({"p/": _aged(view)})
    try:
        assert site.get("/p/").body == b"1"
        first, *rest = [site.get("/p/") for _ in range(4)]
        _wait_until(lambda: len(runs) == 2)
        for answer in rest:
            assert answer.body == first.body == b"1"
            assert {name: value for name, value in answer.items() if name not in AGING} == {
                name: value for name, value in first.items() if name not in AGING
            }
            assert "; hit; ttl=-" in answer["Cache-Status"]
        assert recorded.count("responses.cache", "stale", "stale-while-revalidate") == 4
        # The page allows it for five seconds, and not for as long as the refresh takes.
        time.sleep(1.2)
        assert site.get("/p/").body == b"3"
    finally:
        going.set()


def _aged(view: Any) -> Any:
    """Return a view whose first response is five seconds old already."""
    is_first = [True]

    def aged(request: Any) -> HttpResponse:
        response = view(request)
        del response["Date"]
        if is_first[0]:
            is_first[0] = False
            response["Age"] = "5"
        return response  # type: ignore[no-any-return]

    return aged


def test_a_stale_page_is_refreshed_in_a_task_of_the_event_loop() -> None:
    import asyncio

    from tests.responses.site import ASYNC, serving

    version, first = [1], [True]

    async def view(request: Any) -> HttpResponse:
        response = text(str(version[0]), "max-age=1, stale-while-revalidate=60")
        if first[0]:
            first[0] = False
            response["Age"] = "5"
        return response

    async def main(site: Any) -> None:
        assert (await site.aask("get", "/p/")).body == b"1"
        version[0] = 2
        assert (await site.aask("get", "/p/")).body == b"1"
        for _ in range(500):
            if len(site.runs) == 2:
                break
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        assert (await site.aask("get", "/p/")).body == b"2"
        assert len(site.runs) == 2

    with serving(ASYNC, {"p/": view}) as site:
        asyncio.run(main(site))


@pytest.mark.parametrize("how", ["status", "exception"])
def test_a_stale_page_is_served_where_the_view_fails_and_the_page_allows_it(make_site: Any, how: str) -> None:
    fails = [False]

    def view(request: Any) -> HttpResponse:
        if fails[0] and how == "exception":
            raise RuntimeError("broken")
        response = text("good", "max-age=0, stale-if-error=60", ETag='"a"')
        if fails[0]:
            response.status_code = 503
            response.content = b"bad"
        return response

    site = make_site({"p/": view})
    site.get("/p/")
    fails[0] = True

    assert site.get("/p/").body == b"good"


def test_must_revalidate_is_never_served_stale(make_site: Any) -> None:
    fails = [False]

    def view(request: Any) -> HttpResponse:
        response = text("good", "max-age=0, must-revalidate, stale-if-error=60", ETag='"a"')
        response.status_code = 503 if fails[0] else 200
        return response

    site = make_site({"p/": view})
    site.get("/p/")
    fails[0] = True

    assert site.get("/p/").status_code == 503


def test_stale_for_is_the_decorators_word_for_both(make_site: Any) -> None:
    fails = [False]

    def view(request: Any) -> HttpResponse:
        response = text("good", None)
        response.status_code = 503 if fails[0] else 200
        if fails[0]:
            return response
        response["Age"] = "100"
        return response

    site = make_site({"p/": cache_response(10, stale_for=300)(view)})
    site.get("/p/")
    fails[0] = True

    assert site.get("/p/").body == b"good"
