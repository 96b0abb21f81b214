"""What a 200 to HEAD says of the page that is stored for GET (RFC 9111 4.3.5)."""

from __future__ import annotations

from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse

LARGE = "x" * 100_000


class Views:
    """A view whose ETag, body and lifetime the test sets."""

    def __init__(self, etag: str = '"1"', body: str = "one") -> None:
        self.etag, self.body, self.note = etag, body, "old"

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = HttpResponse(self.body)
        response["Cache-Control"], response["X-Note"] = "max-age=60", self.note
        if self.etag:
            response["ETag"] = self.etag
        return response


@pytest.mark.parametrize("body", ["one", LARGE], ids=["inline", "beside"])
def test_a_page_that_it_is_about_takes_its_fields(make_site: Any, body: str) -> None:
    view = Views(body=body)
    site = make_site({"p/": view})
    site.get("/p/")
    view.note = "new"
    site.head("/p/", cache_control="no-cache")
    answer = site.get("/p/")

    assert (answer["X-Note"], answer.body.decode()) == ("new", body)
    assert "hit" in answer["Cache-Status"]
    assert len(site.runs) == 2


@pytest.mark.parametrize("etag", ['"2"', ""], ids=["another", "none"])
def test_a_page_that_it_contradicts_or_may_contradict_is_made_anew(make_site: Any, etag: str) -> None:
    view = Views()
    site = make_site({"p/": view})
    site.get("/p/")
    view.etag, view.body = etag, "two"
    site.head("/p/", cache_control="no-cache")
    answer = site.get("/p/")

    assert answer.body == b"two"
    assert len(site.runs) == 3


def test_of_variants_the_one_that_was_asked_about_goes(make_site: Any) -> None:
    def view(request: HttpRequest) -> HttpResponse:
        language = request.META.get("HTTP_ACCEPT_LANGUAGE", "")
        versions[language] = versions.get(language, 0) + 1
        response = HttpResponse(f"{language}{versions[language]}")
        response["Cache-Control"], response["Vary"] = "max-age=60", "Accept-Language"
        response["ETag"] = f'"{versions[language]}"'
        return response

    versions: dict[str, int] = {}
    site = make_site({"p/": view})
    for language in ("de", "fr"):
        site.get("/p/", accept_language=language)
    site.head("/p/", accept_language="de", cache_control="no-cache")

    assert site.get("/p/", accept_language="fr").body == b"fr1"
    assert site.get("/p/", accept_language="de").body == b"de3"
