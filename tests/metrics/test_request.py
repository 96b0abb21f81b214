"""The tally of the request in hand."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from perfsuite.metrics import request as request_module
from perfsuite.metrics.request import (
    MIDDLEWARE,
    NOT_FOUND,
    Statement,
    Tally,
    current,
    discard_current,
    fold,
    on_fold,
    suppress,
)


def statement(seconds: float = 0.5) -> Statement:
    return ("SELECT 1", "default", seconds, False)


def tally_of(route: str | None) -> Tally:
    match = None if route is None else SimpleNamespace(route=route)
    made_up: Any = SimpleNamespace(resolver_match=match)
    return Tally(made_up)


@pytest.mark.parametrize(
    ("route", "status", "expected"),
    [
        ("pages/<slug:slug>/", 200, "/pages/<slug:slug>/"),
        ("pages/<slug:slug>/", 404, "/pages/<slug:slug>/"),
        ("", 200, "/"),
        (None, 404, NOT_FOUND),
        (None, 200, MIDDLEWARE),
        (None, 500, MIDDLEWARE),
    ],
)
def test_the_route_is_the_pattern_and_never_the_path(route: str | None, status: int, expected: str) -> None:
    assert tally_of(route).route(status) == expected


def test_a_tally_without_a_request_has_a_route_too() -> None:
    assert Tally().route() == MIDDLEWARE


def test_statements_are_counted_and_their_time_summed_before_and_after_folding() -> None:
    tally = Tally()
    assert tally.statements() == (0, 0.0)
    tally.held.extend([statement(0.5), statement(0.25)])
    assert tally.statements() == (2, 0.75)
    assert list(tally.take_held()) == [statement(0.5), statement(0.25)]
    assert not tally.held
    assert tally.statements() == (2, 0.75)
    tally.held.append(statement(1.0))
    assert tally.statements() == (3, 1.75)
    assert list(tally.take_held()) == [statement(1.0)]


def test_statements_may_be_counted_while_another_thread_adds_some() -> None:
    tally = Tally()
    stop = threading.Event()

    def add() -> None:
        while not stop.is_set():
            tally.held.append(statement(0.0))
            if len(tally.held) > 2_000:
                tally.held.popleft()

    thread = threading.Thread(target=add)
    thread.start()
    try:
        for _ in range(2_000):
            tally.statements()
    finally:
        stop.set()
        thread.join()


def test_a_fold_is_called_once_with_the_tally_and_the_route(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_module, "_folds", [])
    calls: list[tuple[Sequence[Tally], str]] = []

    def note(tallies: Sequence[Tally], route: str) -> None:
        calls.append((tallies, route))

    on_fold(note)
    on_fold(note)
    tally = Tally()
    fold((tally,), "/zero/")
    assert calls == [((tally,), "/zero/")]


def is_counted() -> bool:
    """Tell whether what runs here would be counted: for a request, or outside of one."""
    tally = current.get()
    return tally is None or not tally.closed


def test_inside_suppress_no_request_is_in_hand_and_afterwards_it_is_again() -> None:
    tally = Tally()
    token = current.set(tally)
    try:
        with suppress():
            assert not is_counted()
            with suppress():
                assert not is_counted()
            discard_current()
            assert not is_counted()
        assert current.get() is tally
        with pytest.raises(RuntimeError), suppress():
            raise RuntimeError
        assert current.get() is tally
    finally:
        current.reset(token)


def test_the_request_in_hand_can_be_left_out_of_all_figures() -> None:
    discard_current()  # without a request it does nothing
    tally = Tally()
    token = current.set(tally)
    try:
        assert not tally.discarded
        discard_current()
        assert tally.discarded
    finally:
        current.reset(token)


def test_threads_of_sync_to_async_add_to_the_tally_of_their_own_request() -> None:
    def add(times: int) -> None:
        tally = current.get()
        assert tally is not None
        for _ in range(times):
            tally.held.append(statement())

    async def one_request(times: int) -> int:
        tally = Tally()
        current.set(tally)
        await asyncio.gather(*(sync_to_async(add, thread_sensitive=False)(times) for _ in range(3)))
        return tally.statements()[0]

    async def serve() -> list[int]:
        return await asyncio.gather(*(one_request(n) for n in range(20)))

    assert asyncio.run(serve()) == [3 * n for n in range(20)]
