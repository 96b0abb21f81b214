"""The steps of serving a request, and who takes them: one who may block, and one who runs in an event loop.

What a request goes through is written once, as a generator that yields what has to be waited for (serving.py). So the answers are
the same under WSGI and ASGI.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Generator
from typing import Any

from asgiref.sync import sync_to_async
from django.http.response import HttpResponseBase

from perfsuite.caching.flight import await_, in_thread, wait
from perfsuite.responses.aside import aside

VIEW = "view"  # run the view: the next middleware
ASK = "ask"  # call what may wait for a server
HOST = "host"  # call what belongs to the thread of the host's blocking code, such as its database
ASIDE = "aside"  # call what takes the processor's time
WAIT = "wait"  # wait for a flight, for so many seconds
PAUSE = "pause"

Step = tuple[str, Any]
Steps = Generator[Step, Any, Any]


def take(steps: Steps, get_response: Callable[[Any], HttpResponseBase], request: Any) -> Any:
    """Take the steps in this thread, and return what they return."""
    try:
        kind, work = next(steps)
        while True:
            try:
                if kind is VIEW:
                    result: Any = get_response(request)
                elif kind is ASK or kind is HOST or kind is ASIDE:
                    result = work()
                elif kind is WAIT:
                    result = wait(*work)
                else:
                    time.sleep(work)
                    result = None
            except BaseException as exc:  # noqa: BLE001 - it is the steps' to deal with
                kind, work = steps.throw(exc)
            else:
                kind, work = steps.send(result)
    except StopIteration as end:
        return end.value


async def atake(steps: Steps, get_response: Callable[[Any], Any], request: Any, is_local: bool) -> Any:
    """Take the steps in an event loop; what is ``is_local`` never waits for a server."""
    try:
        kind, work = next(steps)
        while True:
            try:
                if kind is VIEW:
                    result: Any = await get_response(request)
                elif kind is ASK:
                    result = work() if is_local else await in_thread(work)
                elif kind is ASIDE:
                    result = await aside(work)
                elif kind is HOST:
                    result = await sync_to_async(work)()
                elif kind is WAIT:
                    result = await await_(*work)
                else:
                    await asyncio.sleep(work)
                    result = None
            except BaseException as exc:  # noqa: BLE001 - it is the steps' to deal with
                kind, work = steps.throw(exc)
            else:
                kind, work = steps.send(result)
    except StopIteration as end:
        return end.value
