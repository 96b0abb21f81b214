"""Tags: of responses, of what they are made of, to CDNs and browsers. While a page renders: test_tag_races.py."""

from __future__ import annotations

from typing import Any

import pytest
from django.http import HttpResponse, StreamingHttpResponse
from django.template import engines

from perfsuite.caching import cached, invalidate_tags
from perfsuite.caching.functions import tags_invalidated
from perfsuite.responses import cache_response
from tests.responses.conftest import CACHES
from tests.responses.site import text


@pytest.mark.parametrize("cache", CACHES.values(), ids=CACHES)
def test_a_tag_drops_the_pages_that_carry_it_and_no_others(make_site: Any, cache: Any) -> None:
    def view(request: Any, tag: str) -> HttpResponse:
        request.perfsuite.tags.add(tag)
        return text(Vary="X-Side")

    site = make_site({"p/<tag>/": view}, cache=cache)
    asked = [("/p/a/", {}), ("/p/a/", {"x_side": "left"}), ("/p/b/", {})]
    for url, headers in asked:
        site.get(url, **headers)
    site.runs.clear()

    invalidate_tags("a")
    for _ in range(2):
        for url, headers in asked:
            site.get(url, **headers)

    assert site.runs == ["/p/a/", "/p/a/"]


def test_tags_of_cached_values_and_of_fragments_are_the_pages_too(make_site: Any) -> None:
    @cached(60, tags=["menu:{n}"])
    def menu(n: int) -> str:
        return "menu"

    @cached(60, tags=["footer"])
    async def footer() -> str:
        return "footer"

    template = engines["django"].from_string(
        '{% load tiered_cache %}{% tieredcache 60 "side" tags="side" %}side{% endtieredcache %}'
    )

    async def view(request: Any) -> HttpResponse:
        return text(menu(1) + await footer() + template.render())

    site = make_site({"p/": view}, options={"TAG_HEADERS": ["Surrogate-Key", "Cache-Tag"]})
    for _ in range(2):  # the second time, all of them are hits
        answer = site.get("/p/")
        assert answer["Surrogate-Key"] == "footer menu:1 side"
        assert answer["Cache-Tag"] == "footer,menu:1,side"
        invalidate_tags("other")
    runs = len(site.runs)
    for tag in ("footer", "menu:1", "side"):
        invalidate_tags(tag)
        site.get("/p/")

    assert runs == 1
    assert len(site.runs) == 4


def test_tags_are_not_told_to_the_outside_unless_asked_for(make_site: Any) -> None:
    site = make_site({"p/": cache_response(60, tags=["secret"])(lambda request: text())})

    for _ in range(2):
        assert not any("secret" in value for _, value in site.get("/p/").items())


def test_tags_by_callable_get_the_request_and_the_arguments(make_site: Any) -> None:
    view = cache_response(60, tags=lambda request, slug: [f"{request.method}:{slug}"])(
        lambda request, slug: text(cache_control=None)
    )
    site = make_site({"p/<slug>/": view})
    site.get("/p/a/")
    invalidate_tags("GET:a")
    site.get("/p/a/")

    assert len(site.runs) == 2


def test_the_client_is_told_which_tags_its_request_invalidated(make_site: Any) -> None:
    def view(request: Any) -> HttpResponse:
        if request.method == "POST":
            invalidate_tags("pages", "page:1")
            invalidate_tags("perfsuite:internal", "pages")
        return text(cache_control=None)

    site = make_site({"p/": view})

    assert site.post("/p/")["X-Perfsuite-Invalidate"] == "pages,page:1"
    assert not site.get("/p/").has_header("X-Perfsuite-Invalidate")

    site = make_site({"p/": view}, options={"INVALIDATE_HEADER": False})
    assert not site.post("/p/").has_header("X-Perfsuite-Invalidate")


def test_very_many_tags_are_told_as_all(make_site: Any) -> None:
    def view(request: Any) -> HttpResponse:
        invalidate_tags(*[f"page:{i}" for i in range(500)])
        return text(cache_control=None)

    assert make_site({"p/": view}).post("/p/")["X-Perfsuite-Invalidate"] == "*"


def test_a_cdn_hears_of_invalidated_tags_and_its_failure_hurts_nobody(make_site: Any) -> None:
    heard: list[Any] = []

    def purge(*, tags: Any, mode: str, **kwargs: Any) -> None:
        heard.append((tags, mode))
        raise RuntimeError("the CDN is away")

    tags_invalidated.connect(purge)
    try:
        invalidate_tags("a", "b", mode="remove")
    finally:
        tags_invalidated.disconnect(purge)

    assert heard == [(("a", "b"), "remove")]


def test_tags_of_what_a_stream_uses_while_it_runs_are_the_pages_too(make_site: Any) -> None:
    @cached(60, tags=["row"])
    def row() -> str:
        return "row"

    def rows(request: Any) -> Any:
        for _ in range(2):
            yield row().encode()
        request.perfsuite.tags.add("end")

    def view(request: Any) -> StreamingHttpResponse:
        response = StreamingHttpResponse(rows(request))
        response["Cache-Control"] = "max-age=60"
        return response

    site = make_site({"p/": view})
    for tag in ("row", "end"):
        site.runs.clear()
        for _ in range(2):
            assert site.get("/p/").body == b"rowrow"
        assert len(site.runs) == 1
        invalidate_tags(tag)
    site.get("/p/")
    assert len(site.runs) == 2


def test_a_page_of_too_many_tags_is_not_stored(make_site: Any) -> None:
    def view(request: Any) -> HttpResponse:
        request.perfsuite.tags.update(f"t:{n}" for n in range(201))
        return text()

    site = make_site({"p/": view})
    for _ in range(2):
        site.get("/p/")

    assert len(site.runs) == 2


def test_views_may_add_tags_where_the_cache_has_no_part_in_it(make_site: Any) -> None:
    def view(request: Any) -> HttpResponse:
        request.perfsuite.tags.add("t")
        return text()

    site = make_site({"p/": view}, options={"CACHE_ENABLED": False})
    assert site.get("/p/").status_code == 200
    site = make_site({"p/": view})
    for method in ("options", "trace", "put", "get"):
        assert site.ask(method, "/p/").status_code == 200
    assert site.get("/p/?" + "a" * 10_000).status_code == 200
    site = make_site({"p/": view}, options={"ALIAS": "missing"})
    assert site.get("/p/").status_code == 200
