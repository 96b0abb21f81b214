"""The wiring for ASGI servers that end by a signal, such as uvicorn: a last flush when the server shuts down.

    application = with_lifespan(get_asgi_application())

Django does not speak the lifespan protocol, and such a server runs no ``atexit`` function, so without this wiring up to one flush
interval of numbers is lost at each stop.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from asgiref.sync import sync_to_async

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
# What frameworks declare differs in details, so any application is taken.
Application = Callable[[Any, Any, Any], Awaitable[None]]


def with_lifespan(application: Application) -> Application:
    """Wrap an ASGI application so that perfsuite flushes when its server shuts down.

    An application that speaks the lifespan protocol itself should call ``perfsuite.metrics.flush`` in its own shutdown instead.
    """

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await application(scope, receive, send)
            return
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                from perfsuite.metrics.flusher import flusher

                await sync_to_async(flusher.stop, thread_sensitive=False)()
                await send({"type": "lifespan.shutdown.complete"})
                return

    return wrapped
