"""Who is told why a response is as it is: with DEBUG everybody, else staff whom the view has looked at."""

from __future__ import annotations

from typing import Any

import django
import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.backends import BaseBackend
from django.contrib.sessions.backends.cache import SessionStore
from django.http import HttpResponse

from perfsuite.responses import cache_response
from tests.responses.site import ASYNC, AUTH, OURS, SESSIONS, SYNC, Site, serving, text
from tests.responses.test_identity import IN_CACHE

pytestmark = pytest.mark.once
STACK = (OURS, SESSIONS, AUTH)
PEOPLE = {
    "staff": {"is_staff": True},
    "retired staff": {"is_staff": True, "is_active": False},
    "a member": {},
    "a superuser who is no staff": {"is_superuser": True},
}


class InMemory(BaseBackend):
    """Knows the people without a database."""

    def get_user(self, user_id: int) -> Any:
        """Return one of the people."""
        return get_user_model()(pk=user_id, username=str(user_id), **list(PEOPLE.values())[user_id])


def log_in(who: str) -> str:
    """Return the Cookie field of somebody."""
    number, session = list(PEOPLE).index(who), SessionStore()
    session["_auth_user_id"] = str(number)
    session["_auth_user_backend"] = f"{__name__}.InMemory"
    session["_auth_user_hash"] = InMemory().get_user(number).get_session_auth_hash()
    session.create()
    return f"sessionid={session.session_key}"


def looks(request: Any) -> HttpResponse:
    return text(str(request.user.is_staff))


async def looks_too(request: Any) -> HttpResponse:
    return text(str((await request.auser()).is_staff))


def looks_not(request: Any) -> HttpResponse:
    return text("anybody", "no-store")


def site_of(kind: str, **more: Any) -> Any:
    """Have a site with people, and views that look at who asks, or do not."""
    view: Any = looks_too if kind == ASYNC else looks
    mine: Any = cache_response(60, per="user")(view)
    return serving(
        kind,
        {"looks/": view, "looks-not/": looks_not, "mine/": mine},
        middleware=STACK,
        AUTHENTICATION_BACKENDS=[f"{__name__}.InMemory"],
        **IN_CACHE,
        **more,
    )


def status_of(site: Site, url: str, who: str) -> str:
    """Return what the cache says of an answer to somebody."""
    return str(site.get(url, cookie=log_in(who))["Cache-Status"])


needs_auser = pytest.mark.skipif(django.VERSION < (5, 0), reason="request.auser() came with Django 5.0")
each_kind = pytest.mark.parametrize("kind", [SYNC, pytest.param(ASYNC, marks=needs_auser)])


@each_kind
@pytest.mark.parametrize("who", PEOPLE)
def test_staff_whom_the_view_has_looked_at_is_told_the_details(kind: str, who: str) -> None:
    with site_of(kind) as site:
        said = status_of(site, "/looks/", who)

    if who == "staff":
        assert said.startswith("perfsuite; fwd=uri-miss; ")
        assert "detail=vary-cookie" in said
        assert "key=" in said
    else:
        assert said == "perfsuite; fwd=uri-miss"


@each_kind
@pytest.mark.parametrize("who", PEOPLE)
def test_nobody_is_told_where_the_view_has_not_looked(kind: str, who: str) -> None:
    with site_of(kind) as site:
        assert status_of(site, "/looks-not/", who) == "perfsuite; fwd=uri-miss"


@each_kind
def test_a_hit_of_a_users_page_looks_at_nobody_and_tells_no_details(kind: str) -> None:
    with site_of(kind) as site:
        cookie = log_in("staff")
        first, second = (site.get("/mine/", cookie=cookie) for _ in range(2))

    assert "stored" in first["Cache-Status"]
    assert second["Cache-Status"].startswith("perfsuite; hit; ttl=")
    assert "detail" not in second["Cache-Status"]
    assert len(site.runs) == 1


@each_kind
@pytest.mark.parametrize("who", PEOPLE)
def test_everybody_is_told_with_debug(kind: str, who: str) -> None:
    with site_of(kind, DEBUG=True) as site:
        assert "detail=no-store" in status_of(site, "/looks-not/", who)
