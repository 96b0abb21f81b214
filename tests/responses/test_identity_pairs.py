"""Pairs of requests at random over cookies, users, tenants, hosts and fields: nobody gets a body or a cookie of another's."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any
from urllib.parse import urlencode

import pytest
from django.conf import settings
from django.contrib.sessions.backends.cache import SessionStore
from django.http import HttpResponse
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from perfsuite.tenancy import current_tenant
from tests.responses.site import ASYNC, OURS, SESSIONS, SYNC, TENANTS, serving, text
from tests.responses.test_identity import IN_CACHE, TENANCY

# Each view shows all of the request that it looks at; whoever gets a body that the request would
# not have made itself has got another's.


def _session_of(user: str | None) -> str:
    return "" if user is None else _SESSIONS[user]


_SESSIONS: dict[str, str] = {}


def _log_in_everybody() -> None:
    """Make a session for each user, in the cache that the site uses."""
    for user in ("ada", "bob"):
        session = SessionStore()
        session["name"] = user
        session.create()
        _SESSIONS[user] = str(session.session_key)


def _open(request: Any) -> str:
    return f"open {request.get_host()} {current_tenant()}"


def _by_session(request: Any) -> str:
    return f"{_open(request)} {request.session.get('name')}"


def _by_cookie(request: Any) -> str:
    return f"{_open(request)} {request.COOKIES.get('theme')}"


def _by_field(request: Any) -> str:
    return f"{_open(request)} {request.META.get('HTTP_X_SIDE')}"


def _by_authorization(request: Any) -> str:
    return f"{_open(request)} {request.META.get('HTTP_AUTHORIZATION')}"


def _both(request: Any) -> str:
    return f"{_by_session(request)} {_by_cookie(request)}"


LOOKS = {
    "open": _open,
    "session": _by_session,
    "cookie": _by_cookie,
    "field": _by_field,
    "authorization": _by_authorization,
    "both": _both,
}


def _shown(request: Any, look: str) -> HttpResponse:
    response = text(LOOKS[look](request), cache_control=request.GET["control"])
    if look == "field":
        response["Vary"] = "X-Side"
    if "cookie" in request.GET:
        response.set_cookie("mine", LOOKS[look](request))
    return response


async def _ashown(request: Any, look: str) -> HttpResponse:
    return _shown(request, look)


FIELDS: dict[str, list[Any]] = {
    "host": ["a.test", "b.test"],
    "x_tenant": [None, "1", "2"],
    "user": [None, "ada", "bob"],
    "theme": [None, "", "dark"],
    "x_side": [None, "", "left"],
    "authorization": [None, None, None, None, "Basic YQ==", "Basic Yg=="],
    "cache_control": [None, None, None, None, "no-cache", "max-stale"],
}
one_request = st.fixed_dictionaries({name: st.sampled_from(values) for name, values in FIELDS.items()})
controls = st.sampled_from(
    [
        "max-age=60",
        "max-age=60",
        "max-age=60",
        "public, max-age=60",
        "s-maxage=60",
        "private, max-age=60",
        "max-age=0",
    ]
)
# What the second request has in common with the first: most of it, else they would have nothing to do with each other.
in_common = st.sets(st.sampled_from(sorted(FIELDS)), min_size=len(FIELDS) - 3)
pairs = st.tuples(
    st.sampled_from(sorted(LOOKS)),
    controls,
    st.sampled_from([False, False, False, True]),
    one_request,
    one_request,
    in_common,
)


def _headers(asked: dict[str, Any]) -> dict[str, str]:
    headers = {
        name: value for name, value in asked.items() if value is not None and name not in ("user", "theme")
    }
    cookies = []
    if asked["user"] is not None:
        cookies.append(f"{settings.SESSION_COOKIE_NAME}={_session_of(asked['user'])}")
    if asked["theme"] is not None:
        cookies.append(f"theme={asked['theme']}")
    if cookies:
        headers["cookie"] = "; ".join(cookies)
    return headers


def _expected(look: str, asked: dict[str, Any]) -> str:
    opened = f"open {asked['host']} {asked['x_tenant']}"
    by_session, by_cookie = f"{opened} {asked['user']}", f"{opened} {asked['theme']}"
    return {
        "open": opened,
        "session": by_session,
        "cookie": by_cookie,
        "field": f"{opened} {asked['x_side']}",
        "authorization": f"{opened} {asked['authorization']}",
        "both": f"{by_session} {by_cookie}",
    }[look]


@pytest.mark.parametrize("kind", [SYNC, ASYNC])
def test_no_body_and_no_cookie_crosses_from_one_identity_to_another(kind: str) -> None:
    view = _shown if kind == SYNC else _ashown
    numbers, hits = itertools.count(), [0]
    full = hypothesis_settings.default.max_examples > 1_000
    with serving(
        kind,
        {"p/<look>/": view},
        middleware=(TENANTS, OURS, SESSIONS),
        PERFSUITE=TENANCY,
        ALLOWED_HOSTS=["a.test", "b.test"],
        **IN_CACHE,
    ) as site:
        _log_in_everybody()
        loop = asyncio.new_event_loop()

        def ask(url: str, **headers: str) -> Any:
            """Ask in the one event loop, since one for each request takes most of the time of ten thousand pairs."""
            if kind == SYNC:
                return site.get(url, **headers)
            return loop.run_until_complete(site.aask("get", url, **headers))

        @hypothesis_settings(max_examples=10_000 if full else 300)
        @given(pairs)
        def pair(drawn: Any) -> None:
            look, control, sets_cookie, first, second, same = drawn
            second = {**second, **{name: first[name] for name in same}}
            query = {"control": control, "n": next(numbers), **({"cookie": "1"} if sets_cookie else {})}
            for asked in (first, second, first, second):
                before = len(site.runs)
                answer = ask(f"/p/{look}/?{urlencode(query)}", **_headers(asked))
                # A view that declares its answer public although it depends on Authorization shows it to all who have one.
                is_public = look == "authorization" and control in ("public, max-age=60", "s-maxage=60")
                may_be = [first, second] if is_public else [asked]
                assert answer.body.decode() in {_expected(look, each) for each in may_be}
                if len(site.runs) == before:
                    hits[0] += 1
                    assert not answer.cookies

        pair()
        loop.close()
    assert hits[0] > 100
