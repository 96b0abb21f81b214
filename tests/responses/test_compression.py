"""The middleware on bodies that are there at once: what is compressed, what is not, and what the header fields say."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client, RequestFactory, override_settings

from perfsuite import conf
from perfsuite.metrics import guard
from perfsuite.responses import CompressionMiddleware, aside, codings, compression, encoding, kinds, marks
from perfsuite.responses.negotiation import IDENTITY
from tests.recorded import Recorded
from tests.responses.decoding import decoded
from tests.responses.views import LARGE, NOISE, PAGE

OURS = "perfsuite.responses.CompressionMiddleware"
CONDITIONAL = "django.middleware.http.ConditionalGetMiddleware"
COMMON = "django.middleware.common.CommonMiddleware"
NAMES = ("zstd", "br", "gzip")

pytestmark = pytest.mark.urls("tests.responses.views")


@pytest.fixture(autouse=True)
def _middleware() -> Any:
    with override_settings(MIDDLEWARE=[OURS, CONDITIONAL, COMMON]):
        yield


def get(path: str, accept: str | None = "gzip", method: str = "GET", **headers: str) -> Any:
    fields = {"HTTP_" + name.upper(): value for name, value in headers.items()}
    if accept is not None:
        fields["HTTP_ACCEPT_ENCODING"] = accept
    return Client().generic(method, path, **fields)


def async_get(path: str, accept: str | None = "gzip", method: str = "GET") -> Any:
    # The async client of Django's takes the fields without the HTTP_ of the sync one.
    fields = {} if accept is None else {"ACCEPT_ENCODING": accept}

    async def ask() -> Any:
        return await getattr(AsyncClient(), method.lower())(path, **fields)

    return async_to_sync(ask)()


def coding_of(response: Any) -> str:
    return str(response.get("Content-Encoding") or IDENTITY)


@pytest.mark.parametrize("asked", [get, async_get])
@pytest.mark.parametrize("path", ["/page/", "/async/page/"])
@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_compressed_by_each_coding(asked: Any, path: str, name: str) -> None:
    response = asked(path, name)

    assert coding_of(response) == name
    assert decoded(name, response.content) == PAGE
    assert len(response.content) < len(PAGE) / 4
    assert response["Content-Length"] == str(len(response.content))
    assert response["Vary"] == "Accept-Encoding"
    assert response["Content-Type"].startswith("text/html")


@pytest.mark.parametrize("accept", [None, "", "identity", "gzip;q=0", "deflate", "gzip;q=oops", "x" * 65_536])
@pytest.mark.parametrize("asked", [get, async_get])
def test_a_client_that_decodes_nothing_gets_the_page_as_it_is(asked: Any, accept: str | None) -> None:
    response = asked("/page/", accept)

    assert response.status_code == 200
    assert response.content == PAGE
    assert not response.has_header("Content-Encoding")
    assert response["Content-Length"] == str(len(PAGE))
    assert response["Vary"] == "Accept-Encoding"
    assert response["ETag"].startswith('"')


LEFT_ALONE = [
    "status=204&body=empty",
    "status=206&Content-Range=bytes 0-4914/9999",
    "status=205",
    "Content-Encoding=br",
    "Content-Encoding=identity",
    "Content-Range=bytes */5",
    "Cache-Control=no-transform",
    "Cache-Control=private, No-Transform, max-age=5",
    'Cache-Control=private="a", no-transform',
    "Content-Type=image/png",
    "Content-Type=application/zip",
    "Content-Type=video/mp4",
    "Content-Type=font/woff2",
    "Content-Type=nonsense",
    "Content-Type=" + "x" * 70_000,
    "Content-Type=",
]


@pytest.mark.parametrize("query", LEFT_ALONE, ids=lambda query: query[:40])
@pytest.mark.parametrize("asked", [get, async_get])
def test_what_is_not_to_be_compressed_is_left_alone_and_depends_on_nothing(asked: Any, query: str) -> None:
    path = f"/with-headers/?{query.replace(' ', '%20')}"
    response, plain = asked(path, "gzip"), asked(path, None)

    assert response.content == plain.content
    assert response.content in (PAGE, b"")
    assert response.has_header("Content-Encoding") == ("Content-Encoding" in query)
    assert not response.has_header("Vary")
    assert response.get("ETag") == plain.get("ETag")


@pytest.mark.parametrize("path", ["/never/", "/async/never/", "/never-by-attribute/"])
@pytest.mark.parametrize("asked", [get, async_get])
def test_a_view_can_say_no(asked: Any, path: str) -> None:
    response = asked(path, "gzip, br, zstd")

    assert response.content == PAGE
    assert not response.has_header("Content-Encoding")
    assert not response.has_header("Vary")


@pytest.mark.parametrize("status", [200, 201, 203, 400, 403, 404, 410, 500, 503])
def test_pages_of_errors_are_compressed_too(status: int) -> None:
    response = get(f"/with-headers/?status={status}")

    assert response.status_code == status
    assert coding_of(response) == "gzip"


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "TEXT/HTML; charset=x",
        "application/json",
        "application/ld+json;a=b",
        "image/svg+xml",
        "application/xml",
    ],
)
def test_types_that_compress_well_are_compressed(content_type: str) -> None:
    assert coding_of(get(f"/with-headers/?Content-Type={content_type.replace('+', '%2B')}")) == "gzip"


@pytest.mark.parametrize(
    ("body", "refused"), [("small", False), ("noise", False), ("empty", False), ("small", True)]
)
def test_what_would_not_become_smaller_is_sent_as_it_is_unless_that_is_refused(
    body: str, refused: bool
) -> None:
    accept = "gzip, identity;q=0" if refused else "gzip"
    response = get(f"/with-headers/?body={body}", accept)

    assert coding_of(response) == ("gzip" if refused else IDENTITY)
    assert response["Vary"] == "Accept-Encoding"
    assert response["Content-Length"] == str(len(response.content))
    assert decoded(coding_of(response), response.content) == get(f"/with-headers/?body={body}", None).content


def test_the_bounds_are_options() -> None:
    with override_settings(
        PERFSUITE={"RESPONSES": {"COMPRESS_MIN_BYTES": 50, "COMPRESS_TYPES": ["image/*"], "PADDING_BYTES": 0}}
    ):
        assert coding_of(get("/with-headers/?body=small")) == IDENTITY
        assert coding_of(get("/with-headers/?body=small&Content-Type=image/png")) == "gzip"
    with override_settings(PERFSUITE={"RESPONSES": {"CODINGS": ["gzip", "br"]}}):
        assert coding_of(get("/page/", "br, gzip, zstd")) == "gzip"
    with override_settings(PERFSUITE={"RESPONSES": {"CODINGS": []}}):
        assert coding_of(get("/page/", "br, gzip, zstd")) == IDENTITY


def test_fields_that_told_of_the_bytes_as_they_were_go(recorded: Recorded) -> None:
    query = "Accept-Ranges=bytes&Content-MD5=x&Content-Digest=x&Repr-Digest=x&Digest=x&X-Other=stays"
    response, plain = get(f"/with-headers/?{query}"), get(f"/with-headers/?{query}", None)

    for name in encoding.OUTDATED:
        assert plain.has_header(name)
        assert not response.has_header(name)
    assert response["X-Other"] == "stays"


VARY = [
    ("", "Accept-Encoding"),
    ("Cookie", "Cookie, Accept-Encoding"),
    ("accept-ENCODING , Cookie", "accept-ENCODING , Cookie"),
    ("X-Accept-Encoding", "X-Accept-Encoding, Accept-Encoding"),
    ("*", "*"),
    ("Cookie, *", "Cookie, *"),
]


@pytest.mark.parametrize(("before", "after"), VARY)
@pytest.mark.parametrize("accept", ["gzip", None])
def test_vary_names_accept_encoding_once(before: str, after: str, accept: str | None) -> None:
    assert get(f"/with-headers/?Vary={before}", accept)["Vary"] == after


def test_ten_thousand_names_in_vary_do_no_harm() -> None:
    names = ", ".join(f"X-{n}" for n in range(10_000))
    assert encoding.with_accept_encoding(names) == f"{names}, Accept-Encoding"


# ETags


def test_a_compressed_page_has_a_weak_etag_and_is_validated_by_either() -> None:
    plain, packed = get("/page/", None), get("/page/", "br")
    assert packed["ETag"] == "W/" + plain["ETag"]
    assert get("/page/", "br")["ETag"] == packed["ETag"]
    assert get("/page/", "gzip")["ETag"] == packed["ETag"]  # the coding does not change what a page says

    for accept in ("br", "gzip", None):
        for known in (plain["ETag"], packed["ETag"], f'"other", {packed["ETag"]}'):
            response = get("/page/", accept, if_none_match=known)
            assert response.status_code == 304
            assert response["Vary"] == "Accept-Encoding"
            assert response["ETag"] == (plain["ETag"] if known == plain["ETag"] else packed["ETag"])
            assert response.content == b""
            assert not response.has_header("Content-Encoding")
    assert get("/page/", "br", if_none_match='"other"').status_code == 200
    assert get("/page/", "br", if_none_match="*")["ETag"] == plain["ETag"]


@pytest.mark.parametrize("path", ["/tagged/", "/weakly-tagged/"])
def test_a_views_own_etag_is_weak_where_it_is_compressed(path: str) -> None:
    response = get(path, "gzip")
    assert response["ETag"] == 'W/"page-1"'
    assert get(path, "gzip", if_none_match=response["ETag"]).status_code == 304
    assert get(path, "gzip", if_none_match=response["ETag"])["ETag"] == 'W/"page-1"'
    assert get(path, "gzip", method="HEAD", if_none_match=response["ETag"]).status_code == 304


def test_a_weak_etag_does_not_match_where_the_bytes_matter() -> None:
    assert get("/tagged/", "gzip", method="PUT", if_match='W/"page-1"').status_code == 412
    assert get("/tagged/", "gzip", method="PUT", if_match='"page-1"').status_code == 200


@pytest.mark.parametrize("known", ["", ",", '"', "W/", "\x00", 'W/"' + "x" * 65_536 + '"', '"a",' * 16_384])
def test_an_if_none_match_that_is_none_does_no_harm(known: str) -> None:
    response = get("/page/", "gzip", if_none_match=known)
    assert response.status_code == 200
    assert decoded("gzip", response.content) == PAGE


# HEAD


@pytest.mark.parametrize("asked", [get, async_get])
@pytest.mark.parametrize("accept", ["gzip", "zstd", None])
def test_head_has_the_fields_of_get_as_far_as_they_are_known(asked: Any, accept: str | None) -> None:
    head, whole = asked("/tagged/", accept, method="HEAD"), asked("/tagged/", accept)

    assert head.content == b""
    for name in ("Content-Encoding", "Content-Type", "ETag", "Vary"):
        assert head.get(name) == whole.get(name)
    assert head.get("Content-Length") == (None if accept else whole["Content-Length"])


def test_head_of_what_is_small_has_its_length() -> None:
    assert get("/with-headers/?body=small", "gzip", method="HEAD")["Content-Length"] == "100"


def test_head_costs_no_compression(recorded: Recorded) -> None:
    get("/page/", "gzip", method="HEAD")
    assert recorded.count(kinds.COMPRESSION) == recorded.count(kinds.BYTES_AFTER) == 0


# What strangers could learn (BREACH)


def lengths(path: str, name: str, times: int = 60) -> set[int]:
    return {len(get(path, name).content) for _ in range(times)}


@pytest.mark.parametrize("name", NAMES)
def test_the_length_of_what_may_hold_secrets_is_a_matter_of_chance(name: str) -> None:
    found = lengths("/page/", name)

    assert len(found) > 10
    assert max(found) - min(found) <= 100
    assert len(lengths("/with-headers/?Cache-Control=private, max-age=60", name)) > 10


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("cache_control", ["public", "max-age=5, PUBLIC", "s-maxage=60"])
def test_what_anybody_may_see_is_the_same_each_time(name: str, cache_control: str) -> None:
    path = f"/with-headers/?Cache-Control={cache_control}"
    assert len({get(path, name).content for _ in range(10)}) == 1


@pytest.mark.parametrize("name", NAMES)
def test_padding_can_be_turned_off(name: str) -> None:
    with override_settings(PERFSUITE={"RESPONSES": {"PADDING_BYTES": 0}}):
        assert len(lengths("/page/", name, 10)) == 1


# Large bodies, and the event loop


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("path", ["/large/", "/async/large/"])
def test_under_asgi_a_large_body_is_compressed_off_the_event_loop(
    monkeypatch: pytest.MonkeyPatch, name: str, path: str
) -> None:
    threads: list[str] = []
    encoded = compression._encoded

    def watched(work: Any) -> Any:
        threads.append(threading.current_thread().name)
        return encoded(work)

    monkeypatch.setattr(compression, "_encoded", watched)
    response = async_get(path, name)
    assert decoded(name, response.content) == LARGE
    assert async_get("/async/page/", name).status_code == 200
    assert get(path, name).status_code == 200

    assert threads[0].startswith("perfsuite-responses")
    assert not threads[1].startswith("perfsuite-responses")
    assert not threads[2].startswith("perfsuite-responses")


def test_very_large_bodies_are_compressed_at_the_fastest_level() -> None:
    assert encoding.level_for("br", codings.FAST_ABOVE_BYTES) == 4
    assert [encoding.level_for(name, codings.FAST_ABOVE_BYTES + 1) for name in NAMES] == [1, 1, 1]


def test_many_requests_at_once_each_get_their_own_page() -> None:
    async def ask(client: AsyncClient, number: int) -> bool:
        name = NAMES[number % 3]
        path = f"/with-headers/?X-Number={number}" if number % 2 else "/async/large/"
        response = await client.get(path, ACCEPT_ENCODING=name)
        right = decoded(name, response.content) == (PAGE if number % 2 else LARGE)
        return right and coding_of(response) == name and response.get("X-Number", str(number)) == str(number)

    async def run() -> list[bool]:
        client = AsyncClient()
        return await asyncio.gather(*(ask(client, number) for number in range(40)))

    assert all(asyncio.run(run()))


def test_many_threads_at_once_each_get_their_own_page() -> None:
    right: list[bool] = []

    def ask(number: int) -> None:
        name = NAMES[number % 3]
        for _ in range(10):
            response = Client().get(f"/with-headers/?X-Number={number}", HTTP_ACCEPT_ENCODING=name)
            right.append(decoded(name, response.content) == PAGE and response["X-Number"] == str(number))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(right) == 80
    assert all(right)


def test_a_request_that_is_cancelled_while_its_body_is_compressed_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun, go_on = threading.Event(), threading.Event()
    encoded = compression._encoded

    def slow(work: Any) -> Any:
        begun.set()
        go_on.wait(10)
        return encoded(work)

    monkeypatch.setattr(compression, "_encoded", slow)

    async def run() -> None:
        task = asyncio.ensure_future(AsyncClient().get("/async/large/", ACCEPT_ENCODING="gzip"))
        assert await asyncio.to_thread(begun.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    try:
        asyncio.run(run())
    finally:
        go_on.set()


# Failures


class Broken:
    """Breaks at whatever is asked of it."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("broken hook")


HOOKS = [
    "_begin",
    "_encoded",
    "finish",
    "encoding.is_negotiable",
    "encoding.encoded",
    "encoding.coding_for",
    "encoding.fields",
]


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("asked", [get, async_get])
@pytest.mark.parametrize("path", ["/page/", "/large/"])
def test_whatever_breaks_the_page_is_sent_as_it_is(
    recorded: Recorded,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    hook: str,
    asked: Any,
    path: str,
) -> None:
    owner, _, name = hook.rpartition(".")
    monkeypatch.setattr(encoding if owner else compression, name, Broken())
    with caplog.at_level(logging.ERROR, "perfsuite.metrics"):
        for _ in range(12):
            response = asked(path)
            assert response.status_code == 200
            assert response.content == (PAGE if path == "/page/" else LARGE)
            assert not response.has_header("Content-Encoding")
            assert response["Content-Length"] == str(len(response.content))

    assert recorded.count("self.failures", "compression") == 1
    assert recorded.sum("self.failures", "compression") == 10
    assert "compression" in guard.disabled_hooks
    assert len(caplog.records) == 2  # the first failure, and that the hook is off


def test_a_coding_that_breaks_leaves_the_page_as_it_is(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    class BrokenCoding:
        name = "br"
        encode = stream = Broken()

    codings.offered(codings.NAMES)
    monkeypatch.setitem(codings._found, "br", BrokenCoding())

    response = get("/page/", "br")
    assert response.content == PAGE
    assert not response.has_header("Content-Encoding")
    stream = get("/stream/", "br")
    assert b"".join(stream).startswith(b'{"id": 0')
    assert not stream.has_header("Content-Encoding")
    assert recorded.sum("self.failures", "compression") == 2


def test_an_error_of_the_view_goes_on_as_it_was() -> None:
    response = Client(raise_request_exception=False).get("/error/", HTTP_ACCEPT_ENCODING="gzip")
    assert response.status_code == 500
    with pytest.raises(RuntimeError, match="the view fails"):
        get("/error/")


# Switches, options and figures


def test_switched_off_it_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        override_settings(PERFSUITE={"RESPONSES": {"COMPRESSION_ENABLED": False}}),
        pytest.raises(MiddlewareNotUsed, match="COMPRESSION_ENABLED"),
    ):
        CompressionMiddleware(lambda request: HttpResponse())
    monkeypatch.setenv("COMPRESSION_ENABLED", "false")
    conf.reset()
    try:
        response = get("/page/")
    finally:
        monkeypatch.undo()
        conf.reset()
    assert response.content == PAGE
    assert not response.has_header("Vary")


def test_what_was_sent_and_what_that_saved_is_recorded(recorded: Recorded) -> None:
    sizes = [len(get("/page/", name).content) for name in ("br", "br", "gzip")]
    get("/page/", None)
    get("/never/", "br")

    assert recorded.labels(kinds.BYTES_BEFORE) == {("br",), ("gzip",)}
    assert recorded.sum(kinds.BYTES_BEFORE, "br") == 2 * len(PAGE)
    assert recorded.sum(kinds.BYTES_AFTER, "br") == sum(sizes[:2])
    assert recorded.sum(kinds.BYTES_AFTER, "gzip") == sizes[2]
    assert recorded.count(kinds.COMPRESSION, "br") == 2
    assert recorded.sum(kinds.COMPRESSION, "br") > 0


def test_nothing_is_recorded_where_monitoring_is_off(recorded: Recorded) -> None:
    with override_settings(PERFSUITE={"METRICS": {"ENABLED": False}}):
        assert coding_of(get("/page/")) == "gzip"
    assert recorded.count(kinds.BYTES_BEFORE) == recorded.count(kinds.COMPRESSION) == 0


def test_the_innermost_of_two_does_the_work(recorded: Recorded) -> None:
    with override_settings(MIDDLEWARE=[OURS, OURS]):
        response = get("/page/", "gzip")
    assert decoded("gzip", response.content) == PAGE
    assert recorded.count(kinds.COMPRESSION) == 1


def test_what_is_marked_as_negotiated_is_passed_on_untouched() -> None:
    def inner(request: HttpRequest) -> HttpResponse:
        response = HttpResponse(PAGE)
        marks.mark(response, compress=False)
        return response

    response = CompressionMiddleware(inner)(RequestFactory().get("/", HTTP_ACCEPT_ENCODING="gzip"))
    assert isinstance(response, HttpResponse)
    assert response.content == PAGE
    assert list(response.items()) == list(HttpResponse(PAGE).items())


# For a cache


FIELDS = {"content-type": "text/html", "etag": '"abc"', "vary": "Cookie", "accept-ranges": "bytes"}


def test_a_cache_can_store_what_a_client_would_get() -> None:
    assert encoding.is_negotiable(200, FIELDS.get)
    negotiated = encoding.coding_for("br, gzip", len(PAGE))
    made = encoding.encoded(PAGE, {**FIELDS, "cache-control": "public"}.get, negotiated)

    assert made is not None
    assert made.coding == negotiated.coding == "br"
    assert decoded("br", made.body) == PAGE
    assert made.fields == {
        "Content-Encoding": "br",
        "Content-Length": str(len(made.body)),
        "Vary": "Cookie, Accept-Encoding",
        "ETag": 'W/"abc"',
        "Accept-Ranges": None,
    }


def test_a_cache_is_told_where_there_is_nothing_to_store() -> None:
    assert encoding.encoded(PAGE, FIELDS.get, encoding.coding_for(None)) is None
    assert encoding.encoded(NOISE, FIELDS.get, encoding.coding_for("gzip")) is None
    assert encoding.coding_for("gzip", 100).coding == IDENTITY
    assert not encoding.is_negotiable(200, {"content-type": "image/png"}.get)
    with override_settings(PERFSUITE={"RESPONSES": {"COMPRESSION_ENABLED": False}}):
        assert encoding.coding_for("gzip", 10_000).coding == IDENTITY


def test_the_threads_are_made_anew_in_a_child() -> None:
    assert asyncio.run(aside.aside(threading.current_thread)).name.startswith("perfsuite-responses")
    aside._forget()
    assert aside._threads is None
    assert asyncio.run(aside.aside(sum, [1, 2])) == 3
    gc.collect()
