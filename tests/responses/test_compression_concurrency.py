"""Large bodies off the event loop, and many requests at once."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from django.test import AsyncClient, Client

from perfsuite.responses import aside, compression
from tests.responses.asking import NAMES, async_get, coding_of, get
from tests.responses.decoding import decoded
from tests.responses.views import LARGE, PAGE

pytestmark = [pytest.mark.urls("tests.responses.views"), pytest.mark.usefixtures("compressing")]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("path", ["/large/", "/async/large/"])
def test_under_asgi_a_large_body_is_compressed_off_the_event_loop(
    monkeypatch: pytest.MonkeyPatch, name: str, path: str
) -> None:
    threads: list[str] = []
    encoded = compression._encoded

    def watched(work: Any) -> Any:
        threads.append(threading.current_thread().name)
        return encoded(work)

    monkeypatch.setattr(compression, "_encoded", watched)
    response = async_get(path, name)
    assert decoded(name, response.content) == LARGE
    assert async_get("/async/page/", name).status_code == 200
    assert get(path, name).status_code == 200

    assert threads[0].startswith("perfsuite-responses")
    assert not threads[1].startswith("perfsuite-responses")
    assert not threads[2].startswith("perfsuite-responses")


def test_many_requests_at_once_each_get_their_own_page() -> None:
    async def ask(client: AsyncClient, number: int) -> bool:
        name = NAMES[number % 3]
        path = f"/with-headers/?X-Number={number}" if number % 2 else "/async/large/"
        response = await client.get(path, ACCEPT_ENCODING=name)
        right = decoded(name, response.content) == (PAGE if number % 2 else LARGE)
        return right and coding_of(response) == name and response.get("X-Number", str(number)) == str(number)

    async def run() -> list[bool]:
        client = AsyncClient()
        return await asyncio.gather(*(ask(client, number) for number in range(40)))

    assert all(asyncio.run(run()))


def test_many_threads_at_once_each_get_their_own_page() -> None:
    right: list[bool] = []

    def ask(number: int) -> None:
        name = NAMES[number % 3]
        for _ in range(10):
            response = Client().get(f"/with-headers/?X-Number={number}", HTTP_ACCEPT_ENCODING=name)
            right.append(decoded(name, response.content) == PAGE and response["X-Number"] == str(number))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(right) == 80
    assert all(right)


def test_a_request_that_is_cancelled_while_its_body_is_compressed_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun, go_on = threading.Event(), threading.Event()
    encoded = compression._encoded

    def slow(work: Any) -> Any:
        begun.set()
        go_on.wait(10)
        return encoded(work)

    monkeypatch.setattr(compression, "_encoded", slow)

    async def run() -> None:
        task = asyncio.ensure_future(AsyncClient().get("/async/large/", ACCEPT_ENCODING="gzip"))
        assert await asyncio.to_thread(begun.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    try:
        asyncio.run(run())
    finally:
        go_on.set()


def test_the_threads_are_made_anew_in_a_child() -> None:
    assert asyncio.run(aside.aside(threading.current_thread)).name.startswith("perfsuite-responses")
    aside._forget()
    assert aside._threads is None
    assert asyncio.run(aside.aside(sum, [1, 2])) == 3
