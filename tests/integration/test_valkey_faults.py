"""A site whose Valkey is killed, frozen or emptied under visitors: each gets a page, the tenant's own, and none is too old."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from tests import servers, valkey
from tests.integration.site import Site, get, wait_until
from tests.valkey import Valkey

TENANTS = ("ada", "bob", "cyd", "dan", "eve", "fay")  # tenants_wsgi.py
MAX_STALENESS_S = 2.0  # tenants_site.py
# Between the end of a change and a page that is told to be too old, beyond the bound: a busy machine's.
SLACK_S = 2.0
READERS, EACH_S, CHANGE_EACH_S = 3, 0.06, 0.3  # about fifty requests a second
AWAY_S = MAX_STALENESS_S + SLACK_S + 1.0


@dataclass(frozen=True)
class Seen:
    """One page: when it was asked for, and what it said."""

    began: float
    tenant: str
    status: int
    body: str


@dataclass
class Visits:
    """Visitors of all tenants, and one who changes them in turn, until the block ends."""

    server: servers.Server
    seen: list[Seen] = field(default_factory=list)
    changed: list[tuple[float, str, int]] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    errors: list[BaseException] = field(default_factory=list)

    def __enter__(self) -> Visits:
        works = [*[self._read] * READERS, self._change]
        self._threads = [threading.Thread(target=self._repeat, args=(work,)) for work in works]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _repeat(self, work: Callable[[int], float]) -> None:
        number = 0
        try:
            while not self._stop.is_set():
                number += 1
                time.sleep(work(number))
        except Exception as exc:  # noqa: BLE001 - the test fails by it
            self.errors.append(exc)

    def _read(self, number: int) -> float:
        tenant = TENANTS[number % len(TENANTS)]
        began = time.time()
        answer = get(self.server, f"/page/{tenant}/{'?plain=1' if number % 2 else ''}")
        self.seen.append(Seen(began, tenant, answer.status, answer.body.decode()))
        return max(0.0, EACH_S - (time.time() - began))

    def _change(self, number: int) -> float:
        tenant = TENANTS[number % len(TENANTS)]
        answer = get(self.server, f"/change/{tenant}/")
        assert answer.status == 200
        self.changed.append((time.time(), tenant, int(answer.body.split()[1])))
        return CHANGE_EACH_S

    def age_s(self, seen: Seen) -> float:
        """Return for how long a page had been replaced by a newer one when it was asked for."""
        version = int(seen.body.split()[1])
        newer = [at for at, tenant, number in self.changed if tenant == seen.tenant and number > version]
        return max(0.0, seen.began - min(newer)) if newer else 0.0


@pytest.fixture
def server(site: Site, own_valkey: Valkey) -> Iterator[servers.Server]:
    env = {
        **site.env,
        "DJANGO_SETTINGS_MODULE": "tests.integration.tenants_site",
        "PERFSUITE_TEST_CACHE_URL": own_valkey.url,
    }
    options = ("--preload", "--workers", "2", "--threads", "4")
    with servers.gunicorn(*options, app="tests.integration.tenants_wsgi:application", **env) as running:
        yield running


@pytest.fixture
def own_valkey() -> Iterator[Valkey]:
    with valkey.valkey() as running:
        yield running


def killed(server: Valkey) -> None:
    server.kill()
    time.sleep(AWAY_S)
    server.start()


def frozen(server: Valkey) -> None:
    server.stop()
    time.sleep(AWAY_S)
    server.cont()


def emptied(server: Valkey) -> None:
    for _ in range(3):
        server.restart()
        time.sleep(1.0)


def current(server: servers.Server, versions: dict[str, int]) -> None:
    """Wait until both workers are in step with the last change, and see that each shows what is current at once."""
    since, synced = time.time(), dict[str, float]()

    def both_are_in_step() -> bool:
        answer = get(server, "/page/ada/")
        synced[answer.headers["X-Worker"]] = float(answer.headers["X-Synced"])
        return len(synced) == 2 and min(synced.values()) > since

    wait_until(both_are_in_step, "both workers to be in step")
    asked: set[tuple[str, str, str]] = set()

    def all_are_asked() -> bool:
        for tenant in TENANTS:
            for query in ("", "?plain=1"):
                answer = get(server, f"/page/{tenant}/{query}")
                assert answer.body.decode() == f"{tenant} {versions[tenant]}"
                assert answer.headers["X-Readers"] == "1"
                asked.add((answer.headers["X-Worker"], tenant, query))
        return len(asked) == 2 * 2 * len(TENANTS)

    wait_until(all_are_asked, "all pages of both workers")


@pytest.mark.parametrize("fault", [killed, frozen, emptied])
def test_every_visitor_is_answered_with_a_page_that_is_the_tenants_and_not_too_old(
    server: servers.Server, own_valkey: Valkey, fault: Callable[[Valkey], None]
) -> None:
    with Visits(server) as visits:
        wait_until(lambda: len(visits.seen) > 50, "some visits")
        fault(own_valkey)
        before = len(visits.seen)
        wait_until(lambda: len(visits.seen) > before + 50, "some more visits")
    assert not visits.errors
    assert {seen.status for seen in visits.seen} == {200}
    assert [seen for seen in visits.seen if seen.body.split()[0] != seen.tenant] == []
    oldest = max(map(visits.age_s, visits.seen))
    print(f"{fault.__name__}: {len(visits.seen)} pages, {len(visits.changed)} changes, oldest {oldest:.2f} s")
    assert oldest <= MAX_STALENESS_S + SLACK_S
    versions = {tenant: number for _, tenant, number in visits.changed}
    current(server, {tenant: versions.get(tenant, 0) for tenant in TENANTS})
    assert "Traceback" not in server.output()
    assert "answers again" in server.output() or fault is emptied
