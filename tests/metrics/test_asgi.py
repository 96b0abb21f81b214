"""The lifespan wiring: a last flush when an ASGI server shuts down."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import MutableMapping
from typing import Any

import pytest

from perfsuite.metrics.asgi import with_lifespan
from perfsuite.metrics.flusher import flusher

Message = MutableMapping[str, Any]


async def application(scope: Message, receive: Any, send: Any) -> None:
    assert scope["type"] != "lifespan", "Django does not speak the lifespan protocol"
    await send({"type": "answer", "to": (await receive())["type"]})


def serve(scope_type: str, *received: str) -> list[Message]:
    messages, sent = list(received), []

    async def receive() -> Message:
        return {"type": messages.pop(0)}

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(with_lifespan(application)({"type": scope_type}, receive, send))
    return sent


@pytest.fixture
def stops(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    stopped: list[int] = []
    monkeypatch.setattr(flusher, "stop", lambda: stopped.append(threading.get_ident()))
    return stopped


@pytest.mark.parametrize("scope_type", ["http", "websocket"])
def test_requests_go_to_the_application(stops: list[int], scope_type: str) -> None:
    assert serve(scope_type, "http.request") == [{"type": "answer", "to": "http.request"}]
    assert stops == []


def test_the_flusher_stops_at_shutdown_and_only_then(stops: list[int]) -> None:
    sent = serve("lifespan", "lifespan.startup", "lifespan.shutdown")
    assert [message["type"] for message in sent] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]
    assert len(stops) == 1


def test_the_last_flush_does_not_block_the_event_loop(stops: list[int]) -> None:
    serve("lifespan", "lifespan.startup", "lifespan.shutdown")
    assert stops != [threading.get_ident()]


def test_a_message_that_it_does_not_know_is_passed_over(stops: list[int]) -> None:
    sent = serve("lifespan", "lifespan.unknown", "lifespan.shutdown")
    assert [message["type"] for message in sent] == ["lifespan.shutdown.complete"]
