"""One table of what is stored and what is not, the same under WSGI and ASGI and in each kind of cache."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.contrib.sessions.backends.cache import SessionStore
from django.http import HttpResponse, HttpResponseNotModified
from django.template.response import TemplateResponse
from django.utils.http import http_date

from perfsuite.metrics.recorder import recorder
from perfsuite.responses import cache_response
from tests.responses.conftest import CACHES
from tests.responses.site import COMMON, OURS, SESSIONS, Site, text

STORED = {
    "max-age": "max-age=60",
    "s-maxage": "max-age=0, s-maxage=60",
    "public": "public, max-age=60",
    "capitals": "Max-Age=60",
}
NOT_STORED = {
    "nothing": None,
    "no-store": "no-store, max-age=60",
    "private": "private, max-age=60",
    "Private": "Private, max-age=60",
    "zero": "max-age=0",
    "malformed": "max-age=abc",
}


@pytest.mark.parametrize("cache", CACHES.values(), ids=CACHES)
@pytest.mark.parametrize("control", STORED.values(), ids=STORED)
def test_what_may_be_stored_is_answered_again_without_the_view(
    make_site: Any, control: str, cache: Any
) -> None:
    site = make_site({"p/": lambda request: text("x" * 20_000, control)}, cache=cache)

    first, second = site.get("/p/"), site.get("/p/")

    assert site.runs == ["/p/"]
    assert first.body == second.body == b"x" * 20_000
    assert first["Cache-Status"] == "perfsuite; fwd=uri-miss; stored"
    assert second["Cache-Status"].startswith("perfsuite; hit; ttl=")
    assert second["Age"] == "0"
    assert second["Server-Timing"] == "cache;desc=hit"
    assert second["ETag"] == first["ETag"]
    assert second["Content-Type"] == "text/plain"


@pytest.mark.parametrize("control", NOT_STORED.values(), ids=NOT_STORED)
def test_what_may_not_be_stored_runs_its_view_each_time(make_site: Any, control: str | None) -> None:
    site = make_site({"p/": lambda request: text("x", control)})

    answers = [site.get("/p/") for _ in range(3)]

    assert len(site.runs) == 3
    assert [answer["Cache-Status"] for answer in answers] == ["perfsuite; fwd=uri-miss"] * 3
    assert not any(answer.has_header("Age") for answer in answers)


def test_a_large_body_is_kept_beside_its_page(make_site: Any) -> None:
    site = make_site({"p/": lambda request: text("y" * 100_000)})

    site.get("/p/")
    again = site.get("/p/")

    assert again.body == b"y" * 100_000
    assert len(site.runs) == 1


def test_a_body_above_the_limit_is_not_kept(make_site: Any) -> None:
    site = make_site({"p/": lambda request: text("y" * 1_001)}, options={"MAX_BODY_BYTES": 1_000})

    assert [len(site.get("/p/").body) for _ in range(2)] == [1_001, 1_001]
    assert len(site.runs) == 2


def test_hits_are_copies_that_others_may_change(make_site: Any) -> None:
    site = make_site({"p/": lambda request: text()})
    site.get("/p/")
    spoilt = site.get("/p/")
    spoilt["X-Mine"] = "1"
    spoilt.content = b"spoilt"

    clean = site.get("/p/")

    assert clean.body == b"hello"
    assert not clean.has_header("X-Mine")


def test_head_is_answered_from_get_and_never_stored(make_site: Any) -> None:
    site = make_site({"p/": lambda request: text()})

    site.head("/p/")
    assert len(site.runs) == 1
    site.get("/p/")
    assert len(site.runs) == 2
    answer = site.head("/p/")

    assert len(site.runs) == 2
    assert answer.body == b""
    assert answer["Content-Length"] == "5"


def test_hosts_schemes_paths_and_queries_are_different_pages(make_site: Any) -> None:
    def view(request: Any) -> HttpResponse:
        return text(request.build_absolute_uri())

    site = make_site({"p/": view, "p/q/": view}, ALLOWED_HOSTS=["a.test", "b.test", "a.test.b.test"])
    asked = [
        ("/p/", "a.test"),
        ("/p/", "b.test"),
        ("/p/", "a.test:81"),
        ("/p/q/", "a.test"),
        ("/p/?a=1", "a.test"),
        ("/p/?a=1&b=2", "a.test"),
        ("/p/?b=2&a=1", "a.test"),
    ]

    first = [site.get(url, host=host).body for url, host in asked]
    second = [site.get(url, host=host).body for url, host in asked]

    assert first == second
    assert len(set(first)) == len(asked) == len(site.runs)


def test_a_host_that_is_none_of_the_sites_is_refused_and_not_stored(make_site: Any) -> None:
    site = make_site({"p/": lambda request: text()}, middleware=(OURS, COMMON), ALLOWED_HOSTS=["a.test"])

    assert site.get("/p/", host="evil.test").status_code == 400
    assert site.get("/p/", host="a.test").status_code == 200
    assert site.get("/p/", host="evil.test").status_code == 400


@pytest.mark.parametrize(
    ("options", "runs"),
    [({"QUERY": "sorted"}, 2), ({"QUERY": "allowed", "QUERY_ALLOWED": ["a"]}, 1), ({}, 3)],
    ids=["sorted", "allowed", "as-is"],
)
def test_query_strings_count_as_the_site_says(make_site: Any, options: Any, runs: int) -> None:
    site = make_site({"p/": lambda request: text()}, options=options)

    for query in ("a=1&utm=2", "utm=2&a=1", "a=1&utm=3"):
        site.get(f"/p/?{query}")

    assert len(site.runs) == runs


def test_a_query_of_a_hundred_thousand_parameters_is_passed_on(make_site: Any) -> None:
    site = make_site(
        {"p/": lambda request: text()}, options={"QUERY": "sorted"}, DATA_UPLOAD_MAX_NUMBER_FIELDS=None
    )
    query = "&".join(f"a{i}=1" for i in range(100_000))

    assert [site.get(f"/p/?{query}").status_code for _ in range(2)] == [200, 200]
    assert len(site.runs) == 2


def test_vary_keeps_variants_apart_and_absent_is_not_empty(make_site: Any) -> None:
    def view(request: Any) -> HttpResponse:
        return text(repr(request.META.get("HTTP_X_SIDE")), Vary="X-Side")

    site = make_site({"p/": view})
    sides: list[dict[str, str]] = [{"x_side": "left"}, {"x_side": "right"}, {"x_side": ""}, {}]

    first = [site.get("/p/", **side).body for side in sides]
    second = [site.get("/p/", **side).body for side in sides]

    assert first == second == [b"'left'", b"'right'", b"''", b"None"]
    assert len(site.runs) == 4


def test_vary_star_is_never_stored(make_site: Any) -> None:
    site = make_site({"p/": lambda request: text(Vary="Accept, *")})

    for _ in range(2):
        site.get("/p/")

    assert len(site.runs) == 2


def test_ten_thousand_names_in_vary_are_refused(make_site: Any) -> None:
    site = make_site({"p/": lambda request: text(Vary=", ".join(f"X-{i}" for i in range(10_000)))})

    assert [site.get("/p/").status_code for _ in range(2)] == [200, 200]
    assert len(site.runs) == 2


def test_the_variants_of_a_url_are_bounded_and_the_newest_stay(make_site: Any) -> None:
    site = make_site(
        {"p/": lambda request: text(request.META["HTTP_X_N"], Vary="X-N")}, options={"MAX_VARIANTS": 3}
    )

    for n in range(6):
        site.get("/p/", x_n=str(n))
    site.runs.clear()
    for n in (5, 4, 3, 0):
        assert site.get("/p/", x_n=str(n)).body == str(n).encode()

    assert len(site.runs) == 1


def test_an_unsafe_method_drops_what_it_was_sent_to_and_what_it_points_at(make_site: Any) -> None:
    def change(request: Any) -> HttpResponse:
        response = text("done", None, Location="/list/", Content_Location="/other.test/elsewhere/")
        response.status_code = 201
        return response

    def item(request: Any) -> HttpResponse:
        return change(request) if request.method == "POST" else text(Vary="X-Side")

    site = make_site({"item/": item, "list/": lambda request: text(), "rest/": lambda request: text()})
    for side in ("left", "right"):
        site.get("/item/", x_side=side)
    site.get("/list/")
    site.get("/rest/")
    site.runs.clear()

    site.post("/item/")
    for side in ("left", "right"):
        site.get("/item/", x_side=side)
    site.get("/list/")
    site.get("/rest/")

    assert site.runs == ["/item/", "/item/", "/item/", "/list/"]


def test_an_unsafe_method_that_fails_drops_nothing(make_site: Any) -> None:
    def view(request: Any) -> HttpResponse:
        return HttpResponse(status=403) if request.method == "POST" else text()

    site = make_site({"p/": view})
    site.get("/p/")
    site.post("/p/")
    site.get("/p/")

    assert len(site.runs) == 2


def test_statuses_other_than_200_are_stored_when_their_fields_say_so(make_site: Any) -> None:
    def view(request: Any, status: int) -> HttpResponse:
        response = text(cache_control="max-age=60" if status != 410 else None)
        response.status_code = status
        response.reason_phrase = "As It Is"
        return response

    site = make_site({"p/<int:status>/": view})
    for _ in range(2):
        for status in (404, 301, 500, 410):
            answer = site.get(f"/p/{status}/")
            assert answer.status_code == status
            assert answer.reason_phrase == "As It Is"

    assert site.runs.count("/p/404/") == site.runs.count("/p/301/") == 1
    assert site.runs.count("/p/410/") == 2


@pytest.mark.parametrize("wanted", ["no-cache", "max-age=0", "no-store"])
def test_a_reload_runs_the_view(make_site: Any, wanted: str) -> None:
    site = make_site({"p/": lambda request: text()})
    site.get("/p/")
    site.get("/p/", cache_control=wanted)

    assert len(site.runs) == (1 if wanted == "no-store" else 2)


def test_a_reload_may_be_denied(make_site: Any) -> None:
    site = make_site({"p/": lambda request: text()}, options={"OBEY_REQUESTS": False})
    site.get("/p/")
    site.get("/p/", cache_control="no-cache")
    site.get("/p/", pragma="no-cache")

    assert len(site.runs) == 1


def test_only_if_cached_without_anything_stored_is_a_504(make_site: Any) -> None:
    site = make_site({"p/": lambda request: text()})

    assert site.get("/p/", cache_control="only-if-cached").status_code == 504
    site.get("/p/")
    assert site.get("/p/", cache_control="only-if-cached").status_code == 200
    assert len(site.runs) == 1


def test_the_cache_can_be_turned_off(make_site: Any) -> None:
    for options in ({"RESPONSES": {"CACHE_ENABLED": False}}, {"CACHING": {"ENABLED": False}}):
        site = make_site({"p/": lambda request: text()}, PERFSUITE=options)
        assert not [site.get("/p/") for _ in range(2)][1].has_header("Cache-Status")
        assert len(site.runs) == 2


def test_the_headers_can_be_turned_off_but_age_is_the_rfcs(make_site: Any) -> None:
    site = make_site({"p/": lambda request: text()}, options={"HEADERS": False})
    site.get("/p/")
    answer = site.get("/p/")

    assert answer.has_header("Age")
    assert not answer.has_header("Cache-Status")
    assert not answer.has_header("Server-Timing")


def test_details_are_shown_with_debug_only(make_site: Any) -> None:
    site = make_site({"p/": lambda request: text(cache_control="no-store")})
    assert "detail" not in site.get("/p/")["Cache-Status"]

    site = make_site({"p/": lambda request: text(cache_control="no-store")}, DEBUG=True)
    assert "detail=no-store" in site.get("/p/")["Cache-Status"]


def test_cache_status_follows_that_of_a_cache_before(make_site: Any) -> None:
    site = make_site({"p/": lambda request: text(Cache_Status="inner; hit")})

    assert site.get("/p/")["Cache-Status"] == "inner; hit, perfsuite; fwd=uri-miss; stored"
    assert site.get("/p/")["Cache-Status"].startswith("inner; hit, perfsuite; hit; ttl=")


def test_a_template_response_is_stored_rendered(make_site: Any) -> None:
    from django.template import engines

    template = engines["django"].from_string("n: {{ n }}")

    def view(request: Any) -> TemplateResponse:
        response = TemplateResponse(request, template, {"n": 7})
        response["Cache-Control"] = "max-age=60"
        return response

    site = make_site({"p/": view})

    assert [site.get("/p/").body for _ in range(2)] == [b"n: 7", b"n: 7"]
    assert len(site.runs) == 1


@pytest.mark.parametrize(
    ("name", "said"), [("edge-1", "edge-1"), ("my site", '"my site"'), ("a\nb: c", '"a?b: c"')]
)
def test_the_cache_is_named_as_the_field_allows(make_site: Any, name: str, said: str) -> None:
    site = make_site({"p/": lambda request: text()}, options={"NAME": name})

    assert [site.get("/p/")["Cache-Status"].partition(";")[0] for _ in range(2)] == [said, said]


# What is recorded


def test_what_becomes_of_requests_is_recorded(make_site: Any) -> None:
    site: Site = make_site({"p/": lambda request: text(), "q/": lambda request: text(cache_control=None)})
    recorder.take()

    for url in ("/p/", "/p/", "/q/"):
        site.get(url)
    site.post("/p/")

    taken = {
        key: counter.count for key, counter in recorder.take().items() if key[0].startswith("responses.")
    }
    assert taken == {
        ("responses.cache", ("hit", "fresh")): 1,
        ("responses.cache", ("miss", "miss")): 1,
        ("responses.cache", ("miss", "no-lifetime")): 1,
        ("responses.cache", ("bypassed", "method")): 1,
        ("responses.missed", ("/p/",)): 1,
        ("responses.missed", ("/q/",)): 1,
    }


def test_a_page_without_vary_comes_after_those_that_fit(make_site: Any) -> None:
    def view(request: Any) -> Any:
        words = request.META.get("HTTP_ACCEPT_LANGUAGE", "")
        response = text(words or "any")
        if words:
            response["Vary"] = "Accept-Language"
        return response

    site = make_site({"p/": view})
    for language in ({"accept_language": "de"}, {"accept_language": "fr"}, {}):
        site.get("/p/", **language)
    site.runs.clear()

    assert site.get("/p/", accept_language="de").body == b"de"
    assert site.get("/p/", accept_language="fr").body == b"fr"
    assert site.get("/p/").body == b"any"
    assert site.get("/p/", accept_language="it").body == b"any"
    assert site.runs == []


@pytest.mark.parametrize("names", ["*", "X-Side, *", "X-Side Accept", "X-Side;Accept", '"X-Side"'])
def test_a_page_that_depends_on_nobody_knows_what_is_not_stored(make_site: Any, names: str) -> None:
    site = make_site({"p/": lambda request: text(request.META["HTTP_X_SIDE"], Vary=names)})

    assert [site.get("/p/", x_side=each).body for each in ("left", "right")] == [b"left", b"right"]
    assert len(site.runs) == 2


def test_a_204_has_no_length_when_it_comes_from_the_cache_either(make_site: Any) -> None:
    def view(request: Any) -> HttpResponse:
        response = text("")
        response.status_code = int(request.GET["status"])
        response["Content-Length"] = "0"  # as CommonMiddleware sets it
        return response

    site = make_site({"p/": view})
    for status, has_length in ((204, False), (205, True), (200, True)):
        url = f"/p/?status={status}"
        site.get(url)
        for answer in (site.get(url), site.head(url)):
            assert answer.status_code == status
            assert "hit" in answer["Cache-Status"]
            assert answer.has_header("Content-Length") is has_length
    assert len(site.runs) == 3


def test_cache_status_says_whether_the_uri_or_the_variant_is_missing(make_site: Any) -> None:
    def view(request: Any) -> Any:
        response = text()
        response["Vary"] = "Accept-Language"
        return response

    site = make_site({"p/": view, "w/": lambda request: text()})
    said = [site.get("/p/", accept_language=each)["Cache-Status"] for each in ("de", "fr")]

    assert said == ["perfsuite; fwd=uri-miss; stored", "perfsuite; fwd=vary-miss; stored"]
    assert site.post("/w/")["Cache-Status"] == "perfsuite; fwd=method"


def test_cache_status_says_what_was_wrong_with_the_page_that_is_stored(make_site: Any) -> None:
    controls = ["max-age=0", "no-store", "max-age=0"]

    def page(request: Any) -> Any:
        return text("hello", controls.pop(0), ETag=f'"{len(controls)}"')

    def known(request: Any) -> Any:
        is_known = request.headers.get("If-None-Match") == '"a"'
        response = HttpResponseNotModified() if is_known else text()
        response["ETag"] = '"a"'
        return response

    def said(url: str, **headers: str) -> str:
        return str(site.get(url, **headers).get("Cache-Status"))

    site = make_site({"p/": page, "k/": known, "u/": cache_response(60, per="user")(known)}, middleware=(OURS, SESSIONS),
                     SESSION_ENGINE="django.contrib.sessions.backends.cache")  # fmt: skip
    stored = "perfsuite; fwd=uri-miss; stored"

    assert said("/p/") == stored
    assert said("/p/") == "perfsuite; fwd=stale"  # made anew, and not to be stored
    assert said("/p/") == "perfsuite; fwd=stale; stored"

    assert said("/k/") == stored
    assert said("/k/", cache_control="no-cache") == "perfsuite; fwd=request; fwd-status=304; stored"
    assert said("/k/", authorization="Basic abc") == "perfsuite; fwd=request"
    # It was not forwarded, and is not made of what is stored.
    assert (
        said("/k/?other", cache_control="only-if-cached")
        == said("/p/", cache_control="only-if-cached")
        == "None"
    )

    session = SessionStore()
    session.update({"_auth_user_id": "1", "_auth_user_backend": "b", "_auth_user_hash": "h"})
    session.create()
    cookie = f"sessionid={session.session_key}"
    assert said("/u/", cookie=cookie) == stored
    assert said("/u/", cookie=cookie, cache_control="no-cache") == "perfsuite; fwd=request; stored"


@pytest.mark.parametrize(("allowed", "runs"), [(True, 1), (False, 2)])
def test_requests_may_ask_for_what_is_stale_unless_that_is_denied(
    make_site: Any, monkeypatch: pytest.MonkeyPatch, allowed: bool, runs: int
) -> None:
    site = make_site({"p/": lambda request: text()}, options={"ACCEPT_STALE": allowed})
    site.get("/p/")
    later = time.time() + 61
    monkeypatch.setattr("time.time", lambda: later)
    monkeypatch.setattr("perfsuite.responses.caching._now", lambda: later)
    site.get("/p/", cache_control="max-stale=1000")

    assert len(site.runs) == runs


@pytest.mark.parametrize(("most", "runs"), [(2, 1), (1, 2)])
def test_what_varies_by_more_fields_than_are_allowed_is_not_kept(
    make_site: Any, most: int, runs: int
) -> None:
    def view(request: Any) -> Any:
        response = text()
        response["Vary"] = "Accept-Language, X-Kind"
        return response

    site = make_site({"p/": view}, options={"MAX_VARY_NAMES": most})
    for _ in range(2):
        site.get("/p/")

    assert len(site.runs) == runs


def test_of_pages_that_differ_by_other_fields_the_most_recent_that_fits_is_given(make_site: Any) -> None:
    def view(request: Any) -> Any:
        is_first = "HTTP_X_A" not in request.META
        response = text("recent" if is_first else "stored later")
        response["Vary"] = "X-A" if is_first else "X-B"
        response["Date"] = http_date(time.time() - (0 if is_first else 20))
        return response

    site = make_site({"p/": view})
    site.get("/p/")
    assert site.get("/p/", x_a="1").body == b"stored later"

    assert site.get("/p/").body == b"recent"
    assert site.get("/p/", x_b="1").body == b"recent"
    assert site.get("/p/", x_a="1").body == b"stored later"
    assert len(site.runs) == 2
