"""What is said of views that have ``@cache_response`` already, and are not kept all the same: nothing to do what they do."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import pytest
from django.contrib.sessions.backends.signed_cookies import SessionStore
from django.http import HttpRequest, HttpResponse, HttpResponseNotFound, HttpResponseRedirect

from perfsuite.responses import cache_response
from perfsuite.responses.explaining import explain
from perfsuite.responses.reasons import ADVICE
from tests.responses.site import OURS, SESSIONS, SYNC, serving, text
from tests.responses.test_explaining import SIGNED, said

pytestmark = pytest.mark.alike

View = Callable[[HttpRequest], HttpResponse]


def members_only(view: View) -> View:
    """Send who is not logged in elsewhere, as Django's login_required does."""

    @wraps(view)
    def guarded(request: HttpRequest) -> HttpResponse:
        return view(request) if "_auth_user_id" in request.session else HttpResponseRedirect("/login/")

    return guarded


def page(request: HttpRequest) -> HttpResponse:
    return text(cache_control=None)


def changing(request: HttpRequest) -> HttpResponse:
    request.session["seen"] = 1
    return page(request)


def missing(request: HttpRequest) -> HttpResponse:
    return HttpResponseNotFound()


def failing(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("the view fails")


def unkept(request: HttpRequest) -> HttpResponse:
    return text(cache_control="no-store")


per_user, untimed_per_user = cache_response(60, per="user"), cache_response(per="user")


@pytest.mark.parametrize(
    ("view", "is_logged_in", "reason"),
    [
        (per_user(page), False, "anonymous"),
        (untimed_per_user(page), False, "anonymous"),
        (members_only(per_user(page)), False, "anonymous"),
        (members_only(untimed_per_user(page)), False, "anonymous"),
        (per_user(members_only(page)), False, "anonymous"),
        (per_user(changing), False, "anonymous"),
        (per_user(failing), False, "error"),
        (members_only(per_user(page)), True, ""),
        (untimed_per_user(page), True, "no-timeout"),
        (per_user(changing), True, "users-session"),
        (per_user(missing), True, "untimed"),
        (cache_response(60)(missing), False, "untimed"),
        (cache_response()(page), False, "no-timeout"),
        (cache_response(60)(unkept), False, "no-store"),
        (page, False, "no-lifetime"),
    ],
)  # fmt: skip
def test_advice_is_nothing_that_the_view_does_already(view: View, is_logged_in: bool, reason: str) -> None:
    headers = []
    with serving(SYNC, {"page/": view}, middleware=(OURS, SESSIONS), SESSION_ENGINE=SIGNED):
        if is_logged_in:
            session: Any = SessionStore()
            session.update({"_auth_user_id": "1", "_auth_user_backend": "b", "_auth_user_hash": "h"})
            session.save()
            headers = [f"Cookie: sessionid={session.session_key}"]
        found = explain("/page/", headers)

    assert (found.is_cached, found.reason) == (not reason, reason)
    assert said(found, "advice") == ADVICE.get(reason, "")
