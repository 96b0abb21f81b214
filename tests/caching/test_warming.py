"""Warmers: registered once, run by the leader in a thread, and when a tag was invalidated."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache

from perfsuite.caching import invalidate_tags, warming
from perfsuite.caching.warming import warmer
from perfsuite.metrics import leader
from tests.caching.conftest import NewCaches


@pytest.fixture(autouse=True)
def jobs(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, leader.Job]]:
    """Keep only this test's warmers and jobs, and let no thread outlive it."""
    monkeypatch.setattr(warming, "_warmers", {})
    made: dict[str, leader.Job] = {}
    monkeypatch.setattr(leader, "_jobs", made)
    yield made
    wait_for_the_thread()


def wait_for_the_thread() -> None:
    assert warming._turn.acquire(timeout=30)
    warming._turn.release()


def test_a_warmer_is_a_job_of_the_leader(jobs: dict[str, leader.Job]) -> None:
    ran: list[str] = []

    @warmer(every=timedelta(minutes=10))
    def front() -> None:
        ran.append(threading.current_thread().name)

    @warmer(name="by hand")
    def other() -> None: ...

    assert list(warming.warmers()) == ["by hand", "front"]
    assert {name: job.every_s for name, job in jobs.items()} == {"warm:front": 600.0}
    jobs["warm:front"].run()
    wait_for_the_thread()
    assert ran == ["perfsuite-cache-warming"]


def test_one_runs_at_a_time(jobs: dict[str, leader.Job]) -> None:
    begun, go = threading.Event(), threading.Event()
    ran: list[str] = []

    @warmer(every=60)
    def slow() -> None:
        begun.set()
        assert go.wait(30)
        ran.append("slow")

    @warmer(every=60)
    def quick() -> None:
        ran.append("quick")

    jobs["warm:slow"].run()
    assert begun.wait(30)
    jobs["warm:quick"].run()
    jobs["warm:slow"].run()
    go.set()
    wait_for_the_thread()
    assert ran == ["slow"]
    jobs["warm:quick"].run()
    wait_for_the_thread()
    assert ran == ["slow", "quick"]


def test_one_that_fails_is_logged_and_can_run_again(jobs: dict[str, leader.Job], caplog: Any) -> None:
    @warmer(every=60)
    def broken() -> None:
        raise LookupError("nothing there")

    for _ in range(2):
        jobs["warm:broken"].run()
        wait_for_the_thread()
    assert caplog.text.count("The warmer broken failed") == 2


def test_an_invalidated_tag_makes_it_run(new_caches: NewCaches, jobs: dict[str, leader.Job]) -> None:
    new_caches()
    ran: list[int] = []

    @warmer(tags=["pages", "forms"])
    def pages() -> None:
        ran.append(cache.get_or_set("pages", lambda: len(ran) + 1, 60, tags=["pages"]))  # type: ignore[call-arg]

    look = jobs["warm-tags:pages"].run
    look(), look()
    assert ran == []
    invalidate_tags("other")
    look()
    assert ran == []
    invalidate_tags("pages")
    look()
    wait_for_the_thread()
    look()
    wait_for_the_thread()
    assert ran == [1]
    assert cache.get("pages") == 1


def test_what_cannot_be_meant_is_refused() -> None:
    with pytest.raises(ValueError, match="every is 0; write a number of seconds"):
        warmer(every=0)

    @warmer(name="same")
    def one() -> None: ...

    with pytest.raises(ValueError, match=r"Two warmers are called 'same'.*write name="):

        @warmer(name="same")
        def two() -> None: ...


def test_a_module_that_is_loaded_again_replaces_its_own() -> None:
    def one() -> None: ...

    warmer(name="same")(one)
    warmer(name="same")(one)
    assert list(warming.warmers()) == ["same"]


HOSTS = [
    ([], "localhost"),
    (["*"], "localhost"),
    ([".example.com"], "example.com"),
    (["[::1]", "www.example.com"], "www.example.com"),
]


@pytest.mark.parametrize(("allowed", "host"), HOSTS)
def test_pages_are_asked_for_as_the_first_host(settings: Any, allowed: list[str], host: str) -> None:
    settings.ALLOWED_HOSTS = allowed
    assert warming.default_host() == host
