"""A browser, a server of its own for each module, and pages that are logged in."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests import servers
from tests.browser.prepare import PASSWORD

playwright_api = pytest.importorskip(
    "playwright.sync_api", reason='playwright is missing; type: pip install "django-perfsuite[browser]"'
)

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    *(["--no-sandbox"] if os.geteuid() == 0 else []),
]
PANEL = "/admin/perfsuite_panel/dashboard/"
HELP = (
    "No Chromium; type: apt-get install chromium, or: python -m playwright install chromium, "
    "or name one in PERFSUITE_TEST_CHROMIUM."
)


@pytest.fixture(scope="session")
def chromium_executable() -> str:
    """Return the path of a Chromium: named in the environment, installed, Debian's, or Playwright's own."""
    if named := os.environ.get("PERFSUITE_TEST_CHROMIUM"):
        return named
    if found := _installed():
        return found
    if os.geteuid() == 0 and shutil.which("apt-get"):
        for command in (
            ["apt-get", "update"],
            ["apt-get", "install", "-y", "--no-install-recommends", "chromium"],
        ):
            subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if found := _installed():
            return found
    with playwright_api.sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    if not Path(own).exists():
        command = [sys.executable, "-m", "playwright", "install", "chromium"]
        subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if not Path(own).exists():
        pytest.fail(HELP)
    return str(own)


def _installed() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name))), None)


# Module scope: an open Playwright keeps an event loop running in this thread, in which Django refuses to touch a database.
@pytest.fixture(scope="module")
def browser(chromium_executable: str) -> Iterator[Any]:
    """Run the browser until the module's last test."""
    with playwright_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_executable, args=ARGUMENTS)
        yield browser
        browser.close()


class Host:
    """A running host: its address, and a way to put numbers into its store."""

    def __init__(self, server: servers.Server, env: dict[str, str]) -> None:
        self.url = server.url
        self.cookies: dict[str, Any] = {}
        self._env = env

    def record(self, *observations: tuple[str, list[str], float, int]) -> None:
        """Write ``(kind, labels, value, how many times)`` into the store."""
        self.run("record", json.dumps(observations))

    def run(self, *arguments: str) -> None:
        """Run ``tests.browser.prepare`` on the host's database."""
        run(*arguments, env=self._env)


def run(*arguments: str, env: dict[str, str]) -> None:
    command = [sys.executable, "-m", "tests.browser.prepare", *arguments]
    subprocess.run(command, cwd=servers.ROOT, env={**os.environ, **env}, check=True)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """Run the test host under gunicorn with a database of its own."""
    env = servers.new_host(tmp_path_factory.mktemp("host"), DJANGO_SETTINGS_MODULE="tests.browser.host")
    run("users", env=env)
    options = ("--workers", "1", "--threads", "4")
    with servers.gunicorn(*options, app="tests.browser.host:application", **env) as server:
        yield Host(server, env)


class Visitor:
    """A browser window and what went wrong in it."""

    def __init__(self, host: Host, context: Any) -> None:
        self.host = host
        self.context = context
        self.page = context.new_page()
        self.problems: list[str] = []
        self.context.add_init_script(
            "addEventListener('securitypolicyviolation', e => console.error('CSP', e.violatedDirective, e.blockedURI))"
        )
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.problems.append(f"error {error}"))
        self.page.on("dialog", lambda dialog: (self.problems.append("dialog"), dialog.dismiss()))

    def _on_console(self, message: Any) -> None:
        if message.type in {"error", "warning"}:
            self.problems.append(f"{message.type} {message.text}")

    def log_in(self, name: str = "viewer") -> None:
        """Log in through the form; from the second time on with the cookies of the first."""
        if name in self.host.cookies:
            self.context.add_cookies(self.host.cookies[name])
            return
        self.page.goto(f"{self.host.url}/admin/login/?next=/zero/")
        self.page.fill("#id_username", name)
        self.page.fill("#id_password", PASSWORD)
        self.page.click("[type=submit]")
        self.page.wait_for_url(f"{self.host.url}/zero/")
        self.host.cookies[name] = self.context.cookies()

    def open_panel(self, path: str = PANEL, chosen: str = "15m") -> Any:
        """Open the panel and wait for its first numbers."""
        self.page.goto(f"{self.host.url}{path}?range={chosen}")
        self.page.wait_for_selector("[data-card=overview]")
        return self.page

    def text_of(self, tile: str) -> str:
        """Return the number that the tile of that name shows."""
        wanted = self.page.locator(".ps-tile", has=self.page.locator(".ps-tile-name", has_text=tile))
        return str(wanted.first.locator(".ps-tile-number").inner_text())


@pytest.fixture
def visit(browser: Any, host: Host) -> Iterator[Callable[..., Visitor]]:
    """Open windows: ``visit(color_scheme="dark", viewport={...})``. They are closed after the test."""
    contexts = []

    def opened(**options: Any) -> Visitor:
        context = browser.new_context(**{"viewport": {"width": 1440, "height": 900}, **options})
        contexts.append(context)
        return Visitor(host, context)

    yield opened
    for context in contexts:
        with suppress(playwright_api.Error):
            context.close()
