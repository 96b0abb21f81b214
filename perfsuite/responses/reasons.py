"""Why a response is not stored, or not repeated: each word that the response cache uses, in a clause that follows "because"."""

from __future__ import annotations

from typing import Final

from perfsuite.responses.making import MAX_TAGS
from perfsuite.responses.policy.storing import REASONS


def _clause(sentence: str) -> str:
    """Return a sentence as it stands after "because"; names of fields keep their capitals."""
    first, _, rest = sentence.rstrip(".").partition(" ")
    return f"{first.lower() if first in ('It', 'Nothing', 'Only', 'The') else first} {rest}"


CLAUSES: Final[dict[str, str]] = {
    **{reason: _clause(sentence) for reason, sentence in REASONS.items() if reason != "ok"},
    "no-lifetime": "nothing in the response says how long it is fresh",
    "no-timeout": "neither its @cache_response nor the response says how long it is fresh",
    "untimed": "the timeout of its @cache_response is not for answers with this status, and the response itself names none",
    # Whose it may be.
    "session": "its session was read or changed",
    "user": "it was asked who is logged in, or that changed meanwhile",
    "users-session": "its session was changed",
    "users-user": "who is logged in has changed meanwhile",
    "csrf": "it holds a CSRF token",
    "messages": "it shows messages of django.contrib.messages, or has added some",
    "nonce": "it holds a nonce of Content-Security-Policy, which is for one response only",
    "remote-user": "the web server says who is logged in (REMOTE_USER)",
    "cookies": "cookies were read that it does not say it depends on",
    "vary-cookie": "the response has Vary: Cookie, and no view says which cookies it depends on",
    "anonymous": "its view keeps a page for each user, and nobody is logged in",
    "no-tenant": "its view keeps a page for each tenant, and the request has no tenant",
    "tenant-inside": "TenantMiddleware is after ResponseCacheMiddleware, which cannot tell tenants apart then",
    # What it is.
    "never": "its view says so with @never_cache_response, or its tags could not be filled in",
    "waited": "it has waited in vain for an identical request, which is still at it",
    "tags": f"it has more than {MAX_TAGS} tags",
    "unrendered": "its template was not rendered when it reached the cache",
    "event-stream": "it is a stream of events",
    "file": "it is a file, which the web server may send by itself",
    "size": "its body has more bytes than MAX_BODY_BYTES",
    "stream": "its body did not come to its end",
    "not-kept": "the cache did not keep it: it has no room for it, failed, or one of its tags was invalidated meanwhile",
    "dummy": "its cache is a DummyCache, which keeps nothing",
    "failure": "something failed unexpectedly, which the log of perfsuite.responses names",
    "error": "it is an error of the server's, which does not say that it may be kept",
    # What is asked for.
    "query": "its query string is too long to be looked into",
    "stale": "what is stored of it is not fresh, or to be validated each time",
    "request": "the request asks for a newer one than what is stored",
    "only-if-cached": "the request takes only what is stored, and there is nothing; it is answered 504",
    "stale-while-revalidate": "it may be served while it is made anew",
    "stale-if-error": "it may be served while its view fails",
    "max-stale": "the request takes a stale one",
    # Whether the cache is there at all.
    "not-installed": "ResponseCacheMiddleware is not in MIDDLEWARE",
    "off": "CACHE_ENABLED is false",
    "no-cache": "the cache that PERFSUITE['RESPONSES']['ALIAS'] names cannot be used",
    "not-reached": "a middleware before ResponseCacheMiddleware answered it",
}

# What to do about it, where there is something that is usually meant.
ADVICE: Final[dict[str, str]] = {
    "no-lifetime": "Write @cache_response(60) at the view, or set Cache-Control: max-age=60.",
    "no-timeout": "Give its @cache_response a timeout, such as 60, or set Cache-Control: max-age=60.",
    "untimed": "If such an answer may be repeated too, have it say so: Cache-Control: max-age=60.",
    "useless": "Give it a lifetime: @cache_response(60), or Cache-Control: max-age=60.",
    "session": "If the page is one user's, write @cache_response(60, per='user'); else do not touch request.session for it.",
    "user": "If the page is one user's, write @cache_response(60, per='user'); else do not touch request.user for it.",
    "users-session": "Read request.session as you like, but do not change it in what is to be kept.",
    "csrf": "Fetch the form apart from the page, so that the page has no token.",
    "cookies": "Name them in vary_on=['cookie:NAME'], or in PUBLIC_COOKIES if the page does not depend on them.",
    "vary-cookie": "Name the cookies that it depends on: @cache_response(60, vary_on=['cookie:NAME']).",
    "anonymous": "Ask as somebody who is logged in, with the session's cookie: --header 'Cookie: sessionid=...'.",
    "no-tenant": "Put TenantMiddleware before ResponseCacheMiddleware, and see what its resolver returns for this host.",
    "tenant-inside": "Put TenantMiddleware before ResponseCacheMiddleware.",
    "size": "Raise PERFSUITE['RESPONSES']['MAX_BODY_BYTES'].",
    "dummy": "Have PERFSUITE['RESPONSES']['ALIAS'] name another cache.",
    "off": "Remove CACHE_ENABLED from the environment, from PERFSUITE['RESPONSES'], and ENABLED from PERFSUITE['CACHING'].",
    "not-installed": "Add 'perfsuite.responses.ResponseCacheMiddleware' to MIDDLEWARE, before sessions.",
    "no-cache": "Have ALIAS name a cache in CACHES.",
}
