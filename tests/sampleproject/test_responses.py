"""Whole pages come from the cache, compressed, and never one visitor's to another."""

from __future__ import annotations

import gzip
import http.client
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests import servers
from tests.sampleproject.conftest import Browser, Site

PUBLIC = [
    "/",
    "/t/cedar/",
    "/t/cedar/pages/",
    "/t/cedar/forms/question/thanks/",
    "/t/cedar/api/suggest/?q=str",
]
NEVER = ["/login/", "/t/cedar/forms/question/", "/t/cedar/search/?q=path", "/t/cedar/team/"]


@pytest.fixture
def fresh(own_site: Site) -> Iterator[servers.Server]:
    """Serve a site of the test's own, whose cache is empty."""
    with servers.gunicorn("--threads=4", app="sampleproject.wsgi", **own_site.env) as running:
        yield running


def status_of(browser: Browser, path: str) -> str:
    """Return what the cache says of an answer, without the details that staff get to see."""
    return re.split("; (?:ttl|key)=", browser.get(path).headers.get("Cache-Status", ""))[0]


def test_a_public_page_is_made_once(fresh: servers.Server) -> None:
    first = {path: status_of(Browser(fresh.url), path) for path in PUBLIC}
    again = {path: status_of(Browser(fresh.url), path) for path in PUBLIC}
    assert first == dict.fromkeys(PUBLIC, "perfsuite; fwd=uri-miss; stored")
    assert again == dict.fromkeys(PUBLIC, "perfsuite; hit")


def test_two_workers_leave_each_other_their_pages(own_site: Site) -> None:
    with servers.gunicorn("--workers=2", app="sampleproject.wsgi", **own_site.env) as running:
        asked = {path: [status_of(Browser(running.url), path) for _ in range(24)] for path in PUBLIC}
    for path, seen in asked.items():
        assert seen.count("perfsuite; fwd=uri-miss; stored") <= 2, path
        assert set(seen[1:]) <= {"perfsuite; fwd=uri-miss; stored", "perfsuite; hit"}


@pytest.mark.parametrize("path", NEVER)
def test_others_are_made_each_time(browser: Browser, path: str) -> None:
    assert [status_of(browser, path) for _ in range(2)] == ["perfsuite; fwd=uri-miss"] * 2


def test_who_is_logged_in_sees_it_and_nobody_else_does(fresh: servers.Server) -> None:
    editor, visitor = Browser(fresh.url).log_in("editor"), Browser(fresh.url)
    for _ in range(2):
        for path in ("/", "/t/harbor/", "/t/harbor/pages/"):
            assert "Account" in editor.get(path).text
            assert "Account" not in visitor.get(path).text
    assert "Leads" in editor.get("/t/harbor/").text
    assert "editor" in editor.get("/account/").text
    assert "/login/" in visitor.get("/account/").url


def test_the_inbox_is_kept_for_one_user_until_they_log_out(fresh: servers.Server) -> None:
    path = "/t/harbor/leads/"
    editor, admin = Browser(fresh.url).log_in("editor"), Browser(fresh.url).log_in("admin")
    assert [status_of(editor, path) for _ in range(2)] == [
        "perfsuite; fwd=uri-miss; stored",
        "perfsuite; hit",
    ]
    assert status_of(admin, path) == "perfsuite; fwd=uri-miss; stored"
    token = editor.get("/account/").text.partition('name="csrfmiddlewaretoken" value="')[2][:64]
    assert editor.get("/logout/", f"csrfmiddlewaretoken={token}".encode()).status == 200
    assert "/login/" in editor.get(path).url
    assert status_of(editor.log_in("editor"), path) == "perfsuite; fwd=uri-miss; stored"


def test_a_lead_that_comes_is_in_the_inbox_at_once(fresh: servers.Server) -> None:
    admin = Browser(fresh.url).log_in("admin")
    admin.get("/t/harbor/leads/")
    fields = {"name": "Ada L", "email": "a@example.com", "message": "Is it there?"}
    assert Browser(fresh.url).send("/t/harbor/forms/question/", **fields).url.endswith("/thanks/")
    assert "Is it there?" in admin.get("/t/harbor/leads/").text


def test_a_tenant_that_is_renamed_is_so_on_each_page_at_once(own_site: Site) -> None:
    code = """
from django.test import Client
client = Client(SERVER_NAME="localhost")
paths = ["/t/cedar/", "/t/cedar/pages/", "/t/cedar/forms/question/thanks/"]
for path in paths:
    client.get(path)
tenant = Tenant.objects.get(slug="cedar")
tenant.name = "Larch Data"
tenant.save()
answer = ["Larch Data" in client.get(path).content.decode() for path in paths]
"""
    assert own_site.run(code) == [True, True, True]


def test_a_page_says_what_it_is_made_of(browser: Browser) -> None:
    tags = browser.get("/t/cedar/").headers["Surrogate-Key"].split()
    assert {tag.partition("/")[2] for tag in tags} >= {"forms", "pages"}


def test_a_page_is_sent_compressed_and_answered_304(fresh: servers.Server) -> None:
    path, address = "/t/cedar/pages/", urlsplit(fresh.url)
    whole = Browser(fresh.url).get(path).text
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=20)
    for _ in range(2):
        connection.request("GET", path, headers={"Accept-Encoding": "gzip"})
        response = connection.getresponse()
        body = response.read()
        assert (response.headers["Content-Encoding"], gzip.decompress(body).decode()) == ("gzip", whole)
        assert len(body) < len(whole) / 2
    etag = response.headers["ETag"]
    connection.request("GET", path, headers={"Accept-Encoding": "gzip", "If-None-Match": etag})
    response = connection.getresponse()
    assert (response.status, response.read()) == (304, b"")
    connection.close()


def test_explain_cache_says_of_four_pages_what_the_readme_shows(own_site: Site) -> None:
    code = """
import io
from django.conf import settings
from django.core.management import call_command
from django.test import Client
client = Client()
assert client.login(username="admin", password="admin")
cookie = "Cookie: sessionid=" + client.cookies["sessionid"].value
answer = []
inbox = "/t/harbor/leads/"
for arguments in (["/"], [inbox, "--header", cookie], [inbox], ["/t/harbor/search/?q=path"]):
    out, exit_code = io.StringIO(), 0
    try:
        call_command("explain_cache", *arguments, stdout=out)
    except SystemExit as exc:
        exit_code = exc.code
    answer.append([exit_code, out.getvalue().splitlines()])
"""
    said = own_site.run(code)
    shown = (servers.ROOT / "sampleproject" / "README.md").read_text(encoding="utf-8").splitlines()

    assert [exit_code for exit_code, _ in said] == [0, 0, 2, 2]
    for _, lines in said:
        told = [
            line
            for line in lines
            if line.startswith(("partition:", "view:", "conclusion:", "advice:", "tags:"))
        ]
        assert told[-1].startswith("conclusion: ")
        assert set(told) <= set(shown)
