"""Pages behind Django's own ContentSecurityPolicyMiddleware (Django 6): one whose nonce was read is never stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.sessions.backends.cache import SessionStore
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.template.backends.django import DjangoTemplates

from perfsuite.responses import cache_response
from tests.responses.site import OURS, SESSIONS, Site, text
from tests.responses.test_identity import IN_CACHE

csp = pytest.importorskip(
    "django.middleware.csp", reason="ContentSecurityPolicyMiddleware came with Django 6.0"
)
pytestmark = pytest.mark.alike

CSP = "django.middleware.csp.ContentSecurityPolicyMiddleware"
POLICY = {"script-src": ["'self'", "<CSP_NONCE_SENTINEL>"]}
HEADERS = {
    "SECURE_CSP": "Content-Security-Policy",
    "SECURE_CSP_REPORT_ONLY": "Content-Security-Policy-Report-Only",
}
READING = '<script nonce="{{ csp_nonce }}">'
NOT_READING = "<script src='a.js'>{% if csp_nonce %}never{% endif %}"


def rendering(source: str) -> Callable[[HttpRequest], HttpResponse]:
    """Return a view that renders a template with Django's context processor for the nonce."""
    options = {"context_processors": ["django.template.context_processors.csp"]}
    engine = DjangoTemplates({"NAME": "csp", "DIRS": [], "APP_DIRS": False, "OPTIONS": options})
    template = engine.from_string(source)
    return lambda request: text(template.render({}, request))


def handing_on(request: HttpRequest) -> HttpResponse:
    """Look at what holds the nonce, and not at the nonce."""
    assert csp.get_nonce(request) is not None
    return text()


def asking(request: HttpRequest) -> HttpResponse:
    """Read the nonce as a view of its own would."""
    return text(str(csp.get_nonce(request)))


def reading_late(request: HttpRequest) -> StreamingHttpResponse:
    """Read the nonce while the body is sent."""

    def body() -> Iterator[str]:
        yield "<script nonce="
        yield f"{csp.get_nonce(request)}>"

    response = StreamingHttpResponse(body(), content_type="text/html")
    response["Cache-Control"] = "max-age=60"
    return response


@pytest.fixture(params=["inside", "outside"])
def behind(request: pytest.FixtureRequest, make_site: Any) -> Callable[..., Site]:
    """Return what makes a site whose CSP middleware is inside or outside of the cache."""
    middleware = (OURS, CSP, SESSIONS) if request.param == "inside" else (CSP, OURS, SESSIONS)

    def make(view: Callable[..., Any], setting: str = "SECURE_CSP", policy: Any = POLICY) -> Site:
        return make_site({"p/": view}, middleware=middleware, **{setting: policy}, **IN_CACHE)  # type: ignore[no-any-return]

    return make


@pytest.mark.parametrize("setting", HEADERS)
@pytest.mark.parametrize("view", [rendering(READING), asking], ids=["template", "view"])
def test_a_page_whose_nonce_was_read_is_not_stored(
    behind: Callable[..., Site], view: Callable[..., Any], setting: str
) -> None:
    site = behind(view, setting)
    answers = [site.get("/p/") for _ in range(2)]

    assert len(site.runs) == 2
    policies = [answer[HEADERS[setting]] for answer in answers]
    nonces = [policy.partition("'nonce-")[2].rstrip("'") for policy in policies]
    assert "" not in nonces
    assert nonces[0] != nonces[1]
    for answer, nonce in zip(answers, nonces, strict=True):
        assert nonce in answer.body.decode()


def test_it_is_not_stored_without_a_policy_that_names_it_either(behind: Callable[..., Site]) -> None:
    site = behind(rendering(READING), policy={})
    assert site.get("/p/").body != site.get("/p/").body


def test_a_stream_that_reads_it_while_it_is_sent_is_not_stored(behind: Callable[..., Site]) -> None:
    site = behind(reading_late)
    assert site.get("/p/").body != site.get("/p/").body
    assert len(site.runs) == 2


def test_a_page_for_one_user_with_a_nonce_is_not_stored(behind: Callable[..., Site]) -> None:
    site = behind(cache_response(60, per="user")(rendering(READING)))
    session = SessionStore()
    session.update({"_auth_user_id": "1", "_auth_user_backend": "b", "_auth_user_hash": "h"})
    session.create()

    cookie = f"sessionid={session.session_key}"
    assert site.get("/p/", cookie=cookie).body != site.get("/p/", cookie=cookie).body


@pytest.mark.parametrize("setting", HEADERS)
@pytest.mark.parametrize("view", [rendering(NOT_READING), handing_on], ids=["template", "view"])
def test_a_page_that_does_not_read_it_is_stored_and_its_policy_has_none(
    behind: Callable[..., Site], view: Callable[..., Any], setting: str
) -> None:
    site = behind(view, setting)
    answers = [site.get("/p/") for _ in range(3)]

    assert len(site.runs) == 1
    assert "hit" in answers[2]["Cache-Status"]
    assert [answer[HEADERS[setting]] for answer in answers] == ["script-src 'self'"] * 3
