"""Pairs of requests at random over cookies, users, tenants, hosts, languages, codings and fields, in turn and at once: nobody
gets a body or a cookie of another's.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.backends import BaseBackend
from django.contrib.sessions.backends.cache import SessionStore
from django.http import HttpResponse
from django.utils.translation import get_language
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from perfsuite.responses import cache_response
from perfsuite.tenancy import current_tenant
from tests.responses.asking import OURS as COMPRESSION
from tests.responses.decoding import decoded
from tests.responses.site import ASYNC, AUTH, LOCALE, OURS, SESSIONS, SYNC, TENANTS, Site, serving, text
from tests.responses.test_identity import IN_CACHE, TENANCY

STACK = (COMPRESSION, TENANTS, OURS, SESSIONS, LOCALE, AUTH)
USERS = ["ada", "bob"]
# Each view shows all of the request that it looks at; whoever gets a body that the request would
# not have made itself has got another's.


class InMemory(BaseBackend):
    """Knows the users without a database, so that ten thousand pairs take a minute."""

    def get_user(self, user_id: int) -> Any:
        """Return one of the users."""
        return get_user_model()(pk=user_id, username=USERS[user_id - 1], password=f"hash {user_id}")


_SESSIONS: dict[str, str] = {}


def _log_in_everybody() -> None:
    """Make a session for each user, in the cache that the site uses."""
    for number, name in enumerate(USERS, 1):
        user, session = InMemory().get_user(number), SessionStore()
        session["name"] = name
        session["_auth_user_id"] = str(number)
        session["_auth_user_backend"] = f"{__name__}.InMemory"
        session["_auth_user_hash"] = user.get_session_auth_hash()
        session.create()
        _SESSIONS[name] = str(session.session_key)


def _open(request: Any) -> str:
    return f"open {request.get_host()} {current_tenant()} {get_language()}"


def _by_session(request: Any) -> str:
    return f"{_open(request)} {request.session.get('name')}"


def _by_user(request: Any) -> str:
    return f"{_open(request)} {request.user.get_username() or None}"


def _by_cookie(request: Any) -> str:
    return f"{_open(request)} {request.COOKIES.get('theme')}"


def _by_field(request: Any) -> str:
    return f"{_open(request)} {request.META.get('HTTP_X_SIDE')}"


def _by_authorization(request: Any) -> str:
    return f"{_open(request)} {request.META.get('HTTP_AUTHORIZATION')}"


def _both(request: Any) -> str:
    return f"{_by_session(request)} {_by_cookie(request)}"


PADDING = " " + "and much that is worth compressing " * 20
LOOKS = {
    "open": _open,
    "session": _by_session,
    "user": _by_user,
    "cookie": _by_cookie,
    "field": _by_field,
    "authorization": _by_authorization,
    "both": _both,
}


def _shown(request: Any, look: str) -> HttpResponse:
    response = text(LOOKS[look](request) + PADDING, cache_control=request.GET["control"])
    if look == "field":
        response["Vary"] = "X-Side"
    if "cookie" in request.GET:
        response.set_cookie("mine", LOOKS[look](request))
    return response


def _slowly_shown(request: Any, look: str) -> HttpResponse:
    if "slowly" in request.GET:
        time.sleep(0.002)  # so that the other request comes while this one is at it
    return _shown(request, look)


async def _ashown(request: Any, look: str) -> HttpResponse:
    if "slowly" in request.GET:
        await asyncio.sleep(0.002)
    if look == "user":  # which Django looks for in a thread
        return await sync_to_async(_shown)(request, look)
    return _shown(request, look)


def _views(kind: str) -> dict[str, Callable[..., Any]]:
    view: Any = _slowly_shown if kind == SYNC else _ashown
    return {
        "fields/<look>/": view,
        "everyone/<look>/": cache_response(60)(view),
        "tenant/<look>/": cache_response(60, per="tenant")(view),
        "user/<look>/": cache_response(60, per="user")(view),
    }


FIELDS: dict[str, list[Any]] = {
    "host": ["a.test", "b.test"],
    "x_tenant": [None, "1", "2"],
    "user": [None, *USERS],
    "theme": [None, "", "dark"],
    "x_side": [None, "", "left"],
    "authorization": [None, None, None, None, "Basic YQ==", "Basic Yg=="],
    "accept_language": [None, "de", "fr", "de;q=0.1, fr"],
    "accept_encoding": [None, "gzip", "br, gzip", "gzip;q=0"],
    "cache_control": [None, None, None, None, "no-cache", "max-stale"],
}
LANGUAGES = {None: "en", "de": "de", "fr": "fr", "de;q=0.1, fr": "fr"}
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
PERS = ["fields", "everyone", "tenant", "user"]
pairs = st.tuples(
    st.sampled_from(PERS),
    st.sampled_from(sorted(LOOKS)),
    controls,
    st.sampled_from([False, False, False, True]),
    one_request,
    one_request,
    in_common,
)


# Pairs that differ in one thing alone, of each view: what is seldom drawn among a hundred.
ONE: dict[str, Any] = {
    "host": "b.test", "x_tenant": "2", "user": "bob", "theme": "dark", "x_side": "left", "authorization": None,
    "accept_language": "fr", "accept_encoding": "gzip", "cache_control": None,
}  # fmt: skip
OTHERS = {
    "host": "a.test", "x_tenant": "1", "user": "ada", "theme": "", "x_side": "", "authorization": "Basic YQ==",
    "accept_language": "de",
}  # fmt: skip
DIFFERENT = [
    (per, look, "max-age=60", False, ONE, {**ONE, name: other}, set())
    for per in PERS
    for look in sorted(LOOKS)
    for name, other in OTHERS.items()
]


def _headers(asked: dict[str, Any]) -> dict[str, str]:
    headers = {
        name: value for name, value in asked.items() if value is not None and name not in ("user", "theme")
    }
    cookies = []
    if asked["user"] is not None:
        cookies.append(f"{settings.SESSION_COOKIE_NAME}={_SESSIONS[asked['user']]}")
    if asked["theme"] is not None:
        cookies.append(f"theme={asked['theme']}")
    if cookies:
        headers["cookie"] = "; ".join(cookies)
    return headers


def _expected(look: str, asked: dict[str, Any]) -> str:
    opened = f"open {asked['host']} {asked['x_tenant']} {LANGUAGES[asked['accept_language']]}"
    by_user, by_cookie = f"{opened} {asked['user']}", f"{opened} {asked['theme']}"
    return {
        "open": opened,
        "session": by_user,
        "user": by_user,
        "cookie": by_cookie,
        "field": f"{opened} {asked['x_side']}",
        "authorization": f"{opened} {asked['authorization']}",
        "both": f"{by_user} {by_cookie}",
    }[look]


class Asking:
    """Asks one site, and checks each answer; counts those that came from the cache and those that were waited for."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.hits = self.collapsed = self.compressed = 0
        self.numbers = itertools.count()
        self.loop = asyncio.new_event_loop()  # one for each request would take most of the time
        self.threads = ThreadPoolExecutor(2)

    def close(self) -> None:
        """Let go of the loop and the threads."""
        self.loop.close()
        self.threads.shutdown()

    def ask(self, url: str, *askers: dict[str, Any]) -> list[Any]:
        """Ask for a URL, by several askers at once."""
        fields = [_headers(asked) for asked in askers]
        if self.site.kind == ASYNC:

            async def together() -> list[Any]:
                return list(await asyncio.gather(*[self.site.aask("get", url, **each) for each in fields]))

            return self.loop.run_until_complete(together())
        return list(self.threads.map(lambda each: self._ask_alone(url, each), fields))

    def _ask_alone(self, url: str, fields: dict[str, str]) -> Any:
        extra = {"HTTP_" + name.upper(): value for name, value in fields.items()}
        response: Any = self.site.client_of_thread().get(url, **extra)
        response.body = response.content
        return response

    def check(self, answer: Any, look: str, may_be: list[dict[str, Any]]) -> None:
        """Check that an answer shows one of the requests that it may show."""
        coding = answer.get("Content-Encoding", "")
        self.compressed += bool(coding)
        self.collapsed += "collapsed" in answer["Cache-Status"]
        body = decoded(coding, answer.body).decode().removesuffix(PADDING)
        assert body in {_expected(look, each) for each in may_be}

    def pair(self, drawn: Any) -> None:
        """Have two ask for one page, twice each in turn, and for another both at once."""
        per, look, control, sets_cookie, first, second, same = drawn
        second = {**second, **{name: first[name] for name in same}}
        query = {"control": control, **({"cookie": "1"} if sets_cookie else {})}
        # A view that declares its answer everyone's although it depends on Authorization shows it to all who have one.
        is_public = look == "authorization" and (
            per != "fields" or control in ("public, max-age=60", "s-maxage=60")
        )
        url = f"/{per}/{look}/?{urlencode({**query, 'n': next(self.numbers)})}"
        for asked in (first, second, first, second):
            before = len(self.site.runs)
            (answer,) = self.ask(url, asked)
            self.check(answer, look, [first, second] if is_public else [asked])
            if len(self.site.runs) == before:
                self.hits += 1
                assert not answer.cookies
        url = f"/{per}/{look}/?{urlencode({**query, 'slowly': '1', 'n': next(self.numbers)})}"
        for asked, answer in zip((first, second), self.ask(url, first, second), strict=True):
            self.check(answer, look, [first, second] if is_public else [asked])


@contextmanager
def asking(kind: str) -> Iterator[Asking]:
    """Have a site with all that tells visitors apart."""
    with serving(
        kind,
        _views(kind),
        middleware=STACK,
        options={"COMPRESS_MIN_BYTES": 0},
        PERFSUITE=TENANCY,
        ALLOWED_HOSTS=["a.test", "b.test"],
        AUTHENTICATION_BACKENDS=[f"{__name__}.InMemory"],
        LANGUAGES=[("de", "German"), ("fr", "French"), ("en", "English")],
        **IN_CACHE,
    ) as site:
        _log_in_everybody()
        made = Asking(site)
        try:
            yield made
        finally:
            made.close()


@pytest.mark.hypothesis  # by which `make prove` finds it; the function that draws is an inner one
@pytest.mark.parametrize(("kind", "few"), [(SYNC, 200), (ASYNC, 50)])
def test_no_body_and_no_cookie_crosses_from_one_identity_to_another(kind: str, few: int) -> None:
    full = hypothesis_settings.default.max_examples > 1_000
    with asking(kind) as made:

        @hypothesis_settings(max_examples=10_000 if full else few)
        @given(pairs)
        def pair(drawn: Any) -> None:
            made.pair(drawn)

        for each in DIFFERENT:
            made.pair(each)
        pair()
    # Else nothing was shown.
    assert made.hits > few / 4 + len(DIFFERENT)
    assert made.collapsed > few / 50
    assert made.compressed > few + len(DIFFERENT)
