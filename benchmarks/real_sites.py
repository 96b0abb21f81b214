"""What is found in applications that others wrote: each is filled, browsed by a script, and its findings are listed.

    python benchmarks/real_sites.py oscar|wagtail [--urls 150] [--format json]

Needs ``pip install "django-oscar[sorl-thumbnail]" factory_boy`` or ``pip install wagtail``, on SQLite. Pages are opened by
Django's test client as an anonymous visitor and as a superuser, links are followed, and of each route no more than two
addresses are opened. What was judged of the list is in docs/topics/real-sites.md.
"""

from __future__ import annotations

import argparse
import json
import logging
import re
import sys
import tempfile
from collections import Counter, deque
from collections.abc import Callable
from html import unescape
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

HREF = re.compile(r'href="([^"#]+)"')
# What changes something, leaves the session, or is no page.
SKIPPED = re.compile(r"logout|delete|/static/|/media/|\.(?:css|js|png|jpg|ico|svg)|i18n|set_language|sprite")
PER_ROUTE = 2
ROWS = 24


def configure(name: str, folder: Path) -> Any:
    """Set Django up for an application; return the module that fills it."""
    import django
    from django.conf import settings

    site = import_module(f"real_sites_{name}")
    settings.configure(
        SECRET_KEY="for this run only",
        ALLOWED_HOSTS=["*"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": folder / "site.sqlite3"}},
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        USE_TZ=True,
        STATIC_URL="/static/",
        MEDIA_URL="/media/",
        MEDIA_ROOT=folder / "media",
        ROOT_URLCONF=f"real_sites_{name}",
        **site.SETTINGS,
    )
    django.setup()
    return site


class Crawler:
    """Opens pages and follows their links, no more than some of each route."""

    def __init__(self, client: Any, limit: int) -> None:
        self.client, self.limit = client, limit
        self.opened: list[tuple[str, int]] = []
        self.of_route: Counter[str] = Counter()

    def crawl(self, starts: list[str]) -> None:
        """Open addresses, and those that their pages link to."""
        from django.urls import Resolver404, resolve

        waiting, known = deque(starts), set(starts)
        while waiting and len(self.opened) < self.limit:
            path = waiting.popleft()
            try:
                route = resolve(urlsplit(path).path).route
            except Resolver404:
                continue
            # A page tree has one route for all of its pages.
            if self.of_route[route] >= (PER_ROUTE if "<" in route or "(" in route else 1) + ("?" in path):
                continue
            self.of_route[route] += 1
            response = self.client.get(path, follow=True)
            self.opened.append((path, response.status_code))
            if response.streaming or "html" not in response.get("Content-Type", ""):
                continue
            at = response.redirect_chain[-1][0] if response.redirect_chain else path
            for link in map(unescape, HREF.findall(response.content.decode(errors="replace"))):
                target = urlsplit(urljoin(at, link))
                address = target.path + (f"?{target.query}" if target.query else "")
                is_here = target.netloc in ("", "testserver") and target.scheme in ("", "http")
                if is_here and address not in known and not SKIPPED.search(address):
                    known.add(address)
                    waiting.append(address)


def seen_while(work: Callable[[], None]) -> list[dict[str, Any]]:
    """Return the findings of what happens in a function, alike ones once, those of the most requests first."""
    from perfsuite.metrics import sightings
    from perfsuite.queries import loading, statements

    found: dict[tuple[str, ...], dict[str, Any]] = {}

    def sight(sighting: sightings.Sighting) -> None:
        evidence = sighting.evidence
        key = sighting.kind, sighting.site, sighting.subject, evidence.get("about", "")
        row = found.setdefault(
            key,
            {
                "kind": sighting.kind,
                "site": sighting.site,
                "about": evidence.get("about", ""),
                "advice": evidence.get("advice", ""),
                "routes": [],
                "requests": 0,
                "count": 0,
                "subject": sighting.subject,
            },
        )
        row["requests"] += 1 + len(sighting.others_us)
        row["count"] = max(row["count"], evidence.get("count", evidence.get("rows", 0)))
        if sighting.route not in row["routes"]:
            row["routes"].append(sighting.route)

    tellers: list[Any] = [sightings, statements, loading]  # these have imported it
    original = sightings.sight
    for teller in tellers:
        teller.sight = sight
    try:
        work()
    finally:
        for teller in tellers:
            teller.sight = original
    return sorted(found.values(), key=lambda row: -row["requests"])


def main() -> None:
    """Fill, browse, and list."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("site", choices=("oscar", "wagtail"))
    options.add_argument("--urls", type=int, default=150)
    options.add_argument("--format", choices=("text", "json"), default="text", dest="form")
    chosen = options.parse_args()
    logging.disable(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        site = configure(chosen.site, Path(folder))
        from django.core.management import call_command
        from django.test import Client

        call_command("migrate", verbosity=0)
        user = site.fill(ROWS)
        visitor, member = Client(raise_request_exception=False), Client(raise_request_exception=False)
        member.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        crawlers = [Crawler(visitor, chosen.urls), Crawler(member, chosen.urls)]

        def browse() -> None:
            for crawler in crawlers:
                crawler.crawl(list(site.STARTS))

        rows = seen_while(browse)
    opened = [each for crawler in crawlers for each in crawler.opened]
    statuses = Counter(status for _, status in opened)
    routes = {route for crawler in crawlers for route in crawler.of_route}
    print(f"{len(opened)} addresses of {len(routes)} routes: {dict(statuses)}", file=sys.stderr)
    for path, status in opened:
        if status != 200:
            print(f"{status} {path}", file=sys.stderr)
    for number, row in enumerate(rows, 1):
        if chosen.form == "json":
            print(json.dumps(row))
        else:
            print(f"{number}. {row['kind']} {row['about']} -> {row['advice']} at {row['site']}")
            print(f"   {row['requests']} requests, {row['count']} times, {', '.join(row['routes'][:3])}")
            print(f"   {row['subject'][:400]}")


if __name__ == "__main__":
    main()
