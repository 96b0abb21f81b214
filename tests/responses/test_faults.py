"""Whatever fails, the view answers: a cache that raises, one that lies, a client that leaves."""

from __future__ import annotations

import logging
import pickle
import time
from typing import Any

import pytest
from django.core.cache import caches
from django.core.cache.backends.base import BaseCache
from django.core.cache.backends.locmem import LocMemCache
from django.http import HttpResponse, StreamingHttpResponse
from django.test import Client

from perfsuite.responses import deduplication, pages
from perfsuite.responses.pages import SIZE, VERSION
from tests.responses.site import LOCMEM, OURS, SYNC, Site, serving, text


class RaisingCache(BaseCache):
    """A cache that raises on every call."""

    def __init__(self, location: str, params: dict[str, Any]) -> None:
        super().__init__(params)

    def _fail(self, *args: Any, **kwargs: Any) -> Any:
        raise ConnectionError("the cache is away")

    add = get = set = touch = delete = get_many = set_many = delete_many = has_key = _fail  # type: ignore[assignment]

    def clear(self) -> None:
        """Be cleared, for the tests."""


class LyingCache(LocMemCache):
    """A cache that holds for every key something that nobody has stored."""

    lie: Any = None

    def get(self, key: Any, default: Any = None, version: Any = None) -> Any:
        """Return the lie."""
        return type(self).lie


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.ERROR, "perfsuite.responses")
    return caplog


def test_a_cache_that_raises_on_every_call_leaves_all_answers_to_the_view(
    make_site: Any, logged: Any
) -> None:
    site = make_site({"p/": lambda request: text()}, cache={"BACKEND": f"{__name__}.RaisingCache"})

    started = time.monotonic()
    answers = [site.get("/p/") for _ in range(50)]
    answers += [site.post("/p/"), site.head("/p/"), site.get("/p/", range="bytes=0-1")]
    seconds = time.monotonic() - started

    assert [answer.status_code for answer in answers] == [200] * 52 + [206]
    assert len(site.runs) == 53
    assert len([record for record in logged.records if record.name == "perfsuite.responses"]) <= seconds + 1


def test_an_alias_that_does_not_exist_leaves_all_answers_to_the_view(make_site: Any, logged: Any) -> None:
    site = make_site({"p/": lambda request: text()}, options={"ALIAS": "missing"})

    assert [site.get("/p/").body for _ in range(3)] == [b"hello"] * 3
    assert len(logged.records) <= 2


REST = SIZE - 1
LIES: list[Any] = [
    None, 0, "text", b"bytes", (), ((), ()), (("page.1",), ()), (("index.1", 1, 2, 3), ()), (("index.1", ("a",), ("b",), 3), ()),
    (1, 2), {"a": 1}, *[((VERSION, *[each] * REST), ()) for each in (None, 0, "x", (), 1e12)], ((VERSION, *range(REST)), ()),
]  # fmt: skip
# What may stand where something else should: of all types that a page has, and some that none has.
WRONG: list[Any] = [None, -1, 1e308, "x", b"x", (("a", "b"),), {"a": ("A",)}]


def _ask_in_all_ways(site: Site) -> list[int]:
    ways: list[dict[str, str]] = [
        {}, {"if_none_match": '"a"'}, {"range": "bytes=0-1"}, {"cache_control": "no-cache"}, {"cache_control": "max-stale"},
        {"accept_encoding": "gzip"}, {"authorization": "Basic YQ=="},
    ]  # fmt: skip
    return [site.get("/p/", **headers).status_code for headers in ways] + [site.head("/p/").status_code]


@pytest.mark.parametrize("lie", LIES, ids=[str(number) for number in range(len(LIES))])
def test_a_cache_that_holds_something_else_is_a_miss(make_site: Any, monkeypatch: Any, lie: Any) -> None:
    monkeypatch.setattr(LyingCache, "lie", lie)
    site = make_site({"p/": lambda request: text()}, cache={"BACKEND": f"{__name__}.LyingCache"})

    assert set(_ask_in_all_ways(site)) <= {200, 206}
    assert site.get("/p/").body == b"hello"


@pytest.mark.once
@pytest.mark.filterwarnings("ignore::django.core.cache.CacheKeyWarning")
def test_a_page_of_which_one_part_is_something_else_is_never_an_error(monkeypatch: Any) -> None:
    more: Any = {
        "middleware": ("perfsuite.responses.CompressionMiddleware", OURS),
        "options": {"COMPRESS_MIN_BYTES": 0},
    }
    with serving(SYNC, {"p/": lambda request: text("hello " * 20)}, cache=LOCMEM, **more) as site:
        site.get("/p/")
        held = [pickle.loads(each) for each in caches["default"]._cache.values()]
    (page,) = [each[0] for each in held if pages.is_page(each[0])]

    lying = {"BACKEND": f"{__name__}.LyingCache"}
    with serving(SYNC, {"p/": lambda request: text()}, cache=lying, **more) as site:
        for place in range(1, SIZE):
            for wrong in WRONG:
                monkeypatch.setattr(LyingCache, "lie", ((*page[:place], wrong, *page[place + 1 :]), ()))
                assert set(_ask_in_all_ways(site)) <= {200, 206, 304, 416}, (place, wrong)


@pytest.mark.parametrize("step", ["decide", "may_store", "keep"])
def test_a_policy_that_fails_leaves_the_answer_to_the_view(
    make_site: Any, monkeypatch: Any, step: str
) -> None:
    def broken(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("a rule")

    where = "serving" if step == "decide" else "making"
    monkeypatch.setattr(f"perfsuite.responses.{where}.{step}", broken)
    site = make_site({"p/": lambda request: text()})

    for _ in range(2):
        assert site.get("/p/", cache_control="max-age=5").body == b"hello"
    assert len(site.runs) == 2


def test_an_error_of_the_view_is_the_views(make_site: Any) -> None:
    def view(request: Any) -> HttpResponse:
        raise RuntimeError("the view's")

    site = make_site({"p/": view})

    assert [site.get("/p/").status_code for _ in range(3)] == [500] * 3
    assert len(site.runs) == 3


@pytest.mark.django_db  # a response that is closed by hand looks after the connections
def test_a_stream_that_breaks_or_is_left_in_the_middle_is_not_stored() -> None:
    closed = []

    def chunks(breaks: bool) -> Any:
        try:
            yield b"one"
            if breaks:
                raise RuntimeError("broken")
            yield b"two"
        finally:
            closed.append(breaks)

    def view(request: Any) -> StreamingHttpResponse:
        response = StreamingHttpResponse(chunks("breaks" in request.GET))
        response["Cache-Control"] = "max-age=60"
        return response

    with serving(SYNC, {"p/": view}) as site:
        client = Client()
        broken = client.get("/p/?breaks")
        with pytest.raises(RuntimeError, match="broken"):
            list(broken.streaming_content)
        left = client.get("/p/")
        assert next(iter(left.streaming_content)) == b"one"
        left.close()
        del left
        assert site.get("/p/").body == b"onetwo"
        assert site.get("/p/").body == b"onetwo"

    assert len(site.runs) == 3
    assert True in closed
    assert False in closed
    assert not deduplication.flights._flights


@pytest.mark.parametrize(
    "headers",
    [
        {"cache_control": "x" * 64_000},
        {"if_none_match": '"' * 64_000},
        {"if_modified_since": "9" * 64_000},
        {"range": "bytes=" + "9" * 64_000},
        {"cookie": "a=" * 32_000},
        {"cookie": "=;=;\x01=\x02"},
        {"authorization": "\x7f" * 1_000},
        {"accept": "ä" * 100},
        {"host": "a" * 300},
        {"host": "[::1"},
    ],
    ids=lambda headers: next(iter(headers)),
)
def test_fields_that_nobody_means_are_never_a_500(make_site: Any, headers: dict[str, str]) -> None:
    site = make_site({"p/": lambda request: text(Vary="Accept")})

    for _ in range(2):
        assert site.get("/p/", **headers).status_code in (200, 400, 504)


@pytest.mark.parametrize(
    "fields",
    [
        {"Age": "-5"},
        {"Age": "x" * 64_000},
        {"Expires": "yesterday"},
        {"Date": "0"},
        {"Vary": "," * 64_000},
        {"ETag": "no quotes"},
        {"Cache-Control": "max-age=-1"},
        {"Cache-Control": 'max-age="60", ' * 4_000},
        {"Content-Length": "7"},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_fields_of_a_view_that_nobody_means_are_passed_on(make_site: Any, fields: dict[str, str]) -> None:
    def view(request: Any) -> HttpResponse:
        response = text()
        for name, value in fields.items():
            response[name] = value
        return response

    site = make_site({"p/": view}, cache=LOCMEM)

    for _ in range(2):
        answer = site.get("/p/")
        assert (answer.status_code, answer.body) == (200, b"hello")
