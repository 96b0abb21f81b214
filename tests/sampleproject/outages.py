"""Take Valkey from the sample site under visitors: ``python -m tests.sampleproject.outages 60`` does so for 60 seconds a fault.

Visitors read pages of all tenants, about fifty a second, while an editor changes them through the admin. In the middle third
the server is dead, frozen, or again and again restarted empty. Prints as JSON what the visitors got.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests import servers, valkey
from tests.integration.site import get, wait_until
from tests.sampleproject.conftest import SMALL, Browser, Site
from tests.valkey import Valkey

WORKERS = 2
READERS, EACH_S, CHANGE_EACH_S = 4, 0.08, 0.5
TITLE = re.compile(r"Edition (\d+) of ([-\w]+)")
PAGES = """
from django.forms import model_to_dict
answer = []
for tenant in Tenant.objects.all():
    page = Page.objects.filter(tenant=tenant, status="published").order_by("title").first()
    fields = {name: "" if value is None else str(value) for name, value in model_to_dict(page).items()}
    answer.append([tenant.slug, page.pk, page.slug, fields])
"""


@dataclass(frozen=True)
class Seen:
    """One page: when it was asked for, whose it had to be, and what it said."""

    began: float
    tenant: str
    status: int
    edition: int
    shown: str


@dataclass
class Outage:
    """A site under visitors, and what they got."""

    site: Site
    server: servers.Server
    pages: list[tuple[str, int, str, dict[str, str]]]
    seen: list[Seen] = field(default_factory=list)
    saved: list[tuple[float, str, int]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def read(self, number: int) -> float:
        """Read a page, and return for how long to rest."""
        tenant, _, slug, _ = self.pages[number % len(self.pages)]
        began = time.time()
        answer = get(self.server, f"/t/{tenant}/pages/{slug}/")
        found = TITLE.search(answer.body.decode())
        shown, edition = (found[2], int(found[1])) if found else ("", -1)
        self.seen.append(Seen(began, tenant, answer.status, edition, shown))
        return max(0.0, EACH_S - (time.time() - began))

    def editing(self) -> Callable[[int], float]:
        """Return the work of an editor who is logged in: to give the pages a new title in turn."""
        editor = Browser(self.server.url).log_in("admin")

        def edit(number: int) -> float:
            tenant, pk, _, fields = self.pages[number % len(self.pages)]
            form = f"/admin/portal/page/{pk}/change/"
            times = {"updated_at_0": "2026-01-01", "updated_at_1": "12:00:00"}
            answer = editor.send(form, **{**fields, **times, "title": f"Edition {number} of {tenant}"})
            assert answer.status == 200, answer.text[:2_000]
            assert answer.url.endswith("/admin/portal/page/"), answer.text[:2_000]
            self.saved.append((time.time(), tenant, number))
            return CHANGE_EACH_S

        return edit

    def repeat(self, work: Callable[[int], float]) -> None:
        """Work until the outage is over."""
        number = 0
        while not self.stop.is_set():
            number += 1
            try:
                time.sleep(work(number))
            except Exception as exc:  # noqa: BLE001 - it is told
                self.errors.append(repr(exc))

    def age_s(self, seen: Seen) -> float:
        """Return for how long a page had been replaced when it was asked for."""
        newer = [at for at, tenant, number in self.saved if tenant == seen.tenant and number > seen.edition]
        return max(0.0, seen.began - min(newer)) if newer else 0.0

    def is_current(self) -> bool:
        """Tell whether the site shows what was saved last, of all tenants, many times over."""
        last = {tenant: number for _, tenant, number in self.saved}
        before = len(self.seen)
        for number in range(len(self.pages) * WORKERS * 8):
            self.read(number)
        return all(seen.edition == last[seen.tenant] for seen in self.seen[before:])


def killed(server: Valkey, seconds: float) -> None:
    """Be dead for so long, and come back empty."""
    server.kill()
    time.sleep(seconds)
    server.start()


def frozen(server: Valkey, seconds: float) -> None:
    """Answer nothing for so long, with all connections open."""
    server.stop()
    time.sleep(seconds)
    server.cont()


def emptied(server: Valkey, seconds: float) -> None:
    """Lose everything once a second."""
    for _ in range(max(1, round(seconds))):
        server.restart()
        time.sleep(1.0)


FAULTS = (killed, frozen, emptied)


def take_away(site: Site, fault: Callable[[Valkey, float], None], seconds: float) -> dict[str, Any]:
    """Run the site for ``seconds`` with ``fault`` in their middle third; return what came of it."""
    pages = [tuple(page) for page in site.run(PAGES)]
    with valkey.valkey() as redis:
        env = {**site.env, "REDIS_URL": redis.url}
        options = (f"--workers={WORKERS}", "--threads=4", "--preload")
        with servers.gunicorn(*options, app="sampleproject.wsgi", **env) as server:
            outage = Outage(site, server, pages)
            edit = outage.editing()
            for number in range(len(pages)):
                edit(number)
            works = [*[outage.read] * READERS, edit]
            threads = [threading.Thread(target=outage.repeat, args=(work,)) for work in works]
            for thread in threads:
                thread.start()
            time.sleep(seconds / 3)
            fault(redis, seconds / 3)
            time.sleep(seconds / 3)
            outage.stop.set()
            for thread in threads:
                thread.join()
            seen = list(outage.seen)
            healed = time.time()
            wait_until(outage.is_current, "the site to show what was saved last")
            tracebacks = server.output().count("Traceback")
    return {
        "fault": fault.__name__,
        "pages": len(seen),
        "a second": round(len(seen) / seconds, 1),
        "saves": len(outage.saved),
        "errors": outage.errors,
        "failed": sum(each.status != 200 for each in seen),
        "of another tenant": sum(each.shown != each.tenant for each in seen),
        "oldest_s": round(max(map(outage.age_s, seen)), 2),
        "current after_s": round(time.time() - healed, 2),
        "tracebacks": tracebacks,
    }


def new_site(folder: Path) -> Site:
    """Make a small sample site."""
    site = Site.at(folder / "var")
    site.manage("migrate", "--verbosity=0")
    site.manage("seed_demo", *SMALL)
    site.manage("collectstatic", "--noinput", "--verbosity=0")
    site.manage("compress", "--verbosity=0")
    return site


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    with tempfile.TemporaryDirectory() as folder:
        site = new_site(Path(folder))
        for fault in FAULTS:
            print(json.dumps(take_away(site, fault, seconds)), flush=True)


if __name__ == "__main__":
    main()
