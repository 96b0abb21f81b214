"""How long a store in MongoDB is waited for. Its driver waits half a minute for a server, and in a request nobody should.

Other databases say at once that they are not there, or have a time-out in their own options.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import OperationalError

WAIT_S = 5.0
POLL_S = 0.01


def patience(connection: BaseDatabaseWrapper) -> AbstractContextManager[None]:
    """Return a block in which the store's server may be waited for, but not for longer than ``WAIT_S``."""
    if connection.vendor == "mongodb":
        return _within_time()
    if connection.vendor == "djongo":
        connection.ensure_connection()
        _wait_for_a_server(connection.client_connection)  # type: ignore[attr-defined]
    return nullcontext()


@contextmanager
def _within_time() -> Iterator[None]:
    import pymongo

    with pymongo.timeout(WAIT_S):
        yield


def _wait_for_a_server(client: Any) -> None:
    """Return when the client has a server; raise if it finds none. The pymongo that djongo allows has no time-out of a block."""
    give_up = time.monotonic() + WAIT_S
    while not client.nodes:
        if time.monotonic() > give_up:
            raise OperationalError(f"no MongoDB server answered within {WAIT_S:.0f} s")
        time.sleep(POLL_S)
