"""Identical requests at once run one view; those of different identities run side by side."""

from __future__ import annotations

import asyncio
import itertools
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from perfsuite.caching.flight import Flights
from perfsuite.responses import deduplication
from perfsuite.responses.deduplication import MAX_KNOWN, Known
from tests.responses.site import ASYNC, LOCMEM, OURS, SESSIONS, SYNC, TIERED, Site, gather, serving, text
from tests.valkey import Valkey, valkey

MANY = 20
SLOW_S = 0.3


def slow(request: Any) -> HttpResponse:
    time.sleep(SLOW_S)
    return text()


async def aslow(request: Any) -> HttpResponse:
    await asyncio.sleep(SLOW_S)
    return text()


def ask_in_threads(site: Site, asks: list[dict[str, str]], url: str = "/p/") -> list[Any]:
    def ask(headers: dict[str, str]) -> Any:
        client = Client(raise_request_exception=False)
        return client.get(url, **{"HTTP_" + name.upper(): value for name, value in headers.items()})

    with ThreadPoolExecutor(len(asks)) as pool:
        return list(pool.map(ask, asks))


@pytest.mark.parametrize("cache", [TIERED, LOCMEM], ids=["tiered", "locmem"])
def test_identical_requests_in_threads_run_one_view(cache: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    joined = threading.Semaphore(0)

    def join(self: Flights, key: str, join: Any = Flights.join) -> Any:
        try:
            return join(self, key)
        finally:
            joined.release()

    def until_all_have_asked(request: Any) -> HttpResponse:
        assert all(joined.acquire(timeout=30) for _ in range(MANY))
        return text()

    monkeypatch.setattr(Flights, "join", join)
    with serving(SYNC, {"p/": until_all_have_asked}, cache=cache) as site:
        answers = ask_in_threads(site, [{}] * MANY)

    assert len(site.runs) == 1
    assert {answer.content for answer in answers} == {b"hello"}
    assert sum("collapsed" in answer["Cache-Status"] for answer in answers) == MANY - 1


def test_identical_requests_in_tasks_run_one_view() -> None:
    with serving(ASYNC, {"p/": aslow}) as site:
        answers = gather(*[site.aask("get", "/p/") for _ in range(MANY)])

    assert len(site.runs) == 1
    assert {answer.body for answer in answers} == {b"hello"}


def test_identical_requests_through_sync_views_under_asgi_run_one_view() -> None:
    with serving(ASYNC, {"p/": slow}) as site:
        gather(*[site.aask("get", "/p/") for _ in range(MANY)])

    assert len(site.runs) == 1


def _together(asked: Callable[[], Any]) -> tuple[Any, float]:
    started = time.monotonic()
    return asked(), time.monotonic() - started


def test_requests_of_different_users_run_side_by_side() -> None:
    all_here = threading.Barrier(MANY, timeout=20)

    def mine(request: Any) -> HttpResponse:
        all_here.wait()
        return text(str(request.session.get("name")))

    with serving(
        SYNC,
        {"p/": mine},
        middleware=(OURS, SESSIONS),
        options={"WAIT_S": 60},  # who waits for another is here too late
        SESSION_ENGINE="django.contrib.sessions.backends.cache",
    ) as site:
        from django.contrib.sessions.backends.cache import SessionStore

        asks = []
        for number in range(MANY):
            session = SessionStore()
            session["name"] = f"user {number}"
            session.create()
            asks.append({"cookie": f"sessionid={session.session_key}"})
        answers = ask_in_threads(site, asks)

    assert [answer.content.decode() for answer in answers] == [f"user {number}" for number in range(MANY)]
    assert len(site.runs) == MANY


def test_tasks_of_different_users_run_side_by_side() -> None:
    inside, all_here = [0], asyncio.Event()

    async def mine(request: Any) -> HttpResponse:
        inside[0] += 1
        if inside[0] == MANY:
            all_here.set()
        await asyncio.wait_for(all_here.wait(), 20)
        return text(request.COOKIES["sessionid"])

    with serving(ASYNC, {"p/": mine}, options={"WAIT_S": 60}) as site:
        asks = [{"cookie": f"sessionid={number}"} for number in range(MANY)]
        answers = gather(*[site.aask("get", "/p/", **ask) for ask in asks])

    assert [answer.body.decode() for answer in answers] == [str(number) for number in range(MANY)]
    assert len(site.runs) == MANY


def test_a_client_with_credentials_of_its_own_holds_nobody_up() -> None:
    def view(request: Any) -> HttpResponse:
        time.sleep(0.05)
        return text(str(request.META.get("HTTP_AUTHORIZATION")))

    with serving(SYNC, {"p/": view}) as site:
        for _ in range(2):
            assert site.get("/p/", authorization="Basic abc").body == b"Basic abc"
        ask_in_threads(site, [{}] * 5)
        assert len(site.runs) == 3
        assert site.get("/p/", authorization="Basic abc").body == b"Basic abc"
        assert site.get("/p/").body == b"None"
        assert len(site.runs) == 4
        assert not any("abc" in key for key in deduplication.useless._until)


def test_after_an_answer_that_is_nobody_elses_all_run_side_by_side_and_none_waits() -> None:
    others, everybody = threading.Barrier(MANY - 1, timeout=20), threading.Barrier(MANY, timeout=20)
    turn = itertools.count()

    def uncacheable(request: Any) -> HttpResponse:
        place = next(turn)
        if place:
            (others if place < MANY else everybody).wait()
        else:  # the first, for whom the others wait
            time.sleep(SLOW_S)
        return text(cache_control="no-store")

    with serving(SYNC, {"p/": uncacheable}) as site:
        ask_in_threads(site, [{}] * MANY)
        assert len(site.runs) == MANY
        ask_in_threads(site, [{}] * MANY)
        assert len(site.runs) == 2 * MANY


@pytest.mark.parametrize("kind", [SYNC, ASYNC])
@pytest.mark.parametrize("how", ["exception", "503"])
def test_a_leader_that_fails_is_replaced_once_and_one_client_sees_it(kind: str, how: str) -> None:
    count = [0]

    def answer() -> HttpResponse:
        count[0] += 1
        if count[0] > 1:
            return text()
        if how == "exception":
            raise RuntimeError("crashed")
        return HttpResponse(status=503)

    def view(request: Any) -> HttpResponse:
        time.sleep(SLOW_S)
        return answer()

    async def aview(request: Any) -> HttpResponse:
        await asyncio.sleep(SLOW_S)
        return answer()

    with serving(kind, {"p/": view if kind == SYNC else aview}) as site:
        if kind == SYNC:
            statuses = [each.status_code for each in ask_in_threads(site, [{}] * MANY)]
        else:
            statuses = [each.status_code for each in gather(*[site.aask("get", "/p/") for _ in range(MANY)])]

    assert len(site.runs) == 2
    assert sum(status >= 500 for status in statuses) == 1
    assert statuses.count(200) == MANY - 1


def test_a_view_that_always_fails_ends_with_everybody_on_their_own() -> None:
    def broken(request: Any) -> HttpResponse:
        time.sleep(0.1)
        return HttpResponse(status=500)

    with serving(SYNC, {"p/": broken}) as site:
        answers, seconds = _together(lambda: ask_in_threads(site, [{}] * MANY))

    assert {answer.status_code for answer in answers} == {500}
    assert len(site.runs) == MANY
    assert seconds < 0.1 * MANY


def test_a_leader_that_is_cancelled_leaves_nobody_waiting() -> None:
    async def main(site: Site) -> list[bytes]:
        leader = asyncio.create_task(site.aask("get", "/p/"))
        await asyncio.sleep(0.05)
        others = [asyncio.create_task(site.aask("get", "/p/")) for _ in range(5)]
        await asyncio.sleep(0.05)
        leader.cancel()
        return [answer.body for answer in await asyncio.gather(*others)]

    with serving(ASYNC, {"p/": aslow}) as site:
        assert asyncio.run(main(site)) == [b"hello"] * 5
        assert len(site.runs) <= 2
        assert not deduplication.flights._flights


def test_who_has_waited_long_enough_runs_alone() -> None:
    going = threading.Event()
    first = [True]

    def view(request: Any) -> HttpResponse:
        if first[0]:
            first[0] = False
            going.wait(20)
        return text()

    with (
        serving(SYNC, {"p/": view}, options={"WAIT_S": 0.1}, DEBUG=True) as site,
        ThreadPoolExecutor(1) as pool,
    ):
        leader = pool.submit(lambda: Client().get("/p/"))
        while not site.runs:
            time.sleep(0.01)
        answer = Client().get("/p/")
        assert answer.content == b"hello"
        assert "stored" not in answer["Cache-Status"]
        assert "waited" in answer["Cache-Status"]
        going.set()
        assert "stored" in leader.result()["Cache-Status"]


@pytest.mark.parametrize("kind", [SYNC, ASYNC])
def test_a_view_that_asks_for_its_own_page_does_not_wait_for_itself(kind: str) -> None:
    depth = [0]

    with serving(kind, {}) as site:
        pass

    def view(request: Any) -> HttpResponse:
        depth[0] += 1
        inner = Client().get("/p/").content.decode() if depth[0] < 3 else "end"
        return text(f"<{inner}>")

    async def aview(request: Any) -> HttpResponse:
        depth[0] += 1
        inner = (await site.aask("get", "/p/")).body.decode() if depth[0] < 3 else "end"
        return text(f"<{inner}>")

    with serving(kind, {"p/": view if kind == SYNC else aview}) as site:
        answer, seconds = _together(lambda: site.get("/p/"))

    assert answer.body == b"<<<end>>>"
    assert seconds < 4


def test_requests_that_differ_in_what_the_page_varies_on_get_their_own() -> None:
    def view(request: Any) -> HttpResponse:
        time.sleep(0.1)
        return text(request.META["HTTP_X_SIDE"], Vary="X-Side")

    with serving(SYNC, {"p/": view}) as site:
        asks = [{"x_side": side} for side in ("left", "right") for _ in range(5)]
        answers = ask_in_threads(site, asks)

    assert [answer.content.decode() for answer in answers] == [ask["x_side"] for ask in asks]


def test_what_is_known_is_bounded_and_forgotten() -> None:
    known = Known()
    for number in range(MAX_KNOWN + 10):
        known.add(str(number), 60.0)
    assert str(MAX_KNOWN + 9) in known
    assert "0" not in known
    assert len(known._until) <= MAX_KNOWN
    known.add("a", -1.0)
    assert "a" not in known
    known.discard(str(MAX_KNOWN + 9))
    assert str(MAX_KNOWN + 9) not in known


# Processes


SCRIPT = """
import json, os, sys, time
sys.path.insert(0, {root!r})
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
import django
from django.conf import settings
settings.CACHES = {caches!r}
settings.MIDDLEWARE = ["perfsuite.responses.ResponseCacheMiddleware"]
settings.ROOT_URLCONF = __name__
django.setup()
from concurrent.futures import ThreadPoolExecutor
from django.http import HttpResponse
from django.test import Client
from django.urls import path
runs = []
def view(request):
    started = time.monotonic()
    time.sleep(0.3)
    runs.append((started, time.monotonic()))
    response = HttpResponse("hello")
    response["Cache-Control"] = "{control}"
    return response
urlpatterns = [path("p/", view)]
Client().get("/warm/")
print("ready", flush=True)
sys.stdin.readline()
began = time.time()
until = began + {seconds}
while time.time() < until:
    Client().get("/p/")
    time.sleep(0.02)
with ThreadPoolExecutor(5) as pool:
    answers = list(pool.map(lambda _: Client().get("/p/"), range(5)))
print(json.dumps([runs, [answer.content.decode() for answer in answers], time.time() - began]), flush=True)
os._exit(0)
"""


@pytest.fixture(scope="module")
def server() -> Any:
    with valkey() as running:
        yield running


def _caches(server: Valkey, kind: str) -> dict[str, Any]:
    redis = {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": server.url,
        "OPTIONS": {"SOCKET_TIMEOUT": 5, "SOCKET_CONNECT_TIMEOUT": 5},
        "KEY_PREFIX": kind,
    }
    if kind == "redis":
        return {"default": redis}
    tiered = {"BACKEND": "perfsuite.caching.TieredCache", "OPTIONS": {"TIERS": {"cold": {"ALIAS": "shared"}}}}
    return {"default": tiered, "shared": redis}


Run = tuple[
    float, float, int
]  # when a view began and ended, by a clock that processes share, and in which one


def _run_processes(
    caches: dict[str, Any], control: str, seconds: float = 0.0
) -> tuple[list[Run], list[str], float]:
    """Return the runs of the view in all processes, all that was answered at last, and the seconds of the slowest process."""
    script = SCRIPT.format(root=".", caches=caches, control=control, seconds=seconds)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        found = [json.loads(process.communicate(timeout=60)[0]) for process in processes]
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
                process.wait()
    bodies = [body for _, answers, _ in found for body in answers]
    all_runs = [(began, ended, number) for number, (runs, _, _) in enumerate(found) for began, ended in runs]
    return all_runs, bodies, max(took for _, _, took in found)


def _most_processes_at_once(runs: list[Run]) -> int:
    """Return how many processes ran the view at the same moment, at most."""
    return max(
        len({number for began, ended, number in runs if began <= moment < ended}) for moment, _, _ in runs
    )


@pytest.mark.parametrize("kind", ["tiered", "redis"])
@pytest.mark.once
def test_identical_requests_in_four_processes_run_one_view_or_two(server: Valkey, kind: str) -> None:
    runs, bodies, _ = _run_processes(_caches(server, kind), "max-age=60")

    assert bodies == ["hello"] * 20
    assert len(runs) <= 2


@pytest.mark.once
def test_an_answer_that_is_nobody_elses_does_not_hold_other_processes_up(server: Valkey) -> None:
    server.restart()
    runs, bodies, _ = _run_processes(_caches(server, "tiered"), "no-store")

    assert bodies == ["hello"] * 20
    assert len(runs) == 20
    # If they took turns, those who waited for the one would run beside the next one who leads, and no third.
    assert _most_processes_at_once(runs) >= 3


@pytest.mark.once
def test_a_stale_page_is_made_anew_once_in_each_of_its_periods_by_all_processes_together(
    server: Valkey,
) -> None:
    server.restart()
    runs, bodies, took_s = _run_processes(
        _caches(server, "tiered"), "max-age=1, stale-while-revalidate=60", seconds=3.0
    )

    assert bodies == ["hello"] * 20
    # The first, and one for each second and the time that a view takes.
    assert 2 <= len(runs) <= 2 + took_s
