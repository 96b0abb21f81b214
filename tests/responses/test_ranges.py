"""Parts of a stored page."""

from __future__ import annotations

from typing import Any

import pytest

from tests.responses.conftest import CACHES
from tests.responses.site import text

BODY = "".join(chr(97 + i % 26) for i in range(40_000))


@pytest.mark.parametrize("cache", CACHES.values(), ids=CACHES)
def test_single_ranges_are_served_from_the_stored_page(make_site: Any, cache: Any) -> None:
    site = make_site({"p/": lambda request: text(BODY)}, cache=cache)
    tag = site.get("/p/")["ETag"]

    for wanted, start, end in [
        ("0-9", 0, 9),
        ("39990-", 39_990, 39_999),
        ("-5", 39_995, 39_999),
        ("5-99999", 5, 39_999),
    ]:
        answer = site.get("/p/", range=f"bytes={wanted}")
        assert answer.status_code == 206
        assert answer.body.decode() == BODY[start : end + 1]
        assert answer["Content-Range"] == f"bytes {start}-{end}/40000"
        assert answer["Content-Length"] == str(end + 1 - start)
        assert answer["ETag"] == tag
    assert len(site.runs) == 1


def test_what_cannot_be_satisfied_is_a_416_and_what_is_malformed_the_whole(make_site: Any) -> None:
    site = make_site({"p/": lambda request: text(BODY)})
    site.get("/p/")

    beyond = site.get("/p/", range="bytes=40000-")
    assert (beyond.status_code, beyond["Content-Range"], beyond.body) == (416, "bytes */40000", b"")
    bomb = "bytes=" + ",".join(f"{i}-" for i in range(10_000))
    for wanted in ("bytes=9-3", "lines=0-9", "bytes=0-1,5-6", "bytes=", bomb, "x" * 64_000):
        assert site.get("/p/", range=wanted).body.decode() == BODY
    assert site.get("/p/", range="bytes=0-9").status_code == 206
    assert len(site.runs) == 1


def test_if_range_gives_the_whole_of_another_version(make_site: Any) -> None:
    site = make_site({"p/": lambda request: text(BODY)})
    tag = site.get("/p/")["ETag"]

    assert site.get("/p/", range="bytes=0-9", if_range=tag).status_code == 206
    assert site.get("/p/", range="bytes=0-9", if_range='"other"').status_code == 200
    assert site.get("/p/", range="bytes=0-9", if_range=f"W/{tag}").status_code == 200


def test_a_part_that_a_view_sends_is_not_stored(make_site: Any) -> None:
    def view(request: Any) -> Any:
        response = text("part", Content_Range="bytes 0-3/100")
        response.status_code = 206
        return response

    site = make_site({"p/": view})
    for _ in range(2):
        assert site.get("/p/", range="bytes=0-3").status_code == 206
    assert site.get("/p/").status_code == 206

    assert len(site.runs) == 3


def test_a_part_is_not_sent_with_the_digest_of_all_the_bytes(make_site: Any) -> None:
    fields = {"Content_Digest": "sha-256=:a:", "Content_MD5": "b", "Repr_Digest": "sha-256=:c:"}
    site = make_site({"p/": lambda request: text(BODY, **fields)})
    site.get("/p/")
    whole, part = site.get("/p/"), site.get("/p/", range="bytes=0-9")

    names = ("Content-Digest", "Content-MD5", "Repr-Digest")
    assert [whole.has_header(name) for name in names] == [True, True, True]
    assert [part.has_header(name) for name in names] == [False, False, True]
    assert len(site.runs) == 1
