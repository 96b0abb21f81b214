"""A filled sample site, a server for it, and somebody who browses it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import Message
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests import servers

HERE = Path(__file__).resolve().parent
# the same content on every database, however much later that one is filled
SMALL = ("--users=45", "--leads=600", "--pages=300", f"--now={datetime.now(UTC).isoformat()}")
TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.sample)


@dataclass(frozen=True)
class Site:
    """A sample project whose files lie in the folder `var`."""

    var: Path
    env: dict[str, str]

    @classmethod
    def at(cls, var: Path, **env: str) -> Site:
        settings = {"DJANGO_SETTINGS_MODULE": "sampleproject.settings", "DB": "sqlite", "DEBUG": ""}
        return cls(var, {**settings, "SAMPLEPROJECT_VAR": str(var), **env})

    def manage(self, *arguments: str, succeeds: bool = True) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(
            command,
            cwd=servers.ROOT,
            env={**os.environ, **self.env},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode == 0) == succeeds, done.stdout + done.stderr
        return done

    def rows(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Return what the database itself says."""
        with contextlib.closing(sqlite3.connect(self.var / "db.sqlite3", timeout=20)) as connection:
            return connection.execute(sql, parameters).fetchall()

    def run(self, code: str) -> Any:
        """Return what `code` left in the variable `answer`, in a process in which the site is set up."""
        ready = "import json, django; django.setup(); from sampleproject.portal.models import *\n"
        script = f"{ready}{code}\nprint(json.dumps(answer, default=str))"
        env = {**os.environ, **self.env}
        done = subprocess.run(
            [sys.executable, "-c", script],
            cwd=servers.ROOT,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@dataclass(frozen=True)
class Answer:
    """What the site sent back, after redirects."""

    status: int
    text: str
    headers: Message
    url: str

    def json(self) -> Any:
        return json.loads(self.text)


class Browser:
    """Somebody with cookies of their own."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))

    def get(self, path: str, data: bytes | None = None) -> Answer:
        try:
            response = self.opener.open(self.url + path, data, timeout=20)
        except urllib.error.HTTPError as exc:
            response = exc
        with response:
            return Answer(response.status, response.read().decode(), response.headers, response.url)

    def send(self, path: str, **fields: str) -> Answer:
        """Fill in the form at `path`."""
        token = TOKEN.search(self.get(path).text)
        return self.get(
            path, urlencode({"csrfmiddlewaretoken": token[1] if token else "", **fields}).encode()
        )

    def log_in(self, name: str) -> Browser:
        assert self.send("/login/", username=name, password=name).status == 200
        return self


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with all that `make demo` makes, only less of it. Never used itself: copies are."""
    site = Site.at(tmp_path_factory.mktemp("built") / "var")
    site.manage("migrate", "--verbosity=0")
    site.manage("seed_demo", *SMALL)
    site.manage("collectstatic", "--noinput", "--verbosity=0")
    site.manage("compress", "--verbosity=0")
    return site.var


@pytest.fixture(scope="session")
def site(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Return the site that the tests share."""
    return Site.at(Path(shutil.copytree(built, tmp_path_factory.mktemp("shared") / "var")))


@pytest.fixture
def own_site(built: Path, tmp_path: Path) -> Site:
    """Return a site that the test may change."""
    return Site.at(Path(shutil.copytree(built, tmp_path / "var")))


@pytest.fixture(scope="session")
def server(site: Site) -> Iterator[servers.Server]:
    """Serve the site as the demo does."""
    with servers.gunicorn("--threads=4", app="sampleproject.wsgi", **site.env) as running:
        yield running


@pytest.fixture
def browser(server: servers.Server) -> Browser:
    """Return a visitor who is not logged in."""
    return Browser(server.url)


@pytest.fixture
def new_browser(server: servers.Server) -> Callable[[], Browser]:
    """Return a function that brings one more visitor."""
    return lambda: Browser(server.url)
