"""Nobody gets what may be another's: each way in which a page can become somebody's, and what may be stored all the same."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import get_user_model
from django.http import HttpResponse
from django.middleware.csrf import get_token
from django.utils import translation
from django.utils.functional import SimpleLazyObject

from perfsuite.responses.identity import WatchedCookies, watch_cookies
from perfsuite.tenancy import current_tenant
from tests.responses.site import (
    AUTH,
    COMMON,
    CSRF,
    LOCALE,
    MESSAGES,
    OURS,
    SESSIONS,
    TENANTS,
    text,
)

STACK = (OURS, SESSIONS, COMMON, CSRF, AUTH, MESSAGES)
IN_CACHE = {"SESSION_ENGINE": "django.contrib.sessions.backends.cache"}


def reads_session(request: Any) -> None:
    request.session.get("cart")


def reads_user(request: Any) -> None:
    str(request.user)


def asks_for_token(request: Any) -> None:
    get_token(request)


def reads_messages(request: Any) -> None:
    list(messages.get_messages(request))


def leaves_message(request: Any) -> None:
    messages.info(request, "saved")


def reads_cookie(request: Any) -> None:
    request.COOKIES.get("theme")


def looks_for_cookie(request: Any) -> None:
    assert "theme" not in request.COOKIES


def reads_all_cookies(request: Any) -> None:
    dict(request.COOKIES)


def reads_session_cookie(request: Any) -> None:
    request.COOKIES.get(settings.SESSION_COOKIE_NAME)


def reads_language_cookie(request: Any) -> None:
    translation.get_language_from_request(request)


def replaces_cookies(request: Any) -> None:
    request.COOKIES = {}


def puts_user(request: Any) -> None:
    request.user = get_user_model()(username="ada")


def puts_nobody(request: Any) -> None:
    from django.contrib.auth.models import AnonymousUser

    request.user = AnonymousUser()


def reads_nonce(request: Any) -> None:
    request.csp_nonce = SimpleLazyObject(lambda: "abc")
    str(request.csp_nonce)


def has_nonce(request: Any) -> None:
    request._csp_nonce = "abc"


SOMEBODYS = [
    reads_session, reads_user, asks_for_token, reads_messages, leaves_message, reads_cookie, looks_for_cookie, reads_all_cookies,
    reads_session_cookie, reads_language_cookie, replaces_cookies, puts_user, puts_nobody, reads_nonce, has_nonce,
]  # fmt: skip


@pytest.mark.parametrize("does", SOMEBODYS, ids=lambda does: does.__name__)
def test_a_view_that_looks_at_what_is_somebodys_is_not_stored(make_site: Any, does: Any) -> None:
    def view(request: Any) -> HttpResponse:
        does(request)
        return text()

    site = make_site({"p/": view}, middleware=STACK, **IN_CACHE)
    for _ in range(2):
        assert site.get("/p/").status_code == 200

    assert len(site.runs) == 2


def nothing(request: Any) -> None:
    """Look at nothing."""


def has_unread_nonce(request: Any) -> None:
    request.csp_nonce = SimpleLazyObject(lambda: "abc")


@pytest.mark.parametrize("does", [nothing, has_unread_nonce], ids=lambda does: does.__name__)
@pytest.mark.parametrize("cookie", ["", f"sessionid={'b' * 32}; csrftoken={'a' * 64}; theme=dark"])
def test_a_view_that_looks_at_nothing_is_stored_behind_all_of_djangos_middleware(
    make_site: Any, does: Any, cookie: str
) -> None:
    def view(request: Any) -> HttpResponse:
        does(request)
        return text()

    site = make_site({"p/": view}, middleware=STACK, **IN_CACHE)
    headers = {"cookie": cookie} if cookie else {}
    for _ in range(2):
        site.get("/p/", **headers)

    assert len(site.runs) == 1


def sets_cookie(response: Any) -> None:
    response.set_cookie("a", "b")


def sets_raw_cookie(response: Any) -> None:
    response["Set-Cookie"] = "a=b"


def varies_on_cookies(response: Any) -> None:
    response["Vary"] = "Cookie"


def varies_with_space(response: Any) -> None:
    response["Vary"] = "Accept ,  cookie"


def names_nonce(response: Any) -> None:
    response["Content-Security-Policy"] = "script-src 'nonce-abc'"


@pytest.mark.parametrize(
    "marks",
    [sets_cookie, sets_raw_cookie, varies_on_cookies, varies_with_space, names_nonce],
    ids=lambda does: does.__name__,
)
def test_a_response_that_is_somebodys_is_not_stored(make_site: Any, marks: Any) -> None:
    def view(request: Any) -> HttpResponse:
        response = text()
        marks(response)
        return response

    site = make_site({"p/": view})
    for _ in range(2):
        site.get("/p/")

    assert len(site.runs) == 2


def test_the_csrf_token_of_one_visitor_never_reaches_another(make_site: Any) -> None:
    site = make_site({"p/": lambda request: text(get_token(request))}, middleware=STACK, **IN_CACHE)

    tokens = [site.get("/p/").body for _ in range(2)]

    assert tokens[0] != tokens[1]


@pytest.mark.parametrize(
    ("control", "runs"), [("max-age=60", 2), ("public, max-age=60", 1), ("s-maxage=60", 1)]
)
def test_answers_to_authorization_are_stored_only_where_the_rfc_allows_it(
    make_site: Any, control: str, runs: int
) -> None:
    site = make_site({"p/": lambda request: text(cache_control=control)})
    for _ in range(2):
        site.get("/p/", authorization="Basic abc")

    assert len(site.runs) == runs


def test_what_is_stored_for_those_without_authorization_is_not_given_to_those_with_it(make_site: Any) -> None:
    site = make_site({"p/": lambda request: text(request.META.get("HTTP_AUTHORIZATION", "nobody"))})

    assert site.get("/p/").body == b"nobody"
    assert site.get("/p/", authorization="Basic abc").body == b"Basic abc"
    assert site.get("/p/").body == b"nobody"


def test_cookies_that_are_declared_public_may_be_read(make_site: Any) -> None:
    site = make_site(
        {"p/": lambda request: text(str(reads_cookie(request)))}, options={"PUBLIC_COOKIES": ["theme"]}
    )
    for _ in range(2):
        site.get("/p/")

    assert len(site.runs) == 1


def test_each_language_has_its_own_page(make_site: Any) -> None:
    site = make_site(
        {"p/": lambda request: text(translation.get_language())},
        middleware=(OURS, SESSIONS, LOCALE),
        LANGUAGES=[("de", "German"), ("fr", "French"), ("en", "English")],
        **IN_CACHE,
    )
    asked: list[dict[str, str]] = [
        {"accept_language": "de"},
        {"accept_language": "fr"},
        {"accept_language": "de", "cookie": "django_language=fr"},
        {"accept_language": "de-AT,de;q=0.8"},
        {},
    ]

    first = [site.get("/p/", **headers).body for headers in asked]
    runs = len(site.runs)
    second = [site.get("/p/", **headers).body for headers in asked]

    assert first == second == [b"de", b"fr", b"fr", b"de", b"en"]
    assert runs == len(site.runs) == 3


def resolve(request: Any) -> str | None:
    """Return the tenant of a request: that of its header."""
    return request.META.get("HTTP_X_TENANT")  # type: ignore[no-any-return]


TENANCY = {"TENANCY": {"RESOLVER": f"{__name__}.resolve"}}


def test_each_tenant_has_its_own_page_where_the_tenant_is_known_outside(make_site: Any) -> None:
    site = make_site(
        {"p/": lambda request: text(str(current_tenant()))}, middleware=(TENANTS, OURS), PERFSUITE=TENANCY
    )

    for _ in range(2):
        assert site.get("/p/", x_tenant="1").body == b"1"
        assert site.get("/p/", x_tenant="2").body == b"2"
        assert site.get("/p/").body == b"None"

    assert len(site.runs) == 3


def resolve_or_raise(request: Any) -> str:
    """Return the tenant of a request, which must have one."""
    return request.META["HTTP_X_TENANT"]  # type: ignore[no-any-return]


def test_a_tenant_that_cannot_be_resolved_gets_no_page_and_leaves_none(make_site: Any) -> None:
    site = make_site(
        {"p/": lambda request: text(str(current_tenant()))},
        middleware=(TENANTS, OURS),
        PERFSUITE={"TENANCY": {"RESOLVER": f"{__name__}.resolve_or_raise"}},
    )

    for _ in range(2):
        assert site.get("/p/", x_tenant="1").body == b"1"
        assert site.get("/p/").status_code == 500
        assert site.get("/p/", x_tenant="2").body == b"2"

    assert len(site.runs) == 2


def test_nothing_is_stored_where_the_tenant_is_known_only_inside(make_site: Any) -> None:
    site = make_site(
        {"p/": lambda request: text(str(current_tenant()))}, middleware=(OURS, TENANTS), PERFSUITE=TENANCY
    )

    for _ in range(2):
        assert site.get("/p/", x_tenant="1").body == b"1"
        assert site.get("/p/", x_tenant="2").body == b"2"

    assert len(site.runs) == 4


def test_a_rule_that_fails_means_that_nothing_is_stored(
    make_site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any) -> str:
        raise RuntimeError("a rule")

    monkeypatch.setattr("perfsuite.responses.identity.why_not_everyones", broken)
    site = make_site({"p/": lambda request: text()})

    assert [site.get("/p/").body for _ in range(2)] == [b"hello"] * 2
    assert len(site.runs) == 2


@pytest.mark.django_db
def test_the_cache_asks_the_database_nothing(make_site: Any, django_assert_num_queries: Any) -> None:
    site = make_site({"p/": lambda request: text()}, middleware=STACK)

    with django_assert_num_queries(0):
        for _ in range(3):
            site.get("/p/", cookie="sessionid=abc")


def test_watched_cookies_are_a_dict_that_tells_what_was_read() -> None:
    for read, found in [
        (lambda cookies: cookies["a"], {"a"}),
        (lambda cookies: cookies.get("b"), {"b"}),
        (lambda cookies: "c" in cookies, {"c"}),
        (list, {"*"}),
        (len, {"*"}),
        (dict, {"*"}),
        (lambda cookies: {**cookies}, {"*"}),
        (lambda cookies: cookies.copy(), {"*"}),
        (lambda cookies: cookies | {}, {"*"}),
        (lambda cookies: cookies == {}, {"*"}),
        (repr, {"*"}),
        (bool, {"*"}),
        (lambda cookies: [*reversed(cookies)], {"*"}),
        (lambda cookies: cookies.pop("a"), {"a"}),
        (lambda cookies: cookies.popitem(), {"*"}),
        (lambda cookies: cookies.setdefault("d", "1"), {"d"}),
        (lambda cookies: None, set()),
    ]:
        watched = WatchedCookies({"a": "1"}, frozenset())
        read(watched)
        assert found <= watched.read, read
        assert bool(found) == bool(watched.read), read

    assert (
        watch_cookies(type("Odd", (), {"META": {"HTTP_COOKIE": "a=1"}, "COOKIES": []})(), frozenset()) is None
    )  # type: ignore[arg-type]
