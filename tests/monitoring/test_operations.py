"""``monitor_performance`` on everything that can be timed: what it records, and that it changes nothing."""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from asgiref.sync import async_to_sync, iscoroutinefunction, markcoroutinefunction
from django.test import override_settings

from perfsuite.monitoring import monitor_performance
from tests.recorded import Recorded

OFF = {"METRICS": {"ENABLED": False}}


def test_a_function_is_recorded_under_its_name_and_keeps_its_value(recorded: Recorded) -> None:
    @monitor_performance("import_leads")
    def import_leads(rows: int, *, twice: bool = False) -> int:
        """Import."""
        return rows * 2 if twice else rows

    assert import_leads(2, twice=True) == 4
    assert import_leads(3) == 3

    assert recorded.labels("operations") == {("import_leads", "ok")}
    assert recorded.count("operations", "import_leads", "ok") == 2
    assert import_leads.__name__ == "import_leads"
    assert import_leads.__doc__ == "Import."
    assert str(inspect.signature(import_leads)) == "(rows: 'int', *, twice: 'bool' = False) -> 'int'"


def test_the_time_is_that_of_the_call(recorded: Recorded) -> None:
    waited = threading.Event()

    @monitor_performance("wait")
    def wait() -> None:
        waited.wait(0.02)

    wait()
    assert 20_000 <= recorded.sum("operations", "wait", "ok") < 2_000_000


def test_an_exception_is_recorded_as_an_error_and_goes_on(recorded: Recorded) -> None:
    @monitor_performance("fail")
    def fail() -> None:
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone") as raised:
        fail()

    assert raised.value.__cause__ is None
    assert recorded.labels("operations") == {("fail", "error")}


@pytest.mark.parametrize("exception", [KeyboardInterrupt, SystemExit, asyncio.CancelledError, GeneratorExit])
def test_an_interruption_is_no_error_of_the_operation(
    recorded: Recorded, exception: type[BaseException]
) -> None:
    with pytest.raises(exception), monitor_performance("interrupted"):
        raise exception

    assert recorded.labels("operations") == {("interrupted", "ok")}


def test_methods_of_every_kind_are_recorded(recorded: Recorded) -> None:
    class Shop:
        name = "shop"

        @monitor_performance("method")
        def method(self) -> str:
            return self.name

        @classmethod
        @monitor_performance("classmethod")
        def of_class(cls) -> str:
            return cls.name

        @staticmethod
        @monitor_performance("staticmethod")
        def static() -> str:
            return "static"

        @property
        @monitor_performance("property")
        def label(self) -> str:
            return self.name

    shop = Shop()
    assert [shop.method(), shop.of_class(), shop.static(), shop.label] == ["shop", "shop", "static", "shop"]
    names = {"method", "classmethod", "staticmethod", "property"}
    assert recorded.labels("operations") == {(name, "ok") for name in names}


def test_a_coroutine_function_stays_one_and_is_timed_until_it_returns(recorded: Recorded) -> None:
    @monitor_performance("fetch")
    async def fetch(value: int) -> int:
        await asyncio.sleep(0.01)
        return value

    @monitor_performance("break")
    async def break_down() -> None:
        await asyncio.sleep(0)
        raise LookupError

    assert inspect.iscoroutinefunction(fetch)
    assert asyncio.run(fetch(5)) == 5
    with pytest.raises(LookupError):
        asyncio.run(break_down())

    assert recorded.labels("operations") == {("fetch", "ok"), ("break", "error")}
    assert recorded.sum("operations", "fetch", "ok") >= 10_000


def test_what_is_only_marked_as_a_coroutine_function_is_timed_until_it_returns(recorded: Recorded) -> None:
    """Django's class-based async views are such functions."""

    async def body() -> str:
        await asyncio.sleep(0.01)
        return "done"

    def view() -> Coroutine[Any, Any, str]:
        return body()

    marked = monitor_performance("view")(markcoroutinefunction(view))

    assert iscoroutinefunction(marked)
    assert asyncio.run(marked()) == "done"
    assert recorded.sum("operations", "view", "ok") >= 10_000


def test_a_cancelled_coroutine_is_no_error(recorded: Recorded) -> None:
    @monitor_performance("wait")
    async def wait() -> None:
        await asyncio.Event().wait()

    async def run() -> None:
        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert recorded.labels("operations") == {("wait", "ok")}


def test_a_generator_stays_one_and_is_recorded_at_its_end(recorded: Recorded) -> None:
    @monitor_performance("rows")
    def rows(last: int) -> Iterator[int]:
        received = 0
        for number in range(last):
            received += (yield number) or 0
        return received

    assert inspect.isgeneratorfunction(rows)
    assert list(rows(3)) == [0, 1, 2]
    assert recorded.count("operations", "rows", "ok") == 1

    generator = rows(2)
    assert recorded.count("operations", "rows", "ok") == 1, "one that is not begun takes no time"
    next(generator)
    assert generator.send(40) == 1
    with pytest.raises(StopIteration) as stopped:
        generator.send(2)
    assert stopped.value.value == 42
    assert recorded.count("operations", "rows", "ok") == 2


def test_a_generator_that_is_closed_early_is_no_error_and_cleans_up(recorded: Recorded) -> None:
    cleaned: list[str] = []

    @monitor_performance("rows")
    def rows() -> Iterator[int]:
        try:
            yield 1
            yield 2
        finally:
            cleaned.append("up")

    generator = rows()
    next(generator)
    generator.close()

    assert cleaned == ["up"]
    assert recorded.labels("operations") == {("rows", "ok")}


def test_a_generator_that_fails_is_an_error_and_may_catch_what_is_thrown_in(recorded: Recorded) -> None:
    @monitor_performance("rows")
    def rows() -> Iterator[str]:
        try:
            yield "first"
        except LookupError:
            yield "caught"
        raise ValueError("end")

    generator = rows()
    next(generator)
    assert generator.throw(LookupError()) == "caught"
    with pytest.raises(ValueError, match="end"):
        next(generator)

    assert recorded.labels("operations") == {("rows", "error")}


Echo = Callable[[], Any]


@pytest.fixture(params=["bare", "timed"])
def echo(request: pytest.FixtureRequest) -> Echo:
    """Return an async generator that answers what is sent and catches LookupError; bare, then timed."""

    async def echo() -> AsyncIterator[Any]:
        received: Any = "first"
        while received != "stop":
            try:
                received = yield received
            except LookupError as exc:
                received = f"caught {exc}"

    return echo if request.param == "bare" else monitor_performance("echo")(echo)


def test_an_async_generator_behaves_as_it_does_untimed(recorded: Recorded, echo: Echo) -> None:
    async def run() -> None:
        assert inspect.isasyncgenfunction(echo)
        items = echo()
        assert await items.__anext__() == "first"
        assert await items.asend("second") == "second"
        assert await items.athrow(LookupError("it")) == "caught it"
        assert await items.__anext__() is None
        with pytest.raises(StopAsyncIteration):
            await items.asend("stop")
        items = echo()
        await items.__anext__()
        with pytest.raises(ValueError, match="not caught"):
            await items.athrow(ValueError("not caught"))
        items = echo()
        await items.__anext__()
        await items.aclose()
        await echo().aclose()

    asyncio.run(run())
    counts = {labels: recorded.count("operations", *labels) for labels in recorded.labels("operations")}
    assert counts in ({}, {("echo", "ok"): 2, ("echo", "error"): 1})


def test_an_async_generator_is_recorded_at_its_end_and_cleans_up_when_closed(recorded: Recorded) -> None:
    cleaned: list[str] = []

    @monitor_performance("items")
    async def items(last: int) -> AsyncIterator[int]:
        try:
            for number in range(last):
                await asyncio.sleep(0)
                yield number
        finally:
            cleaned.append("up")

    async def run() -> None:
        assert [item async for item in items(3)] == [0, 1, 2]
        assert recorded.count("operations", "items", "ok") == 1
        generator = items(3)
        await generator.__anext__()
        await generator.aclose()  # type: ignore[attr-defined]
        assert cleaned == ["up", "up"]

    asyncio.run(run())
    assert recorded.count("operations", "items", "ok") == 2


def test_a_block_is_recorded_in_both_kinds_of_with(recorded: Recorded) -> None:
    async def run() -> None:
        async with monitor_performance("async block"):
            await asyncio.sleep(0)
        with pytest.raises(LookupError):
            async with monitor_performance("async block"):
                raise LookupError

    with monitor_performance("block") as entered:
        assert entered.name == "block"
    with pytest.raises(LookupError), monitor_performance("block"):
        raise LookupError
    asyncio.run(run())

    names = {"block", "async block"}
    assert recorded.labels("operations") == {(name, outcome) for name in names for outcome in ("ok", "error")}


def test_one_object_may_be_entered_inside_itself(recorded: Recorded) -> None:
    timer = monitor_performance("nested")
    with timer:
        with timer:
            pass
        assert recorded.count("operations", "nested", "ok") == 1

    assert recorded.count("operations", "nested", "ok") == 2


def test_a_recursive_function_is_recorded_at_each_of_its_calls(recorded: Recorded) -> None:
    @monitor_performance("factorial")
    def factorial(n: int) -> int:
        return 1 if n == 0 else n * factorial(n - 1)

    assert factorial(5) == 120
    assert recorded.count("operations", "factorial", "ok") == 6


def test_one_decorated_function_may_run_in_many_threads_and_tasks_at_once(recorded: Recorded) -> None:
    barrier = threading.Barrier(5)

    @monitor_performance("thread")
    def work() -> None:
        barrier.wait(10)

    @monitor_performance("task")
    async def task() -> None:
        await asyncio.sleep(0)

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    async def run() -> None:
        await asyncio.gather(*(task() for _ in range(5)))

    async_to_sync(run)()
    assert recorded.count("operations", "thread", "ok") == 5
    assert recorded.count("operations", "task", "ok") == 5


def test_a_partial_is_recorded(recorded: Recorded) -> None:
    timed = monitor_performance("partial")(partial(int, base=2))

    assert timed("101") == 5
    assert recorded.count("operations", "partial", "ok") == 1


def test_without_a_name_the_error_says_what_to_write() -> None:
    def function() -> None:
        pass

    for senseless in (function, "", None, 5):
        with pytest.raises(
            TypeError, match=r'A name is missing.*write @monitor_performance\("import_leads"\)'
        ):
            monitor_performance(senseless)  # type: ignore[arg-type]


def test_above_a_classmethod_the_error_says_where_to_write_it() -> None:
    with pytest.raises(TypeError, match="write @monitor_performance below @classmethod"):
        monitor_performance("late")(classmethod(lambda cls: None))  # type: ignore[type-var]


def test_off_nothing_is_recorded_and_everything_works(recorded: Recorded) -> None:
    @monitor_performance("off")
    def work() -> str:
        return "done"

    with override_settings(PERFSUITE=OFF):
        assert work() == "done"
        with monitor_performance("off"):
            pass

    assert recorded.labels("operations") == set()
    work()
    assert recorded.count("operations", "off", "ok") == 1


def test_the_logger_performance_shows_each_operation_at_debug_only(
    recorded: Recorded, caplog: pytest.LogCaptureFixture
) -> None:
    @monitor_performance("work")
    def work(secret: str) -> None:
        pass

    caplog.set_level(logging.INFO, logger="performance")
    work("mary@example.org")
    assert not caplog.records
    caplog.set_level(logging.DEBUG, logger="performance")
    work("mary@example.org")

    assert [line.name for line in caplog.records] == ["performance"]
    assert caplog.records[0].getMessage().startswith("work 0.")
    assert caplog.records[0].getMessage().endswith(" ms, ok")
    assert "mary" not in caplog.text
