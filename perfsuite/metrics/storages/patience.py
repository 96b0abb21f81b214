"""How long a store in MongoDB is waited for. Its driver waits half a minute for a server, and in a request nobody should.

Other databases say at once that they are not there, or have a time-out in their own options.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import OperationalError

WAIT_S = 5.0


def patience(connection: BaseDatabaseWrapper) -> AbstractContextManager[None]:
    """Return a block in which the store's server may be waited for, but not for longer than ``WAIT_S``."""
    if connection.vendor not in ("mongodb", "djongo"):
        return nullcontext()
    import pymongo

    if hasattr(pymongo, "timeout"):
        return pymongo.timeout(WAIT_S)
    connection.ensure_connection()
    _wait_for_a_server(connection.client_connection)  # type: ignore[attr-defined]
    return nullcontext()


def _wait_for_a_server(client: Any) -> None:
    """Return when the client has a server; raise if it finds none. The pymongo that djongo allows has no time-out of a block.

    All threads of a djongo host share one client, and whichever closes its connection closes that. A closed client looks for
    servers again only when it is used, which asking what servers it knows does not count as; hence the private method.
    """
    from pymongo.errors import ServerSelectionTimeoutError
    from pymongo.server_selectors import any_server_selector

    try:
        client._get_topology().select_server(any_server_selector, WAIT_S)  # noqa: SLF001 - see above
    except ServerSelectionTimeoutError as exc:
        raise OperationalError(f"no MongoDB server answered within {WAIT_S:.0f} s") from exc
