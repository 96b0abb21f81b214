"""What a 304 brings, beside that the stored page is still right: to this client, and to the page (RFC 9111 3.2, 4.3.4)."""

from __future__ import annotations

from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse, HttpResponseNotModified

from tests.responses.site import text

pytestmark = pytest.mark.alike


class View:
    """A view that answers 304 to who has its page, by a response that the test makes."""

    def __init__(self, answer: Any, control: str = "max-age=0", content_type: str = "text/plain") -> None:
        self.answer, self.control, self.content_type = answer, control, content_type

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.headers.get("If-None-Match") != '"a"':
            response = text("hello", self.control, ETag='"a"')
            response["Content-Type"] = self.content_type
            return response
        answer: HttpResponse = self.answer()
        answer["ETag"] = '"a"'
        return answer


def with_cookie() -> HttpResponse:
    response = HttpResponseNotModified()
    response.set_cookie("seen", "1")
    return response


def with_raw_cookie() -> HttpResponse:
    response = HttpResponseNotModified()
    response["Set-Cookie"] = "seen=1"
    return response


@pytest.mark.parametrize("answer", [with_cookie, with_raw_cookie])
@pytest.mark.parametrize("known", ["", '"a"'], ids=["whole", "304"])
def test_its_cookies_are_for_the_client_that_asked_and_are_not_kept(
    make_site: Any, answer: Any, known: str
) -> None:
    site = make_site({"p/": View(answer)})
    assert not site.get("/p/").cookies
    second = site.get("/p/", **({"if_none_match": known} if known else {}))

    assert (second.status_code, second.body) == ((304, b"") if known else (200, b"hello"))
    assert second.get("Set-Cookie") == "seen=1" or second.cookies["seen"].value == "1"
    only_stored = site.get("/p/", cache_control="max-stale")
    assert "hit" in only_stored["Cache-Status"]
    assert not only_stored.cookies
    assert not only_stored.has_header("Set-Cookie")


def typed(content_type: str | None) -> Any:
    def answer() -> HttpResponse:
        response = HttpResponse(status=304, content_type=content_type)
        response["Cache-Control"] = "max-age=60"
        return response

    return answer


@pytest.mark.parametrize(
    ("told", "then"),
    [
        (None, "application/json"),  # Django's own text/html is nobody's word
        ("application/json; charset=utf-8", "application/json; charset=utf-8"),
    ],
)
def test_a_page_keeps_its_type_unless_it_is_told_another(make_site: Any, told: str | None, then: str) -> None:
    site = make_site({"p/": View(typed(told), content_type="application/json")})
    answers = [site.get("/p/") for _ in range(3)]

    assert len(site.runs) == 2
    assert [answer["Content-Type"] for answer in answers] == ["application/json", then, then]


def test_a_page_that_is_validated_by_head_is_fresh_for_get(make_site: Any) -> None:
    site = make_site({"p/": View(typed(None))})
    site.get("/p/")
    head = site.head("/p/")
    answer = site.get("/p/")

    assert (head.status_code, head.body, head["Content-Length"]) == (200, b"", "5")
    assert "; stored" in head["Cache-Status"]
    assert "; hit" in answer["Cache-Status"]
    assert answer.body == b"hello"
    assert len(site.runs) == 2


def test_the_type_that_django_gives_to_an_answer_to_head_is_not_the_pages(make_site: Any) -> None:
    def view(request: HttpRequest) -> HttpResponse:
        if request.method == "HEAD":  # as Django's documentation has it, for a view with a costly body
            response = HttpResponse()
            response["ETag"], response["Cache-Control"] = '"a"', "max-age=60"
            return response
        response = text('{"a": 1}', "max-age=60", ETag='"a"')
        response["Content-Type"] = "application/json"
        return response

    site = make_site({"p/": view})
    site.get("/p/")
    site.head("/p/", cache_control="no-cache")
    answer = site.get("/p/")

    assert len(site.runs) == 2
    assert answer["Content-Type"] == "application/json"
