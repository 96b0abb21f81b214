"""RFC 9111, 5861 and 9213 through the whole middleware, the same under WSGI and ASGI. The policy's own tests are in policy/.

Each case is a page and how it is asked for in turn. What is compared between the two is all of each answer.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from django.contrib.sessions.backends.cache import SessionStore
from django.core.cache import caches
from django.http import HttpResponse, HttpResponseNotModified
from django.utils.http import http_date

from perfsuite.responses import cache_response
from tests.responses.asking import OURS as COMPRESSION
from tests.responses.site import ASYNC, OURS, SESSIONS, SYNC, TENANTS, serving, text
from tests.responses.test_identity import IN_CACHE, TENANCY

pytestmark = pytest.mark.alike

Fields = dict[str, str | int]  # a number is a date, so many seconds from now
TAG: Fields = {"ETag": '"a"'}
# Written by the second, in which the two kinds may differ.
TIMES = ("Age", "Date", "Expires", "Last-Modified")


def _written(fields: Fields) -> dict[str, str]:
    return {
        name: http_date(time.time() + value) if type(value) is int else str(value)
        for name, value in fields.items()
    }


@dataclass(frozen=True)
class Case:
    """A page by its fields, and the requests for it: their fields, and the status and the source of the answer."""

    fields: Fields
    asks: list[tuple[Fields, str]]
    status: int = 200
    later: int = 0  # the status from the second run of the view on
    validates: bool = False  # whether the view answers 304 where that is right
    options: dict[str, Any] = field(default_factory=dict)

    def check(self) -> None:
        """Ask under WSGI and under ASGI."""
        assert self._answers(SYNC) == self._answers(ASYNC)

    def _answers(self, kind: str) -> list[Any]:
        runs = 0

        def view(request: Any) -> HttpResponse:
            nonlocal runs
            runs += 1
            if self.validates and request.headers.get("If-None-Match") == self.fields["ETag"]:
                return HttpResponseNotModified(headers={"ETag": self.fields["ETag"]})
            response = text(f"{runs:010}", None, **_written(self.fields))
            response.status_code = self.later if self.later and runs > 1 else self.status
            return response

        answers, found = [], []
        with serving(kind, {"p/": view}, options=self.options) as site:
            for fields, _ in self.asks:
                before = runs
                answer = site.get(
                    "/p/",
                    **{name.lower().replace("-", "_"): value for name, value in _written(fields).items()},
                )
                is_new = runs > before and (
                    answer.status_code == 206 or answer.body in (b"", f"{runs:010}".encode())
                )
                found.append(f"{answer.status_code} {'view' if is_new else 'cache'}")
                seen = {name: "" if name in TIMES else value for name, value in answer.items()}
                seen["Cache-Status"] = seen.get("Cache-Status", "").partition("ttl=")[0]
                answers.append((answer.status_code, answer.body, seen))
        assert found == [how for _, how in self.asks], kind
        return answers


def then(*rest: tuple[Fields, str] | str) -> list[tuple[Fields, str]]:
    """Return the requests after a first one that runs the view; one without fields may be its answer alone."""
    return [({}, "200 view"), *(({}, each) if isinstance(each, str) else each for each in rest)]


def kept(fields: Fields, **more: Any) -> Case:
    """Return a page that is answered from the cache when it is asked for again."""
    status = more.get("status", 200)
    return Case(fields, [({}, f"{status} view"), ({}, f"{status} cache")], **more)


def made_anew(fields: Fields, **more: Any) -> Case:
    """Return a page whose view runs each time."""
    status = more.get("status", 200)
    return Case(fields, [({}, f"{status} view")] * 2, **more)


def by(cases: dict[str, Case]) -> pytest.MarkDecorator:
    """Have a test run with each of some cases."""
    return pytest.mark.parametrize("case", cases.values(), ids=cases)


# fmt: off
@by({
    "in the future": kept({"Expires": 60}),
    "in the past": made_anew({"Expires": -60, **TAG}),
    "no date": made_anew({"Expires": "0", **TAG}),
    "beside max-age": kept({"Cache-Control": "max-age=60", "Expires": -60}),
    "beside max-age=0": made_anew({"Cache-Control": "max-age=0", "Expires": 60, **TAG}),
    "beside s-maxage": kept({"Cache-Control": "s-maxage=60", "Expires": -60}),
    "counted from Date": kept({"Date": -50, "Expires": 10}),
    "counted from Date and over": made_anew({"Date": -50, "Expires": -10, **TAG}),
    "with an Age": made_anew({"Expires": 30, "Age": "40", **TAG}),
})
def test_expires_says_how_long_where_no_directive_does(case: Case) -> None:
    case.check()


GUESSING = {"options": {"HEURISTIC_FRACTION": 0.1}}


@by({
    "a share of the time since Last-Modified": kept({"Last-Modified": -1_000}, **GUESSING),
    "not by default": made_anew({"Last-Modified": -1_000}),
    "not where a lifetime is stated": made_anew({"Cache-Control": "max-age=0", "Last-Modified": -1_000}, **GUESSING),
    "not where Expires states it": made_anew({"Expires": -1, "Last-Modified": -1_000}, **GUESSING),
    "not for every status": made_anew({"Last-Modified": -1_000}, status=201, **GUESSING),
    "for every status that is public": kept({"Cache-Control": "public", "Last-Modified": -1_000}, status=201, **GUESSING),
    "for a 404": kept({"Last-Modified": -1_000}, status=404, **GUESSING),
})
def test_a_lifetime_is_guessed_where_the_site_wants_it_and_none_is_stated(case: Case) -> None:
    case.check()


STALE: Fields = {"Cache-Control": "max-age=10", "Age": "20", **TAG}
ACME = {"options": {"TARGETED": ["Acme-Cache-Control", "CDN-Cache-Control"]}}


@by({
    "instead of no-store": kept({"Cache-Control": "no-store", "CDN-Cache-Control": "max-age=60"}),
    "instead of Expires": made_anew({"Expires": 60, "CDN-Cache-Control": "max-age=0", **TAG}),
    "no-store": made_anew({"Cache-Control": "max-age=60", "CDN-Cache-Control": "no-store"}),
    "private": made_anew({"Cache-Control": "max-age=60", "CDN-Cache-Control": "private"}),
    "no-cache": made_anew({"Cache-Control": "max-age=60", "CDN-Cache-Control": "max-age=60, no-cache", **TAG}),
    "must-revalidate": Case({**STALE, "CDN-Cache-Control": "max-age=10, must-revalidate, stale-if-error=60"},
                            then("503 view"), later=503),
    "empty": kept({"Cache-Control": "max-age=60", "CDN-Cache-Control": ""}),
    "malformed": kept({"Cache-Control": "max-age=60", "CDN-Cache-Control": "no-store, ="}),
    "of the wrong type": made_anew({"Cache-Control": "max-age=60", "CDN-Cache-Control": 'max-age="60"', **TAG}),
    "for another cache": kept({"Cache-Control": "max-age=60", "Acme-Cache-Control": "no-store"}),
    "the first of the list": kept({"Acme-Cache-Control": "max-age=60", "CDN-Cache-Control": "no-store"}, **ACME),
    "the next, where the first is empty": kept({"Acme-Cache-Control": "", "CDN-Cache-Control": "max-age=60"}, **ACME),
})
def test_cdn_cache_control_counts_before_all_others_if_it_is_valid(case: Case) -> None:
    case.check()


@by({
    "no-store": made_anew({"Cache-Control": "no-store, max-age=60"}),
    "private": made_anew({"Cache-Control": "private, max-age=60"}),
    "no-cache": made_anew({"Cache-Control": "no-cache, max-age=60", **TAG}),
    "max-age": kept({"Cache-Control": "max-age=60"}),
    "s-maxage": kept({"Cache-Control": "max-age=0, s-maxage=60"}),
    "s-maxage=0": made_anew({"Cache-Control": "max-age=60, s-maxage=0", **TAG}),
    "must-understand": kept({"Cache-Control": "must-understand, no-store, max-age=60"}),
    "must-understand of what is not": made_anew({"Cache-Control": "must-understand, max-age=60"}, status=299),
    "not understood and it need not be": kept({"Cache-Control": "max-age=60"}, status=299),
    "immutable and unknown ones": kept({"Cache-Control": "immutable, frobnicate=1, max-age=60"}),
    "a quoted argument": kept({"Cache-Control": 'max-age="60"'}),
    "two of one kind": made_anew({"Cache-Control": "max-age=60, max-age=30", **TAG}),
    "a quote that does not close": made_anew({"Cache-Control": 'max-age=60, x="', **TAG}),
    "Pragma, which means nothing here": kept({"Cache-Control": "max-age=60", "Pragma": "no-cache"}),
})
def test_each_directive_of_a_response_is_obeyed(case: Case) -> None:
    case.check()


def revalidating(directive: str) -> Fields:
    """Return the fields of a stale page with a directive that forbids to serve it."""
    return {**STALE, "Cache-Control": f"max-age=10, stale-if-error=600, stale-while-revalidate=600, {directive}"}


@by({
    "nothing forbids it": Case({**STALE, "Cache-Control": "max-age=10, stale-if-error=600"}, then("200 cache"), later=503),
    **{name: Case(revalidating(name), then("503 view", ({"Cache-Control": "max-stale"}, "503 view")), later=503)
       for name in ("must-revalidate", "proxy-revalidate", "s-maxage=10", "no-cache")},
    "what is right is validated": Case(revalidating("must-revalidate"), then("200 cache", "200 cache"), validates=True),
    "and the new answer counts": Case(revalidating("proxy-revalidate"), then("200 view", "200 view")),
})
def test_what_is_stale_is_not_served_where_a_directive_forbids_it(case: Case) -> None:
    case.check()


@by({
    "no-cache": Case({"Cache-Control": "max-age=60"}, then(({"Cache-Control": "no-cache"}, "200 view"))),
    "Pragma": Case({"Cache-Control": "max-age=60"}, then(({"Pragma": "no-cache"}, "200 view"))),
    "Pragma beside Cache-Control": Case(
        {"Cache-Control": "max-age=60"}, then(({"Pragma": "no-cache", "Cache-Control": "max-age=60"}, "200 cache"))),
    "max-age": Case({"Cache-Control": "max-age=60", "Age": "20"},
                    then(({"Cache-Control": "max-age=30"}, "200 cache"), ({"Cache-Control": "max-age=10"}, "200 view"))),
    "min-fresh": Case({"Cache-Control": "max-age=60"},
                      then(({"Cache-Control": "min-fresh=30"}, "200 cache"), ({"Cache-Control": "min-fresh=90"}, "200 view"))),
    "max-stale": Case(STALE, then(({"Cache-Control": "max-stale"}, "200 cache"))),
    "max-stale of enough": Case(STALE, then(({"Cache-Control": "max-stale=60"}, "200 cache"))),
    "max-stale of too little": Case(STALE, then(({"Cache-Control": "max-stale=5"}, "200 view"))),
    "max-stale that is malformed": Case(STALE, then(({"Cache-Control": "max-stale=x"}, "200 view"))),
    "stale-if-error": Case(STALE, then(({"Cache-Control": "stale-if-error=60"}, "200 cache"), "503 view"), later=503),
    "stale-if-error of too little": Case(STALE, then(({"Cache-Control": "stale-if-error=5"}, "503 view")), later=503),
    "only-if-cached of what is stale": Case(STALE, then(({"Cache-Control": "only-if-cached"}, "504 cache"))),
    "no-store": Case({"Cache-Control": "max-age=60"}, [({"Cache-Control": "no-store"}, "200 view"), ({}, "200 view")]),
    "no-store of what is stored": Case({"Cache-Control": "max-age=60"}, then(({"Cache-Control": "no-store"}, "200 cache"))),
    "unknown ones": Case({"Cache-Control": "max-age=60"}, then(({"Cache-Control": "frobnicate"}, "200 cache"))),
})
def test_each_directive_of_a_request_is_obeyed(case: Case) -> None:
    case.check()


def test_an_error_that_is_stored_stands_in_for_no_newer_one() -> None:
    stale: Fields = {"Cache-Control": "max-age=10, stale-if-error=600", "Age": "20", **TAG}
    Case(stale, [({}, "503 view"), ({}, "500 view")], status=503, later=500).check()
    Case(stale, [({}, "404 view"), ({}, "404 cache")], status=404, later=500).check()


PARTS: Fields = {"Cache-Control": "max-age=60", "Last-Modified": -3_600, **TAG}
PART: Fields = {"Range": "bytes=0-3"}


@by({
    "a part": Case(PARTS, then((PART, "206 cache"))),
    "If-Range with the entity-tag": Case(PARTS, then(({**PART, "If-Range": '"a"'}, "206 cache"))),
    "If-Range with another": Case(PARTS, then(({**PART, "If-Range": '"b"'}, "200 cache"))),
    "If-Range with a weak one": Case(PARTS, then(({**PART, "If-Range": 'W/"a"'}, "200 cache"))),
    "If-Range with another date": Case(PARTS, then(({**PART, "If-Range": -7_200}, "200 cache"))),
    "If-Range that is nothing": Case(PARTS, then(({**PART, "If-Range": "nonsense"}, "200 cache"))),
    "If-Range with what cannot be satisfied": Case(PARTS, then(({"Range": "bytes=10-", "If-Range": '"b"'}, "200 cache"))),
    "what cannot be satisfied": Case(PARTS, then(({"Range": "bytes=10-"}, "416 cache"))),
    "a condition first": Case(PARTS, then(({**PART, "If-None-Match": '"a"'}, "304 cache"))),
    "of what is stale and right": Case(
        {"Cache-Control": "no-cache", **TAG}, then((PART, "206 view"), (PART, "206 view")), validates=True),
    "of what is stale and made anew": Case({"Cache-Control": "no-cache", **TAG}, then((PART, "206 view"))),
})
def test_parts_are_answered_from_the_store_as_if_range_allows(case: Case) -> None:
    case.check()


@by({
    "If-None-Match": Case(PARTS, then(({"If-None-Match": 'W/"a"'}, "304 cache"), ({"If-None-Match": '"b"'}, "200 cache"))),
    "If-Modified-Since": Case(
        PARTS, then(({"If-Modified-Since": -60}, "304 cache"), ({"If-Modified-Since": -7_200}, "200 cache"))),
    "without Last-Modified": Case({"Cache-Control": "max-age=60", "Date": -30},
                                  then(({"If-Modified-Since": -10}, "304 cache"), ({"If-Modified-Since": -50}, "200 cache"))),
    "If-Match is for the origin": Case(PARTS, then(({"If-Match": '"b"'}, "200 cache"))),
    "If-Unmodified-Since too": Case(PARTS, then(({"If-Unmodified-Since": -7_200}, "200 cache"))),
    "of what is stale and right": Case(
        STALE, then(({"If-None-Match": '"a"'}, "304 view"), ({"If-None-Match": '"b"'}, "200 cache")), validates=True),
})
def test_conditions_are_evaluated_against_what_is_stored(case: Case) -> None:
    case.check()
# fmt: on


def test_a_date_in_if_range_must_be_that_of_the_page_exactly() -> None:
    modified = http_date(time.time() - 3_600)
    case = Case({**PARTS, "Last-Modified": modified}, then(({**PART, "If-Range": modified}, "206 cache")))
    case.check()
    replace(case, fields={**case.fields, "ETag": 'W/"a"'}).check()


def test_conditions_of_what_is_not_for_the_cache_reach_the_view(make_site: Any) -> None:
    seen: list[Any] = []

    def view(request: Any) -> HttpResponse:
        seen.append((request.method, request.headers.get("If-None-Match"), request.headers.get("If-Match")))
        return text(ETag='"a"')

    site = make_site({"p/": view})
    site.get("/p/")

    assert site.ask("put", "/p/", if_none_match='"a"').status_code == 200
    assert site.ask("put", "/p/", if_match='"b"').status_code == 200
    assert seen[1:] == [("PUT", '"a"', None), ("PUT", None, '"b"')]


@pytest.mark.parametrize("directive", ["no-cache", "private"])
def test_fields_that_a_directive_names_are_for_the_first_client_alone(make_site: Any, directive: str) -> None:
    control = f'max-age=60, {directive}="X-Secret, X-Other"'
    site = make_site({"p/": lambda request: text("hello", control, X_Secret="1", X_Public="2")})

    first, second = site.get("/p/"), site.get("/p/")

    assert len(site.runs) == 1
    assert (first["X-Secret"], first["X-Public"]) == ("1", "2")
    assert not second.has_header("X-Secret")
    assert (second["X-Public"], second["Cache-Control"]) == ("2", control)


def test_age_is_counted_on_from_what_came_and_sent_once(make_site: Any) -> None:
    fields = {
        "a": {"Age": "20"},
        "d": {"Date": http_date(time.time() - 30)},
        "n": {"Age": "-5"},
        "t": {"Age": "7, 9"},
    }
    views = {f"{name}/": lambda request, name=name: text(**fields[name]) for name in fields}
    site = make_site(views)
    ages = {}
    for name in fields:
        site.get(f"/{name}/")
        ages[name] = int(site.get(f"/{name}/")["Age"])

    assert len(site.runs) == len(fields)
    for name, least in {"a": 20, "d": 30, "n": 0, "t": 7}.items():
        assert least <= ages[name] < least + 10


@pytest.mark.parametrize("name", ["Location", "Content-Location"])
@pytest.mark.parametrize(
    ("points_at", "is_dropped"),
    [
        ("/list/", True),
        ("../list/", True),
        ("http://testserver/list/", True),
        ("http://testserver:80/list/#part", True),
        ("http://other.test/list/", False),
        ("https://testserver/list/", False),
        ("/list/?page=2", False),
        ("http://[", False),
    ],
)
def test_what_a_change_points_at_is_outdated_too(
    make_site: Any, name: str, points_at: str, is_dropped: bool
) -> None:
    def change(request: Any) -> HttpResponse:
        return text("done", None, **{name: points_at})

    site = make_site({"item/": change, "list/": lambda request: text()})
    site.get("/list/")
    site.post("/item/")
    site.get("/list/")

    assert site.runs.count("/list/") == (2 if is_dropped else 1)


@pytest.mark.parametrize("asked", ["testserver", "testserver:80"])
@pytest.mark.parametrize("changed", ["testserver", "testserver:80"])
def test_a_change_outdates_a_page_with_the_default_port_and_without_it(
    make_site: Any, asked: str, changed: str
) -> None:
    site = make_site(
        {"item/": lambda request: text("done", None, Location="/list/"), "list/": lambda request: text()}
    )
    for url in ("/item/", "/list/"):
        runs = len(site.runs)
        site.get("/list/", host=asked)
        site.get("/list/", host=asked)
        site.post(url, host=changed)
        site.get("/list/", host=asked)
        assert len(site.runs) == runs + 3
        site.post(url, host=f"{changed.partition(':')[0]}:8080")
        site.get("/list/", host=asked)
        assert len(site.runs) == runs + 4
        caches["default"].clear()


def test_a_change_outdates_its_page_for_all_variants_tenants_and_users(make_site: Any) -> None:
    site = make_site(
        {
            "item/": lambda request: text("", None, Content_Location="/list/"),
            "list/": cache_response(60, per="user", vary_on=["X-Side"])(lambda request: text("", None)),
        },
        middleware=(TENANTS, OURS, SESSIONS),
        PERFSUITE=TENANCY,
        **IN_CACHE,
    )
    asked = []
    for number in range(3):
        session = SessionStore()
        session.update({"_auth_user_id": str(number), "_auth_user_backend": "b", "_auth_user_hash": "h"})
        session.create()
        for side in ("left", "right"):
            cookie = f"sessionid={session.session_key}"
            asked.append({"cookie": cookie, "x_side": side, "x_tenant": str(number % 2)})

    def ask_all() -> int:
        for headers in asked * 2:
            site.get("/list/", **headers)
        return site.runs.count("/list/")

    assert ask_all() == len(asked)
    site.post("/item/", x_tenant="0")
    assert ask_all() == 2 * len(asked)


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_an_unsafe_method_is_written_through_and_outdates_its_target(make_site: Any, method: str) -> None:
    site = make_site({"p/": lambda request: text()})
    site.get("/p/")

    assert site.ask(method, "/p/").status_code == 200
    site.get("/p/")
    assert len(site.runs) == 3


def test_no_transform_leaves_the_body_as_it_is_on_a_miss_and_on_a_hit(make_site: Any) -> None:
    body = "much that is worth compressing " * 100
    views = {
        "plain/": lambda request: text(body, "max-age=60, no-transform"),
        "coded/": lambda request: text(body, "max-age=60"),
    }
    site = make_site(views, middleware=(COMPRESSION, OURS))
    for _ in range(2):
        answer = site.get("/plain/", accept_encoding="gzip")
        assert not answer.has_header("Content-Encoding")
        assert answer.body == body.encode()
        assert site.get("/coded/", accept_encoding="gzip")["Content-Encoding"] == "gzip"

    assert len(site.runs) == 2


def test_a_request_with_no_transform_gets_the_body_as_it_is_and_leaves_the_compressed_one_to_others(
    make_site: Any,
) -> None:
    body = "much that is worth compressing " * 100
    site = make_site({"p/": lambda request: text(body), "new/": lambda request: text(body, None)},
                     middleware=(COMPRESSION, OURS))  # fmt: skip
    for url, accepted in [("/p/", "gzip"), ("/new/", "gzip"), ("/p/", "gzip, identity;q=0")]:
        for control in ("no-transform", "max-age=600, No-Transform"):
            for ask in (site.get, site.head):
                answer = ask(url, accept_encoding=accepted, cache_control=control)
                assert not answer.has_header("Content-Encoding")
                assert answer.body == (body.encode() if ask == site.get else b"")
                assert answer["Vary"] == "Accept-Encoding"
                assert not answer.get("ETag", "").startswith("W/")
        assert site.get(url, accept_encoding=accepted)["Content-Encoding"] == "gzip"

    assert site.runs.count("/p/") == 1
