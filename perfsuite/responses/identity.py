"""Whether a response can belong to somebody. The rule is that of a safe: what is not known to be everyone's is not.

Nothing here asks who the user is; it looks at what the view has asked. Cookies are watched, because a page that depends on
one and does not say so would be shown to others: who reads a cookie, other than the parts of Django whose cookies are dealt
with here, has made the page somebody's.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.functional import LazyObject, empty

# Django's own code that reads its own cookies; what a view learns of them, it learns by what is looked at below.
READERS = (
    "django.contrib.sessions.",
    "django.middleware.csrf",
    "django.middleware.locale",
    "django.utils.translation.",
    "django.contrib.messages.",
)
EVERYTHING = "*"


class WatchedCookies(dict[str, str]):
    """A request's cookies, which remember those that were asked for. ``own`` are those that Django may ask for itself."""

    __slots__ = ("own", "read")

    def __init__(self, cookies: Any, own: frozenset[str]) -> None:
        super().__init__(cookies)
        self.read: set[str] = set()
        self.own = own

    def _note(self, name: Any) -> None:
        if name in self.own and str(sys._getframe(2).f_globals.get("__name__")).startswith(READERS):  # noqa: SLF001
            return
        self.read.add(name if type(name) is str else EVERYTHING)

    def __getitem__(self, name: str) -> str:
        self._note(name)
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        self._note(name)
        return super().__contains__(name)

    def get(self, name: Any, default: Any = None) -> Any:
        """Return a cookie, and remember it."""
        self._note(name)
        return super().get(name, default)

    def __iter__(self) -> Iterator[str]:
        self.read.add(EVERYTHING)
        return super().__iter__()

    def __len__(self) -> int:
        self.read.add(EVERYTHING)
        return super().__len__()

    def __eq__(self, other: object) -> bool:
        self.read.add(EVERYTHING)
        return super().__eq__(other)

    __hash__ = None  # as a dict's

    def __or__(self, other: Any) -> Any:
        return self.copy() | other

    def __ror__(self, other: Any) -> Any:
        return other | self.copy()

    def __repr__(self) -> str:
        return repr(self.copy())

    def __reversed__(self) -> Iterator[str]:
        return reversed(self.copy())

    def popitem(self) -> tuple[str, str]:
        """Take any cookie out, and remember that all were looked at."""
        self.read.add(EVERYTHING)
        return super().popitem()

    def keys(self) -> Any:
        """Return all names, and remember it."""
        self.read.add(EVERYTHING)
        return super().keys()

    def values(self) -> Any:
        """Return all values, and remember it."""
        self.read.add(EVERYTHING)
        return super().values()

    def items(self) -> Any:
        """Return all cookies, and remember it."""
        self.read.add(EVERYTHING)
        return super().items()

    def copy(self) -> dict[str, str]:
        """Return a plain copy, and remember it."""
        self.read.add(EVERYTHING)
        return dict(super().items())

    def pop(self, name: Any, *default: Any) -> Any:
        """Take a cookie out, and remember it."""
        self._note(name)
        return super().pop(name, *default)

    def setdefault(self, name: Any, default: Any = None) -> Any:
        """Return a cookie, and remember it."""
        self._note(name)
        return super().setdefault(name, default)

    def plain(self, name: str) -> str | None:
        """Return a cookie without remembering it."""
        return super().get(name)


def watch_cookies(request: HttpRequest, own: frozenset[str]) -> WatchedCookies | None:
    """Have a request's cookies remember what is asked for; None where they cannot be watched."""
    held: Any = request.COOKIES if request.META.get("HTTP_COOKIE") else request.__dict__.get("COOKIES", {})
    if type(held) is not dict:
        return None
    watched = WatchedCookies(held, own)
    request.COOKIES = watched
    return watched


def names_of_djangos_cookies(language_is_known: bool) -> frozenset[str]:
    """Return the cookies that Django reads for itself; that of the language only where a page's key has the language."""
    names = {settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME, "messages"}
    if language_is_known:
        names.add(settings.LANGUAGE_COOKIE_NAME)
    return frozenset(names)


def why_not_everyones(
    request: HttpRequest,
    response: HttpResponseBase,
    cookies: WatchedCookies | None,
    allowed: Iterable[str],
    is_declared: bool,
) -> str:
    """Return in a word why a response may belong to somebody, or "" if nothing in it can.

    ``allowed`` are the cookies that may be read. ``is_declared`` says that the view declares its page everyone's: it may then
    have an AnonymousUser that was put there without asking who it is, as Django REST framework does.
    """
    held = request.__dict__
    session = held.get("session")
    if session is not None and (getattr(session, "accessed", True) or getattr(session, "modified", True)):
        return "session"
    if _user_was_looked_at(held, is_declared):
        return "user"
    return why_not_repeatable(request, response) or _cookie_read(request, cookies, allowed)


def why_not_users(
    request: HttpRequest, response: HttpResponseBase, cookies: WatchedCookies | None, allowed: Iterable[str]
) -> str:
    """Return in a word why a response may not be repeated to the same user in the same session, or ""."""
    if getattr(request.__dict__.get("session"), "modified", True):
        return "session"
    return why_not_repeatable(request, response) or _cookie_read(
        request, cookies, {*allowed, settings.SESSION_COOKIE_NAME}
    )


def why_not_repeatable(request: HttpRequest, response: HttpResponseBase) -> str:
    """Return in a word why a response is for one time only: it sets a cookie, or holds a token, a message or a nonce."""
    if response.cookies or response.has_header("Set-Cookie"):
        return "set-cookie"
    meta, held = request.META, request.__dict__
    if "CSRF_COOKIE_NEEDS_UPDATE" in meta or meta.get("CSRF_COOKIE_USED"):
        return "csrf"
    messages = held.get("_messages")
    if messages is not None and (
        getattr(messages, "used", True)
        or getattr(messages, "added_new", True)
        or "_loaded_data" in messages.__dict__
        or getattr(messages, "_queued_messages", ())
    ):
        return "messages"
    if _was_made(held.get("_csp_nonce")) or _was_made(held.get("csp_nonce")):
        return "nonce"
    for name in ("Content-Security-Policy", "Content-Security-Policy-Report-Only"):
        if response.has_header(name) and "'nonce-" in str(response[name]):
            return "nonce"
    return "remote-user" if meta.get("REMOTE_USER") else ""


def _cookie_read(request: HttpRequest, cookies: WatchedCookies | None, allowed: Iterable[str]) -> str:
    held = request.__dict__.get("COOKIES")
    if held is not cookies or cookies is None:
        return "cookies"
    return "" if cookies.read <= {*allowed} else "cookies"


def _was_made(lazy: Any) -> bool:
    """Tell whether a value that is made when it is read was made."""
    if isinstance(lazy, LazyObject):
        return object.__getattribute__(lazy, "__dict__").get("_wrapped", empty) is not empty
    return lazy is not None and lazy != ""


def _user_was_looked_at(held: dict[str, Any], is_declared: bool) -> bool:
    if "_cached_user" in held or "_acached_user" in held:
        return True
    user = held.get("user")
    if user is None:
        return False
    if isinstance(user, LazyObject):
        return _was_made(user)
    kind = type(user)
    is_nobody = kind.__name__ == "AnonymousUser" and kind.__module__ == "django.contrib.auth.models"
    return not (is_declared and is_nobody)


def user_of(request: HttpRequest) -> tuple[str, str, str, str] | None:
    """Return who is logged in, by the session alone: the key, the backend and the hash of the user, and the session's key.

    None for whom no page may be kept: nobody, or one without a session of that kind. It may load the session; the user
    it never loads. The hash changes with the password, and the session's key with each login.
    """
    session = request.__dict__.get("session")
    if session is None:
        return None
    found: Any = (
        session.get("_auth_user_id"),
        session.get("_auth_user_backend"),
        session.get("_auth_user_hash"),
    )
    key = getattr(session, "session_key", None)
    if not all(type(part) is str and part for part in (*found, key)):
        return None
    return (*found, str(key))


def user_tag(pk: object) -> str:
    """Return the tag of all pages that are kept for a user."""
    return f"perfsuite:user:{pk}"


ALL_USERS = "perfsuite:users"
