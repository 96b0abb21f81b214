"""What each option of the cache changes, the same under WSGI and ASGI."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import django_redis
import pytest
from django.http import HttpResponse
from django.utils.http import http_date

from perfsuite.responses import pages, variants
from tests.responses.asking import OURS as COMPRESSION
from tests.responses.site import ASYNC, OURS, SYNC, serving, text
from tests.responses.test_rfc import STALE, TAG, Case, by, kept, made_anew, then
from tests.valkey import Valkey, valkey

pytestmark = pytest.mark.once


def _ttl(answer: Any) -> int:
    return int(answer["Cache-Status"].rpartition("ttl=")[2])


# fmt: off
DEFAULT_60 = {"options": {"DEFAULT_TIMEOUT_S": 60}}
TOLERANT = {"options": {"STALE_IF_ERROR_S": 600}}


@by({
    "DEFAULT_TIMEOUT_S, of what says nothing": kept({}, **DEFAULT_60),
    "DEFAULT_TIMEOUT_S, 0 as it is by default": made_anew({}),
    "DEFAULT_TIMEOUT_S, not of a 404": made_anew({}, status=404, **DEFAULT_60),
    "DEFAULT_TIMEOUT_S, not of what says no-cache": made_anew({"Cache-Control": "no-cache"}, **DEFAULT_60),
    "DEFAULT_TIMEOUT_S, not of what has expired": made_anew({"Expires": -1}, **DEFAULT_60),
    "DEFAULT_TIMEOUT_S, not of what tells a CDN": made_anew({"CDN-Cache-Control": "no-store"}, **DEFAULT_60),
    "STALE_IF_ERROR_S, of what names none": Case(STALE, then("200 cache"), later=503, **TOLERANT),
    "STALE_IF_ERROR_S, 0 as it is by default": Case(STALE, then("503 view"), later=503),
    "STALE_IF_ERROR_S, not of what names one": Case(
        {**STALE, "Cache-Control": "max-age=10, stale-if-error=0"}, then("503 view"), later=503, **TOLERANT),
    "STALE_IF_ERROR_S, not of what forbids it": Case(
        {**STALE, "Cache-Control": "max-age=10, must-revalidate"}, then("503 view"), later=503, **TOLERANT),
    "STALE_IF_ERROR_S, not for longer": Case(STALE, then("503 view"), later=503, options={"STALE_IF_ERROR_S": 5}),
    "KEEP_STALE_S, what can be validated": Case(STALE, then("200 cache"), validates=True),
    "KEEP_STALE_S, not for longer": Case(STALE, then("200 view"), validates=True, options={"KEEP_STALE_S": 5}),
    "KEEP_STALE_S, nothing": Case(STALE, then("200 view"), validates=True, options={"KEEP_STALE_S": 0}),
    "TARGETED, none": made_anew({"Cache-Control": "no-store", "CDN-Cache-Control": "max-age=60"}, options={"TARGETED": []}),
    "TARGETED, another": kept({"Cache-Control": "no-store", "Acme": "max-age=60"}, options={"TARGETED": ["Acme"]}),
    "ETAGS, by which the client is answered 304": Case(
        {"Cache-Control": "max-age=60"}, then(({"If-None-Match": "*"}, "304 cache"))),
    "ETAGS, none and nothing to validate by": made_anew({"Cache-Control": "no-cache"}, options={"ETAGS": False}),
    "ETAGS, those of the view are its own": Case(
        {"Cache-Control": "max-age=60", **TAG}, then(({"If-None-Match": '"a"'}, "304 cache")), options={"ETAGS": False}),
})
def test_an_option_says_how_what_says_nothing_itself_is_kept(case: Case) -> None:
    case.check()
# fmt: on


@pytest.mark.parametrize(
    ("options", "most"),
    [
        ({"DEFAULT_TIMEOUT_S": 70}, 70),
        ({"HEURISTIC_FRACTION": 0.1}, 100),
        ({"HEURISTIC_FRACTION": 0.5}, 500),
        ({"HEURISTIC_FRACTION": 0.5, "HEURISTIC_MAX_S": 30}, 30),
    ],
)
def test_an_option_says_how_long_a_page_is_fresh(make_site: Any, options: Any, most: int) -> None:
    modified = http_date(time.time() - 1_000)
    site = make_site({"p/": lambda request: text("x", None, Last_Modified=modified)}, options=options)
    site.get("/p/")

    assert most - 10 <= _ttl(site.get("/p/")) <= most


def test_etags_can_be_left_to_the_site(make_site: Any) -> None:
    for is_on in (True, False):
        site = make_site({"p/": lambda request: text()}, options={"ETAGS": is_on})
        assert [site.get("/p/").has_header("ETag") for _ in range(2)] == [is_on] * 2
        assert len(site.runs) == 1


def test_an_etag_is_made_once_for_a_page_that_is_stored(
    make_site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def counted(body: bytes, make: Any = pages.entity_tag) -> str:
        made.append(make(body))
        return made[-1]

    monkeypatch.setattr(pages, "entity_tag", counted)
    views = {"small/": lambda request: text("x"), "large/": lambda request: text("x" * 100_000)}
    site = make_site(views, middleware=(COMPRESSION, OURS))
    for url in ("/small/", "/large/"):
        tags = [site.get(url)["ETag"] for _ in range(3)]
        for headers in (
            {"if_none_match": tags[0]},
            {"if_none_match": '"other"'},
            {"range": "bytes=0-0"},
            {"accept_encoding": "gzip"},
        ):
            site.get(url, **headers)
        site.head(url)
        assert set(tags) == {made[-1]}

    assert len(made) == 2


@pytest.mark.parametrize(("seconds", "is_served"), [(600, True), (5, False), (0, False)])
def test_stale_while_revalidate_s_serves_what_names_none_while_it_is_made_anew(
    seconds: int, is_served: bool
) -> None:
    runs = [0]
    refreshed = threading.Event()

    def view(request: Any) -> HttpResponse:
        runs[0] += 1
        if runs[0] == 1:
            return text("1", "max-age=10", Age="20")
        refreshed.set()
        return text(str(runs[0]), "max-age=600")

    with serving(SYNC, {"p/": view}, options={"STALE_WHILE_REVALIDATE_S": seconds}) as site:
        site.get("/p/")
        assert site.get("/p/").body == (b"1" if is_served else b"2")
        assert refreshed.wait(30)
        until = time.monotonic() + 30
        while site.get("/p/").body != b"2" and time.monotonic() < until:
            time.sleep(0.01)
        assert site.get("/p/").body == b"2"


@pytest.mark.parametrize("seconds", [0, 60])
def test_hit_for_miss_s_is_how_long_nobody_waits_after_an_answer_that_is_nobody_elses(seconds: int) -> None:
    lock, inside, most = threading.Lock(), [0], [0]
    both = threading.Event()

    def view(request: Any) -> HttpResponse:
        if "warm" not in request.META.get("HTTP_X_SIDE", ""):
            with lock:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                if inside[0] == 2:
                    both.set()
            both.wait(30 if seconds else 0.5)  # for the other, who does not come while it waits for this one
            with lock:
                inside[0] -= 1
        return text(cache_control="no-store")

    with serving(SYNC, {"p/": view}, options={"HIT_FOR_MISS_S": seconds}) as site:
        site.get("/p/", x_side="warm")
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda _: site.client_of_thread().get("/p/"), range(2)))

    assert most[0] == (2 if seconds else 1)
    assert len(site.runs) == 3


@pytest.fixture(scope="module")
def server() -> Iterator[Valkey]:
    with valkey() as running:
        yield running


@pytest.mark.parametrize("kind", ["redis", "tiered"])
def test_lock_s_is_how_long_others_wait_for_a_process_that_died(server: Valkey, kind: str) -> None:
    shared = {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": server.url, "KEY_PREFIX": kind}
    tiered = {"BACKEND": "perfsuite.caching.TieredCache", "OPTIONS": {"TIERS": {"cold": {"ALIAS": "shared"}}}}
    left_ms: list[int] = []

    def view(request: Any) -> HttpResponse:
        connection = django_redis.get_redis_connection("shared")
        left_ms.extend(left for key in connection.scan_iter() if (left := connection.pttl(key)) > 0)
        return text()

    with serving(
        SYNC, {"p/": view}, cache=shared if kind == "redis" else tiered,
        others={"shared": shared}, options={"LOCK_S": 7},
    ) as site:  # fmt: skip
        site.get("/p/")

    assert len(left_ms) == 1, "who runs the view has the turn"
    assert 0 < left_ms[0] <= 7_000


@pytest.mark.parametrize(("at_least", "is_aside"), [(1, True), (1_000_000, False)])
def test_compress_aside_bytes_says_what_is_compressed_off_the_event_loop(
    monkeypatch: pytest.MonkeyPatch, at_least: int, is_aside: bool
) -> None:
    names: dict[str, list[str]] = {"miss": [], "hit": []}

    def watch(module: Any, name: str, what: str) -> None:
        original = getattr(module, name)

        def watched(*args: Any) -> Any:
            names[what].append(threading.current_thread().name)
            return original(*args)

        monkeypatch.setattr(module, name, watched)

    from perfsuite.responses import compression

    watch(compression, "_encoded", "miss")
    watch(variants, "make", "hit")
    options = {"COMPRESS_ASIDE_BYTES": at_least}
    with serving(
        ASYNC, {"p/": lambda request: text("hello " * 500)}, middleware=(COMPRESSION, OURS), options=options
    ) as site:
        for _ in range(2):
            assert site.get("/p/", accept_encoding="gzip")["Content-Encoding"] == "gzip"

    assert len(names["hit"]) == 1
    assert [name.startswith("perfsuite-responses") for name in names["miss"]] == [is_aside]
    assert names["hit"][0].startswith("perfsuite-responses"), "a form that is kept is made once"
