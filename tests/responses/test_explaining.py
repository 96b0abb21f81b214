"""What is said of a URL: each reason in words, what a repeat gets, and that it is what a repeat does get."""

from __future__ import annotations

import ast
import time
from collections.abc import Callable, Iterator
from inspect import getsource
from pathlib import Path
from typing import Any

import pytest
from django.contrib.sessions.backends.signed_cookies import SessionStore
from django.core.cache.backends.locmem import LocMemCache
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.middleware.csrf import get_token
from django.test import override_settings
from django.utils.decorators import async_only_middleware

from perfsuite.caching import invalidate_tags
from perfsuite.responses import (
    cache_response,
    deduplication,
    flying,
    identity,
    inner,
    making,
    never_cache_response,
    streaming,
)
from perfsuite.responses import (
    serving as serving_module,
)
from perfsuite.responses.explaining import explain
from perfsuite.responses.explanation import Explanation
from perfsuite.responses.inprocess import NotAskable, environ_of
from perfsuite.responses.policy.storing import REASONS
from perfsuite.responses.reasons import ADVICE, CLAUSES
from tests.responses.site import (
    CSRF,
    LOCALE,
    LOCMEM,
    OURS,
    SESSIONS,
    SYNC,
    TENANTS,
    TIERED,
    Site,
    serving,
    text,
)

COMPRESSION = "perfsuite.responses.CompressionMiddleware"
SECURITY = "django.middleware.security.SecurityMiddleware"
ASYNC_ONLY = f"{__name__}.only_async"
SIGNED = "django.contrib.sessions.backends.signed_cookies"
DUMMY = {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}


def resolve(request: HttpRequest) -> str:
    return request.get_host().partition(".")[0]


def plain(request: HttpRequest) -> HttpResponse:
    return text()


def explained(view: Callable[..., Any], *headers: str, url: str = "/page/", **more: Any) -> Explanation:
    with serving(SYNC, {"page/": view}, **more):
        return explain(url, headers)


def said(found: Explanation, name: str) -> str:
    return " | ".join(step.text for step in found.steps if step.name == name)


# What is answered from the cache


@pytest.mark.parametrize("cache", [TIERED, LOCMEM])
def test_a_page_that_is_stored_is_said_to_be_with_its_time(cache: dict[str, Any]) -> None:
    with serving(SYNC, {"page/": plain}, cache=cache) as site:
        found = explain("http://testserver/page/?a=1")
        assert said(found, "stored before") == "Nothing."
        assert said(found, "answer").startswith("The view ran")
        assert said(found, "conclusion") == "A repeat is answered from the cache for 60 s."
        assert (found.is_cached, found.reason) == (True, "")

        again = explain("http://testserver/page/?a=1")
        assert said(again, "stored before").startswith("A page, fresh for ")
        assert "view did not run" in said(again, "answer")
        assert again.is_cached
        site.get("/page/?a=1")
        assert len(site.runs) == 1


def test_the_steps_stand_in_the_order_of_the_request() -> None:
    names = [step.name for step in explained(plain).steps]
    assert names == [
        "middleware", "cache", "request", "partition", "key", "stored before", "answer", "response", "stored", "tags",
        "compression", "conclusion",
    ]  # fmt: skip


def test_what_the_view_says_its_tags_and_its_fields_are_told() -> None:
    @cache_response(90, tags=["page:{slug}"], vary_on=["Accept", "cookie:theme"], stale_for=30)
    def view(request: HttpRequest, slug: str = "a") -> HttpResponse:
        return text(cache_control=None)

    with serving(SYNC, {"<slug:slug>/": view}):
        found = explain("/front/", ["Cookie: theme=dark"])
        assert said(found, "view") == (
            "It says @cache_response(timeout=90, vary_on=['Accept', 'cookie:theme'], stale_for=30)."
        )
        assert said(found, "tags") == "page:front."
        assert "Vary: Accept, Cookie" in said(found, "response")
        assert found.is_cached
        again = explain("/front/", ["Cookie: theme=light"])
        assert said(again, "stored before") == (
            "Nothing that fits the request, but 1 variants by accept, cookie:theme."
        )
        invalidate_tags("page:front")
        assert said(explain("/front/", ["Cookie: theme=dark"]), "answer").startswith("The view ran")


def test_a_stale_page_is_made_anew_before_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    view = cache_response(1, stale_for=500)(lambda request: text(cache_control=None))
    with serving(SYNC, {"page/": view}) as site:
        assert explain("/page/").is_cached
        later = _later(5.0)
        monkeypatch.setattr("time.time", later)
        monkeypatch.setattr("perfsuite.responses.caching._now", later)
        found = explain("/page/")
        assert said(found, "stored before").startswith("A page, stale")
        assert "From the cache (stale)" in said(found, "answer")
        assert len(site.runs) == 2
        assert said(found, "conclusion").startswith("A repeat is answered from the cache for 1 s")


def test_a_stale_variant_is_made_anew_before_the_end_too(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []

    @cache_response(1, stale_for=500, vary_on=["Accept-Language"])
    def view(request: HttpRequest) -> HttpResponse:
        started.append(request.path)
        if len(started) > 1:
            time.sleep(0.3)
        return text(cache_control=None)

    with serving(SYNC, {"page/": view}):
        assert explain("/page/", ["Accept-Language: de"]).is_cached
        later = _later(5.0)
        monkeypatch.setattr("time.time", later)
        monkeypatch.setattr("perfsuite.responses.caching._now", later)
        found = explain("/page/", ["Accept-Language: de"])
        assert "From the cache (stale)" in said(found, "answer")
        assert said(found, "conclusion").startswith("A repeat is answered from the cache for 1 s")


def test_what_keeps_a_stale_page_from_being_replaced_is_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [text(ETag='"1"'), text(cache_control="private", ETag='"2"')]
    with serving(SYNC, {"page/": lambda request: answers.pop(0)}):
        assert explain("/page/").is_cached
        later = _later(100.0)
        monkeypatch.setattr("time.time", later)
        monkeypatch.setattr("perfsuite.responses.caching._now", later)
        found = explain("/page/")
        assert said(found, "stored before") == "A page, stale."
        assert found.reason == "private"
        assert "because the response has Cache-Control: private" in said(found, "conclusion")


@async_only_middleware
def only_async(get_response: Any) -> Any:
    async def middleware(request: HttpRequest) -> Any:
        return await get_response(request)

    return middleware


@pytest.mark.parametrize("middleware", [(OURS, ASYNC_ONLY), (ASYNC_ONLY, OURS)])
def test_middleware_that_is_async_only_is_no_hindrance(middleware: tuple[str, ...]) -> None:
    assert explained(plain, middleware=middleware).is_cached


def _later(seconds: float) -> Callable[[], float]:
    now = time.time
    return lambda: now() + seconds


def test_a_user_s_page_is_for_the_same_session() -> None:
    view = cache_response(60, per="user")(lambda request: text(cache_control=None))
    with serving(SYNC, {"page/": view}, middleware=(OURS, SESSIONS), SESSION_ENGINE=SIGNED) as site:
        nobody = explain("/page/")
        assert (nobody.is_cached, nobody.reason) == (False, "anonymous")
        session = SessionStore()
        session.update({"_auth_user_id": "7", "_auth_user_backend": "b", "_auth_user_hash": "h"})
        session.save()
        cookie = f"Cookie: sessionid={session.session_key}"
        for ran in (True, False):
            found = explain("/page/", [cookie])
            assert said(found, "answer").startswith("The view ran") is ran
            assert said(found, "conclusion") == (
                "A repeat by the same user in the same session is answered from the cache for 60 s."
            )
        assert len(site.runs) == 2
        everything = " ".join(step.text for step in found.steps)
        assert session.session_key not in everything
        assert "perfsuite:user" not in everything


def test_the_tenant_and_the_language_are_part_of_the_key() -> None:
    tenancy = {"TENANCY": {"RESOLVER": f"{__name__}.resolve"}}
    middleware = (TENANTS, OURS, LOCALE)
    found = explained(
        plain,
        "Accept-Language: de",
        url="http://one.example.org/page/",
        middleware=middleware,
        PERFSUITE=tenancy,
    )
    assert said(found, "partition") == "It is for the tenant 'one' and the language 'de'."
    assert found.is_cached


def test_a_query_is_told_as_it_counts() -> None:
    options = {"QUERY": "allowed", "QUERY_ALLOWED": ["page"]}
    found = explained(plain, url="/page/?utm=x&page=2", options=options)
    assert "with the query 'page=2' (QUERY is 'allowed')" in said(found, "key")
    assert found.is_cached


def test_the_coding_that_is_sent_is_told() -> None:
    view = cache_response(60)(lambda request: HttpResponse("words and words " * 400))
    middleware = (COMPRESSION, OURS)
    assert said(explained(view, "Accept-Encoding: gzip", middleware=middleware), "compression").startswith(
        "It is sent as gzip, "
    )
    assert "has no Accept-Encoding" in said(explained(view, middleware=middleware), "compression")
    small = explained(plain, "Accept-Encoding: gzip", middleware=middleware)
    assert (
        said(small, "compression") == "It is sent as it is, 5 bytes of text/plain, for Accept-Encoding: gzip."
    )
    assert "not in MIDDLEWARE" in said(explained(view), "compression")


@pytest.mark.parametrize("size", [10, 5_000])
def test_a_stream_is_read_as_far_as_it_may_be_stored(size: int) -> None:
    made: list[int] = []

    def view(request: HttpRequest) -> StreamingHttpResponse:
        def body() -> Iterator[bytes]:
            for number in range(size):
                made.append(number)
                yield b"x" * 100

        response = StreamingHttpResponse(body())
        response["Cache-Control"] = "max-age=60"
        return response

    found = explained(view, options={"MAX_BODY_BYTES": 10_000})
    assert (found.is_cached, found.reason) == ((True, "") if size == 10 else (False, "size"))
    assert len(made) == min(size, 101)


# What is not


def _set_cookie(request: HttpRequest) -> HttpResponse:
    response = text()
    response.set_cookie("seen", "a-secret")
    return response


def _read_session(request: HttpRequest) -> HttpResponse:
    return text(str(request.session.get("basket")))


def _read_cookies(request: HttpRequest) -> HttpResponse:
    return text(request.COOKIES.get("theme", "light"))


def _hold_token(request: HttpRequest) -> HttpResponse:
    return text(get_token(request))


def _fail(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("the view fails")


def _stream_that_fails(request: HttpRequest) -> StreamingHttpResponse:
    def body() -> Iterator[bytes]:
        yield b"x"
        raise RuntimeError("half way")

    response = StreamingHttpResponse(body())
    response["Cache-Control"] = "max-age=60"
    return response


def _events(request: HttpRequest) -> StreamingHttpResponse:
    def body() -> Iterator[bytes]:
        while True:
            yield b"data: x\n\n"

    return StreamingHttpResponse(body(), content_type="text/event-stream")


@pytest.mark.parametrize(
    ("view", "reason", "because"),
    [
        (
            lambda request: text(cache_control=None),
            "no-lifetime",
            "nothing in the response says how long it is fresh",
        ),
        (
            lambda request: text(cache_control="no-store, max-age=60"),
            "no-store",
            "has Cache-Control: no-store",
        ),
        (lambda request: text(cache_control="private"), "private", "has Cache-Control: private"),
        (lambda request: text(Vary="*"), "vary-star", "has Vary: *"),
        (lambda request: text(Vary="Cookie"), "vary-cookie", "has Vary: Cookie"),
        (lambda request: text(cache_control="max-age=0"), "useless", "it would be stale at once"),
        (lambda request: text("x" * 2_000), "size", "more bytes than MAX_BODY_BYTES"),
        (never_cache_response(plain), "never", "@never_cache_response"),
        (cache_response(60, per="tenant")(lambda request: text()), "no-tenant", "has no tenant"),
        (_set_cookie, "set-cookie", "the response sets a cookie"),
        (_read_session, "session", "its session was read or changed"),
        (_read_cookies, "cookies", "cookies were read that it does not say it depends on (theme)"),
        (_hold_token, "csrf", "it holds a CSRF token"),
        (_fail, "error", "it is an error of the server's"),
        (_stream_that_fails, "stream", "its body did not come to its end"),
        (_events, "no-lifetime", "nothing in the response says how long it is fresh"),
        (cache_response(60)(_events), "event-stream", "it is a stream of events"),
    ],
)
def test_why_a_page_is_not_stored_is_said_in_words(
    view: Callable[..., Any], reason: str, because: str, site_with: Callable[..., Site]
) -> None:
    site = site_with(view)
    found = explain("/page/", ["Cookie: theme=dark"])

    assert (found.is_cached, found.reason) == (False, reason)
    assert said(found, "conclusion").startswith("Each request runs its view, because ")
    assert because in said(found, "conclusion")
    assert said(found, "stored").startswith("Nothing, because ")
    assert said(found, "advice") == ADVICE.get(reason, "")
    assert len(site.runs) == 1
    if reason not in ("stream", "no-lifetime", "event-stream"):
        site.get("/page/", cookie="theme=dark")
        assert len(site.runs) == 2


@pytest.fixture
def site_with() -> Iterator[Callable[..., Site]]:
    from contextlib import ExitStack

    with ExitStack() as stack:
        yield lambda view: stack.enter_context(
            serving(
                SYNC,
                {"page/": view},
                middleware=(OURS, SESSIONS, CSRF),
                options={"MAX_BODY_BYTES": 1_000},
                SESSION_ENGINE=SIGNED,
            )
        )


def test_what_would_forbid_it_with_a_lifetime_too_is_told_along() -> None:
    def view(request: HttpRequest) -> HttpResponse:
        request.session.get("basket")
        return text(cache_control=None)

    found = explained(view, middleware=(OURS, SESSIONS), SESSION_ENGINE=SIGNED)
    assert found.reason == "no-lifetime"
    assert said(found, "conclusion").endswith(
        "says how long it is fresh, and because its session was read or changed."
    )
    assert said(found, "advice") == ADVICE["session"]


def test_values_of_cookies_are_not_told() -> None:
    found = explained(_set_cookie, "Cookie: theme=my-own")
    everything = " ".join(step.text for step in found.steps)
    assert "Set-Cookie: seen" in everything
    assert "with Cookie" in everything
    assert "a-secret" not in everything
    assert "my-own" not in everything


def test_a_failing_view_is_told_by_its_status() -> None:
    found = explained(_fail)
    assert said(found, "response").startswith("500 ")
    assert "RuntimeError: half way" in said(explained(_stream_that_fails), "body")


def test_a_page_that_is_validated_each_time_runs_its_view() -> None:
    found = explained(lambda request: text(cache_control="no-cache", ETag='"1"'))
    assert (found.is_cached, found.reason) == (False, "stale")
    assert said(found, "stored") == "A page of 5 bytes, to be validated each time."
    assert "may answer that the stored page is right" in said(found, "conclusion")


def test_what_the_request_asks_for_counts() -> None:
    with serving(SYNC, {"page/": plain}):
        reload = explain("/page/", ["Cache-Control: no-cache"])
        assert (reload.is_cached, reload.reason) == (False, "request")
        assert explain("/page/").is_cached
        assert explain("/page/", ["Authorization: Bearer x"]).reason == "authorization"
        assert explain("/page/", ["Cache-Control: only-if-cached"]).is_cached
        nothing = explain("/page/?other", ["Cache-Control: only-if-cached"])
        assert nothing.reason == "only-if-cached"
        assert (
            said(nothing, "conclusion")
            == "Each request is answered 504, because it takes only what is stored."
        )


def test_an_answer_from_before_the_cache_is_told() -> None:
    found = explained(
        plain, middleware=(SECURITY, OURS), SECURE_SSL_REDIRECT=True, url="http://testserver/page/"
    )
    assert (found.is_cached, found.reason) == (False, "not-reached")
    assert "301" in said(found, "response")
    assert "Location: https://testserver/page/" in said(found, "response")
    assert explained(plain, middleware=(SECURITY, OURS), SECURE_SSL_REDIRECT=True).is_cached


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"middleware": (SESSIONS,)}, "not-installed"),
        ({"options": {"CACHE_ENABLED": False}}, "off"),
        ({"PERFSUITE": {"CACHING": {"ENABLED": False}}}, "off"),
        ({"options": {"ALIAS": "pages"}}, "no-cache"),
    ],
)
def test_without_the_cache_no_view_is_run(more: dict[str, Any], reason: str) -> None:
    with serving(SYNC, {"page/": plain}, **more) as site:
        found = explain("/page/")
        assert (found.is_cached, found.reason) == (False, reason)
        assert said(found, "advice")
        assert site.runs == []


def test_a_cache_that_keeps_nothing_and_a_query_too_long_are_reasons() -> None:
    assert explained(plain, cache=DUMMY).reason == "dummy"
    assert explained(plain, url="/page/?" + "a" * 9_000).reason == "query"


def test_a_tenant_that_is_known_too_late_is_a_reason_and_a_wrong_order_is_named() -> None:
    tenancy = {"TENANCY": {"RESOLVER": f"{__name__}.resolve"}}
    found = explained(plain, middleware=(OURS, TENANTS), PERFSUITE=tenancy)
    assert found.reason == "tenant-inside"
    assert "TenantMiddleware is after ResponseCacheMiddleware" in said(found, "order")


class Failing(LocMemCache):
    def set(self, *args: Any, **kwargs: Any) -> Any:
        raise OSError("no room")


def test_a_cache_that_fails_is_a_reason() -> None:
    assert explained(plain, cache={"BACKEND": f"{__name__}.Failing"}).reason == "failure"


# What is asked for


@pytest.mark.parametrize(
    ("url", "headers", "sentence"),
    [
        ("page/", [], "no URL of a site"),
        ("ftp://testserver/", [], "no URL of a site"),
        ("//testserver/", [], "no URL of a site"),
        ("http://", [], "no URL of a site"),
        ("", [], "no URL of a site"),
        ("http://testserver:x/", [], "is no URL"),
        ("http://[::1/", [], "is no URL"),
        ("/a b/", [], "%20"),
        ("/a\r\nb/", [], "%20"),
        ("http://me:secret@testserver/", [], "--header 'Authorization"),
        ("/page/", ["Accept"], "is no header field"),
        ("/page/", [": x"], "is no header field"),
        ("/page/", ["X_Under: x"], "is no header field"),
        ("/page/", ["X: a\r\nY: b"], "is no header field"),
        ("/page/", ["X: \u20ac"], "is no header field"),
        ("/page/", ["Host: other"], "that of the URL"),
        ("http://evil.example.org/", [], "'evil.example.org', which is not in ALLOWED_HOSTS"),
        ("http://testserver/../", [], ""),
    ],
)
def test_what_cannot_be_asked_for_is_refused_in_one_sentence(
    url: str, headers: list[str], sentence: str
) -> None:
    with override_settings(ALLOWED_HOSTS=["testserver"]):
        if not sentence:
            assert environ_of(url, headers)["PATH_INFO"] == "/../"
            return
        with pytest.raises(NotAskable) as caught:
            environ_of(url, headers)
    assert sentence in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_request_is_as_a_server_makes_it() -> None:
    with override_settings(ALLOWED_HOSTS=[".example.org"], FORCE_SCRIPT_NAME="/shop"):
        environ = environ_of(
            "https://a.example.org:8443/shop/b%C3%A4r/?q=\u00e4", ["Cookie: a=1", "cookie: b=2", "X-A:1"]
        )
    assert environ["HTTP_HOST"] == "a.example.org:8443"
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("/shop", "/b\u00c3\u00a4r/")
    assert environ["QUERY_STRING"] == "q=%C3%A4"
    assert (environ["wsgi.url_scheme"], environ["SERVER_PORT"]) == ("https", "8443")
    assert (environ["HTTP_COOKIE"], environ["HTTP_X_A"]) == ("a=1; b=2", "1")
    with override_settings(ALLOWED_HOSTS=[".example.org"]):
        bare = environ_of("/")
    assert bare["HTTP_HOST"] == "example.org"
    assert "HTTP_COOKIE" not in bare


# The table of reasons


def _words_returned(source: str) -> set[str]:
    """Return the words that functions named for a reason return, and those that are set as one."""
    words: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef) and (
            "why" in node.name or node.name in ("whose", "tee", "_cookie_read")
        ):
            returned = [each.value for each in ast.walk(node) if isinstance(each, ast.Return) and each.value]
            words |= {
                each.value
                for value in returned
                for each in (value, *_branches(value))
                if isinstance(each, ast.Constant) and isinstance(each.value, str)
            }
        if isinstance(node, ast.Assign) and "reason" in ast.unparse(node.targets[0]):
            words |= {each.value for each in ast.walk(node.value) if isinstance(each, ast.Constant)}
    return {word for word in words if isinstance(word, str) and word}


def _branches(value: ast.expr) -> list[ast.expr]:
    if isinstance(value, ast.IfExp):
        return [value.body, value.orelse, *_branches(value.body), *_branches(value.orelse)]
    return (
        [each for part in value.values for each in (part, *_branches(part))]
        if isinstance(value, ast.BoolOp)
        else []
    )


def test_each_reason_that_the_cache_gives_has_its_clause() -> None:
    folder = Path(making.__file__).parent
    words = set(REASONS) - {"ok"}
    for module in (making, identity, serving_module, streaming, inner, flying):
        words |= _words_returned(getsource(module))
    words |= _words_returned((folder / "forwarding.py").read_text(encoding="utf-8"))
    assert {"session", "tags", "event-stream", "size", "file", "nonce", "remote-user", "cookies"} <= words
    assert words - {"method", "bypassed", "hit", "stream", "collapsed", "stale", "miss"} <= set(CLAUSES)


def test_each_clause_can_follow_because() -> None:
    for clause in CLAUSES.values():
        assert not clause.endswith(".")
        first = clause.split()[0]
        assert first[0].islower() or first in (
            "Vary", "TenantMiddleware", "ResponseCacheMiddleware", "CACHE_ENABLED",
        )  # fmt: skip
    assert set(ADVICE) <= set(CLAUSES)
    assert all(advice.endswith((".", "'.")) for advice in ADVICE.values())


def test_asking_leaves_no_flight_behind() -> None:
    explained(plain)
    assert not deduplication.flights._flights
