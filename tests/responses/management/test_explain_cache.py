"""``explain_cache``: its lines, its exit codes, and errors in one sentence."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.http import HttpRequest, HttpResponse

from tests.responses.site import OURS, SESSIONS, SYNC, serving, text


def page(request: HttpRequest) -> HttpResponse:
    return text()


def mine(request: HttpRequest) -> HttpResponse:
    request.session["seen"] = True
    return text()


def run(*arguments: str, **more: Any) -> tuple[list[str], str, int]:
    out, err, code = io.StringIO(), io.StringIO(), 0
    signed = "django.contrib.sessions.backends.signed_cookies"
    views = {"page/": page, "mine/": mine}
    with serving(SYNC, views, middleware=(OURS, SESSIONS), SESSION_ENGINE=signed, **more):
        try:
            call_command("explain_cache", *arguments, stdout=out, stderr=err)
        except SystemExit as exc:
            code = int(str(exc.code))
    return out.getvalue().splitlines(), err.getvalue(), code


def test_a_page_that_is_cached_ends_with_0() -> None:
    lines, told, code = run("http://testserver/page/", "--header", "Accept: text/html", "--header", "X-A: 1")
    assert lines[0].startswith(
        "middleware: ResponseCacheMiddleware is number 1 of 2 in MIDDLEWARE, before Session"
    )
    assert "request: GET http://testserver/page/ with Accept, X-A" in lines
    assert lines[-1] == "conclusion: A repeat is answered from the cache for 60 s."
    assert code == 0
    assert "of this process" in told


def test_a_page_that_is_not_ends_with_2() -> None:
    lines, _, code = run("/mine/")
    assert lines[-2].startswith("advice: If the page is one user's")
    assert lines[-1].startswith("conclusion: Each request runs its view, because ")
    assert code == 2


def test_where_nothing_is_asked_for_that_is_not_said() -> None:
    lines, told, code = run("/page/", options={"CACHE_ENABLED": False})
    assert lines[-1] == "conclusion: Each request runs its view, because CACHE_ENABLED is false."
    assert (told, code) == ("", 2)


def test_a_line_of_json_is_a_step() -> None:
    lines, _, code = run("/mine/", "--format", "json")
    steps = [json.loads(line) for line in lines]
    assert [step["step"] for step in steps][:2] == ["middleware", "cache"]
    assert (steps[-1]["step"], steps[-1]["cached"], steps[-1]["reason"]) == (
        "conclusion",
        False,
        "set-cookie",
    ) or (steps[-1]["reason"] == "session")
    assert all(set(step) == {"step", "text"} for step in steps[:-1])
    assert code == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("page/",), "'page/' is no URL of a site"),
        (("http://other.example.org/page/",), "not in ALLOWED_HOSTS"),
        (("/page/", "--header", "nonsense"), "'nonsense' is no header field"),
    ],
)
def test_what_cannot_be_asked_for_is_an_error_in_one_sentence(
    arguments: tuple[str, ...], sentence: str
) -> None:
    with pytest.raises(CommandError) as caught:
        run(*arguments, ALLOWED_HOSTS=["testserver"])
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.returncode == 1


@pytest.mark.parametrize("missing", ["tests.responses.nowhere.Middleware", "nowhere"])
def test_middleware_that_cannot_be_loaded_is_an_error_in_one_sentence(missing: str, settings: Any) -> None:
    with serving(SYNC, {"page/": page}, middleware=(OURS, missing)), pytest.raises(CommandError) as caught:
        call_command("explain_cache", "/page/")
    assert "cannot be loaded" in str(caught.value)
