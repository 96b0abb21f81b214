"""Compression over real connections: events arrive one by one, pages whole, files by the server's own hand."""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Iterator
from pathlib import Path

import django
import pytest

from tests import servers
from tests.integration.site import get, wait_until
from tests.responses.decoding import decoded, decoder_of

NAMES = ("zstd", "br", "gzip")
SETTINGS = "tests.integration.compressed_site"
needs_async_streaming = pytest.mark.skipif(
    django.VERSION < (4, 2), reason="async streaming came with Django 4.2"
)


@contextlib.contextmanager
def running(server: str, folder: Path) -> Iterator[servers.Server]:
    env = {
        "DJANGO_SETTINGS_MODULE": SETTINGS,
        "PERFSUITE_TEST_DIR": str(folder),
        "PERFSUITE_TEST_OPTIONS": json.dumps({"METRICS": {"ENABLED": False}}),
    }
    if server == "gunicorn":
        with servers.gunicorn("--threads", "4", app="tests.wsgi:application", **env) as made:
            yield made
    else:
        with servers.uvicorn(app="tests.asgi:application", **env) as made:
            yield made


def go(folder: Path, number: int) -> None:
    (folder / f"go-{number}").touch()


@pytest.mark.parametrize(
    ("server", "path"),
    [("gunicorn", "/events/"), pytest.param("uvicorn", "/async/events/", marks=needs_async_streaming)],
)
def test_an_event_is_there_before_the_next_is_made(server: str, path: str, tmp_path: Path) -> None:
    with running(server, tmp_path) as made:
        for name in NAMES:
            for old in tmp_path.glob("go-*"):
                old.unlink()
            (tmp_path / "closed").unlink(missing_ok=True)
            with contextlib.closing(
                http.client.HTTPConnection("127.0.0.1", made.port, timeout=10)
            ) as connection:
                go(tmp_path, 0)
                connection.request("GET", path, headers={"Accept-Encoding": name})
                response, read = connection.getresponse(), decoder_of(name)
                assert response.headers["Content-Encoding"] == name
                for n in range(5):
                    expected, seen = b"data: event %d\n\n" % n, b""
                    while len(seen) < len(expected):
                        seen += read(response.read1(65_536))
                    assert seen == expected
                    go(tmp_path, n + 1)
                # The client leaves. A server under WSGI notices when it sends what comes next.
                connection.sock.close()
                response.close()
            for n in range(6, 300):
                go(tmp_path, n)
            wait_until((tmp_path / "closed").exists, "the source is closed")


@pytest.mark.parametrize("server", ["gunicorn", "uvicorn"])
def test_pages_are_whole_and_validated(server: str, tmp_path: Path) -> None:
    with running(server, tmp_path) as made:
        plain = get(made, "/page/")
        for name in NAMES:
            packed = get(made, "/page/", {"Accept-Encoding": name})
            assert decoded(name, packed.body) == plain.body
            assert packed.headers["Content-Length"] == str(len(packed.body))
            assert packed.headers["ETag"] == "W/" + plain.headers["ETag"]
            known = {"Accept-Encoding": name, "If-None-Match": packed.headers["ETag"]}
            assert get(made, "/page/", known).status == 304


def test_a_file_is_sent_by_the_server_where_it_can(tmp_path: Path) -> None:
    with running("gunicorn", tmp_path) as made:
        answer = get(made, "/file/", {"Accept-Encoding": "gzip"})
    assert answer.body == (tmp_path / "page.html").read_bytes()
    assert answer.headers["Content-Length"] == str(len(answer.body))
    assert "Content-Encoding" not in answer.headers
