"""Visitors of the sample site: a few threads that browse it as people do, bounded in number and in time.

They talk to this machine alone, and end by themselves: after the minutes given, after the number of requests that
these allow, when the site stops answering, or when the process that started them is gone.
"""

from __future__ import annotations

import argparse
import gzip
import http.client
import json
import os
import random
import re
import signal
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from urllib.parse import quote, urlencode

HOST = "127.0.0.1"
VISITORS = 6
MAX_PER_SECOND = 15.0
MAX_MINUTES = 120.0
MEAN_PAUSE_S = 0.5
MAX_FAILURES = 30
WORDS = (
    "path", "socket", "timeout", "thread", "decode", "file", "return", "list", "xml", "date", "parse", "stream",
    "iterator", "exception", "lock", "header", "random", "format", "buffer", "process",
)  # fmt: skip
QUESTIONS = (
    "Is there a longer example for beginners?",
    "Does this behave the same on all platforms?",
    "Which release changed the default, and why?",
)
LINK = re.compile(r'href="(/t/[^"#]*)"')
TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')


@dataclass
class Budget:
    """What all visitors together may do: so many requests, so many a second, until a moment."""

    requests: int
    ends_at: float
    parent: int | None
    answers: Counter[int] = field(default_factory=Counter)
    failures: int = 0
    stopped: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _next_at: float = 0.0

    def take(self) -> bool:
        """Wait for the turn of one request. False: there is none any more, go home."""
        with self._lock:
            if self.is_over():
                return False
            self.requests -= 1
            now = time.monotonic()
            wait_s = max(self._next_at - now, 0.0)
            self._next_at = max(self._next_at, now) + 1 / MAX_PER_SECOND
        return not self.stopped.wait(wait_s)

    def is_over(self) -> bool:
        """Tell whether the visit has ended."""
        orphaned = self.parent is not None and os.getppid() != self.parent
        spent = self.requests <= 0 or time.monotonic() >= self.ends_at or self.failures >= MAX_FAILURES
        return self.stopped.is_set() or orphaned or spent

    def record(self, status: int | None) -> None:
        """Count an answer, or None when there was none."""
        with self._lock:
            if status is None:
                self.failures += 1
            else:
                self.failures = 0
                self.answers[status] += 1


class Browser:
    """Just enough of a browser: one connection, cookies, redirects, forms."""

    def __init__(self, port: int, budget: Budget) -> None:
        self.connection = http.client.HTTPConnection(HOST, port, timeout=20)
        self.budget = budget
        self.cookies: dict[str, str] = {}

    def get(self, path: str) -> str:
        """Return the text at `path`, and of where it leads."""
        return self.request("GET", path)

    def post(self, path: str, page: str, **fields: str) -> str:
        """Send a form that was found on `page`."""
        token = TOKEN.search(page)
        return self.request(
            "POST", path, urlencode({**fields, "csrfmiddlewaretoken": token[1] if token else ""})
        )

    def request(self, method: str, path: str, body: str = "", redirects: int = 3) -> str:
        """Make one request of the budget; an empty text stands for no answer."""
        if not self.budget.take():
            raise SystemExit
        headers = {"Accept-Encoding": "gzip"}
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        if method == "POST":
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            self.connection.request(method, path, body or None, headers)
            response = self.connection.getresponse()
            body = response.read()
            if response.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            text = body.decode(errors="replace")
        except (OSError, http.client.HTTPException):
            self.connection.close()
            self.budget.record(None)
            self.budget.stopped.wait(1)
            return ""
        self.budget.record(response.status)
        for header in response.headers.get_all("Set-Cookie", []):
            self.cookies.update((name, morsel.value) for name, morsel in SimpleCookie(header).items())
        target = response.headers.get("Location", "")
        if target.startswith("/") and redirects:
            return self.request("GET", target, redirects=redirects - 1)
        return text


class Visitor(threading.Thread):
    """Somebody who comes to the site again and again, each time to one of its portals."""

    def __init__(self, number: int, port: int, budget: Budget, seed: int) -> None:
        super().__init__(name=f"visitor-{number}", daemon=True)
        self.port = port
        self.budget = budget
        self.random = random.Random(seed * 1_000 + number)
        self.works_here = number == 0

    def run(self) -> None:
        """Visit until the budget is spent."""
        while not self.budget.is_over():
            browser = Browser(self.port, self.budget)
            if self.works_here:
                self.work(browser)
            else:
                self.browse(browser)
            browser.connection.close()

    def browse(self, browser: Browser) -> None:
        """Come in at the front, and follow what looks interesting."""
        portals = re.findall(r'href="(/t/[-\w]+/)"', browser.get("/"))
        if not portals:
            return
        portal = self.random.choice(portals)
        page = browser.get(portal)
        for _ in range(self.random.randint(3, 15)):
            self.pause()
            page = self.step(browser, portal, page) or page

    def step(self, browser: Browser, portal: str, page: str) -> str:
        """Do one of the things that people do here; rare ones rarely."""
        word = quote(self.random.choice(WORDS))
        actions = {
            "link": 40, "listing": 14, "search": 14, "suggest": 10, "api": 8, "team": 5, "lead": 4, "lost": 2,
        }  # fmt: skip
        (action,) = self.random.choices(list(actions), list(actions.values()))
        if action == "link":
            links = [link for link in LINK.findall(page) if not link.endswith("/leads/")]
            return browser.get(self.random.choice(links or [portal]).replace("&amp;", "&"))
        if action == "api":
            return self.read_json(browser, portal, word)
        if action == "lead":
            return self.send_lead(browser, portal)
        return browser.get(
            portal
            + {
                "listing": f"pages/?page={self.random.randint(1, 50)}",
                "search": f"search/?q={word}",
                "suggest": f"api/suggest/?q={word[: self.random.randint(2, 5)]}",
                "team": "team/",
                "lost": f"pages/{word}-that-nobody-wrote/",
            }[action]
        )

    def read_json(self, browser: Browser, portal: str, word: str) -> str:
        """Use the API as a program would: a list, then one of its pages."""
        text = browser.get(f"{portal}api/pages/?q={word}")
        with suppress(json.JSONDecodeError):  # no answer, or the page of an error
            for row in json.loads(text)["results"][:1]:
                browser.get(f"{portal}api/pages/{row['slug']}/")
        return ""

    def send_lead(self, browser: Browser, portal: str) -> str:
        """Fill in a form; now and then wrongly at first."""
        path = f"{portal}forms/{self.random.choice(('question', 'training', 'mistake'))}/"
        page = browser.get(path)
        message = self.random.choice(QUESTIONS)
        if self.random.random() < 0.3:
            page = browser.post(path, page, name="Demo Visitor", email="not an address", message=message)
            self.pause()
        return browser.post(path, page, name="Demo Visitor", email="visitor@example.com", message=message)

    def work(self, browser: Browser) -> None:
        """Log in as the demo's editor and read the leads of the day."""
        page = browser.get("/login/")
        page = browser.post("/login/?next=/", page, username="editor", password="editor")
        for _ in range(40):
            self.pause(slower=8)  # there is more to read than on a page
            wanted = (
                "leads/",
                "leads/?status=new",
                "leads/?status=contacted",
                f"leads/?page={self.random.randint(1, 9)}",
                "api/leads/daily/",
            )
            browser.get(f"/t/harbor/{self.random.choice(wanted)}")

    def pause(self, slower: float = 1) -> None:
        """Read what is there for a while."""
        self.budget.stopped.wait(min(self.random.expovariate(1 / MEAN_PAUSE_S), 4) * slower)


def main(arguments: list[str] | None = None) -> int:
    """Send the visitors, wait until they have gone, and say what they saw."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--port", type=int, required=True, help=f"where the site listens on {HOST}")
    parser.add_argument(
        "--minutes", type=float, default=5, help=f"how long they stay, at most {MAX_MINUTES:g} (default 5)"
    )
    parser.add_argument(
        "--parent", type=int, help="stop when the process with this id is no longer the parent"
    )
    parser.add_argument("--seed", type=int, default=1, help="another number makes other visitors")
    options = parser.parse_args(arguments)
    seconds = 60 * min(max(options.minutes, 0), MAX_MINUTES)
    budget = Budget(int(MAX_PER_SECOND * seconds), time.monotonic() + seconds, options.parent)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)  # ends the wait below
    started = time.monotonic()
    visitors = [Visitor(number, options.port, budget, options.seed) for number in range(VISITORS)]
    for visitor in visitors:
        visitor.start()
    with suppress(KeyboardInterrupt):
        while not budget.is_over():
            time.sleep(0.5)
    budget.stopped.set()
    for visitor in visitors:
        visitor.join(timeout=2)
    statuses = ", ".join(f"{count:,} with {status}" for status, count in sorted(budget.answers.items()))
    print(
        f"{sum(budget.answers.values()):,} answers in {time.monotonic() - started:.0f} s: {statuses or 'none'}."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
