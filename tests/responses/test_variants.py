"""The compressed forms of stored pages."""

from __future__ import annotations

import gzip
from typing import Any

import pytest
from django.http import HttpResponse, StreamingHttpResponse

from perfsuite.caching import invalidate_tags
from perfsuite.responses import cache_response, encoding, never_compress_response
from tests.responses.conftest import CACHES
from tests.responses.site import OURS, text

COMPRESSION = "perfsuite.responses.CompressionMiddleware"
STACK = (COMPRESSION, OURS)
GZIP = {"accept_encoding": "gzip"}
BODY = "compress me " * 1_000
LARGE = "compress me too " * 10_000


@pytest.fixture
def encodings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that has an item for each time that a body is compressed."""
    made: list[str] = []
    really = encoding.encoded

    def counting(body: bytes, get: Any, negotiated: Any) -> Any:
        made.append(negotiated.coding)
        return really(body, get, negotiated)

    monkeypatch.setattr(encoding, "encoded", counting)
    return made


@pytest.mark.parametrize("cache", CACHES.values(), ids=CACHES)
@pytest.mark.parametrize("body", [BODY, LARGE], ids=["inline", "beside"])
def test_a_page_is_compressed_once_for_all_who_want_it_so(
    make_site: Any, cache: Any, body: str, encodings: list[str]
) -> None:
    site = make_site({"p/": lambda request: text(body)}, middleware=STACK, cache=cache)
    plain = site.get("/p/")

    answers = [site.get("/p/", **GZIP) for _ in range(4)]

    assert len(site.runs) == 1
    assert encodings == ["gzip"]
    for answer in answers:
        assert gzip.decompress(answer.body).decode() == body
        assert answer["Content-Encoding"] == "gzip"
        assert answer["Content-Length"] == str(len(answer.body))
        assert answer["Vary"] == "Accept-Encoding"
        assert answer["ETag"] == "W/" + plain["ETag"]
        assert "hit" in answer["Cache-Status"]
    as_is = site.get("/p/")
    assert as_is.body.decode() == body
    assert as_is["Vary"] == "Accept-Encoding"
    assert not as_is.has_header("Content-Encoding")
    assert as_is["ETag"] == plain["ETag"]


def test_a_first_answer_that_is_compressed_is_stored_as_it_is(make_site: Any) -> None:
    site = make_site({"p/": lambda request: text(BODY)}, middleware=STACK)

    assert gzip.decompress(site.get("/p/", **GZIP).body).decode() == BODY
    assert site.get("/p/").body.decode() == BODY
    assert len(site.runs) == 1


def test_a_client_that_has_the_compressed_form_gets_a_304(make_site: Any) -> None:
    site = make_site({"p/": lambda request: text(BODY)}, middleware=STACK)
    site.get("/p/")
    tag = site.get("/p/", **GZIP)["ETag"]

    answer = site.get("/p/", **GZIP, if_none_match=tag)

    assert (answer.status_code, answer["ETag"], answer["Vary"]) == (304, tag, "Accept-Encoding")


def test_parts_and_heads_are_of_the_page_as_it_is(make_site: Any) -> None:
    site = make_site({"p/": lambda request: text(BODY)}, middleware=STACK)
    site.get("/p/")

    part = site.get("/p/", **GZIP, range="bytes=0-9")
    assert (part.status_code, part.body) == (206, BODY[:10].encode())
    assert not part.has_header("Content-Encoding")
    assert site.head("/p/", **GZIP).body == b""


def test_a_new_version_has_new_forms(make_site: Any) -> None:
    version = [1]
    site = make_site(
        {"p/": cache_response(60, tags=["t"])(lambda request: text(f"{version[0]}" * 1_000))},
        middleware=STACK,
    )
    for _ in range(2):
        site.get("/p/", **GZIP)
    version[0] = 2
    invalidate_tags("t")

    for _ in range(3):
        assert gzip.decompress(site.get("/p/", **GZIP).body) == b"2" * 1_000


@pytest.mark.parametrize(
    ("view", "why"),
    [
        (lambda request: text("short"), "too short"),
        (lambda request: HttpResponse(BODY, content_type="image/png"), "its type"),
        (lambda request: text(BODY, "max-age=60, no-transform"), "it says so"),
        (never_compress_response(lambda request: text(BODY)), "its view says so"),
        (lambda request: text(BODY, Content_Encoding="x-mine"), "it is coded already"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_what_is_not_to_be_compressed_is_not_from_the_store_either(
    make_site: Any, view: Any, why: str, encodings: list[str]
) -> None:
    site = make_site({"p/": cache_response(60)(view)}, middleware=STACK)

    for _ in range(3):
        answer = site.get("/p/", **GZIP)
        assert answer.get("Content-Encoding", "x-mine") == "x-mine"

    assert len(site.runs) == 1
    assert encodings == []


def test_without_the_middleware_outside_the_cache_compresses_nothing(
    make_site: Any, encodings: list[str]
) -> None:
    for middleware in ((OURS,), (OURS, COMPRESSION)):
        site = make_site({"p/": lambda request: text(BODY, Vary="Accept-Encoding")}, middleware=middleware)
        for _ in range(3):
            assert len(site.runs) <= 1
            answer = site.get("/p/", **GZIP)
    # Inside, the middleware compresses what is stored, which then is a variant of its own.
    assert gzip.decompress(answer.body).decode() == BODY
    assert encodings == ["gzip"]
    assert site.get("/p/").body.decode() == BODY


def test_what_does_not_get_smaller_is_sent_as_it_is(make_site: Any, encodings: list[str]) -> None:
    import secrets

    noise = secrets.token_bytes(2_000)
    site = make_site(
        {"p/": cache_response(60)(lambda request: HttpResponse(noise, content_type="text/plain"))},
        middleware=STACK,
    )
    site.get("/p/")
    for _ in range(3):
        answer = site.get("/p/", **GZIP)
        assert answer.body == noise
        assert answer["Vary"] == "Accept-Encoding"

    assert len(encodings) == 1


def test_a_stream_that_is_compressed_while_it_passes_is_stored_as_its_view_made_it(make_site: Any) -> None:
    def view(request: Any) -> StreamingHttpResponse:
        response = StreamingHttpResponse(iter([BODY.encode()] * 2), content_type="text/plain")
        response["Cache-Control"] = "max-age=60"
        return response

    site = make_site({"p/": view}, middleware=STACK)

    first, plain, again = site.get("/p/", **GZIP), site.get("/p/"), site.get("/p/", **GZIP)

    assert [answer.get("Content-Encoding") for answer in (first, plain, again)] == [
        "gzip",
        None,
        "gzip",
    ]
    assert gzip.decompress(first.body) == plain.body == gzip.decompress(again.body) == BODY.encode() * 2
    assert again["Cache-Status"].count("perfsuite") == 1
    assert len(site.runs) == 1
