"""The middleware on bodies that are there at once: what is compressed, what is not, and what the header fields say."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory, override_settings

from perfsuite import conf
from perfsuite.responses import CompressionMiddleware, encoding, kinds, marks
from perfsuite.responses.negotiation import IDENTITY
from tests.recorded import Recorded
from tests.responses.asking import NAMES, OURS, async_get, coding_of, get
from tests.responses.decoding import decoded
from tests.responses.views import PAGE

pytestmark = [pytest.mark.urls("tests.responses.views"), pytest.mark.usefixtures("compressing")]


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
