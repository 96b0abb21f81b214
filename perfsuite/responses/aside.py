"""Work that would hold the event loop up, done in a thread: as many threads as there are processors, made when first needed.

Not asyncio's own threads: a host may fill those with what waits.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")

_threads: ThreadPoolExecutor | None = None


async def aside(do: Callable[..., T], *args: Any) -> T:
    """Return ``do(*args)``, called in a thread. Who is cancelled meanwhile leaves it to end by itself."""
    global _threads
    threads = _threads
    if threads is None:
        # Two tasks of different loops may each make one here; the one that is lost ends with its work.
        threads = _threads = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="perfsuite-responses")
    return await asyncio.get_running_loop().run_in_executor(threads, do, *args)


def _forget() -> None:
    global _threads
    _threads = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)  # a child has none of its parent's threads
