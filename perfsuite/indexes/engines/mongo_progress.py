"""How far a build of MongoDB is, told from ``currentOp``."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from perfsuite.indexes.engines.base import Say
from perfsuite.metrics.request import suppress
from perfsuite.optional import require

EVERY_S = 1.0


@contextmanager
def told(database: Any, table: str, say: Say) -> Iterator[None]:
    """Say once a second how far the build on a collection is, while the block runs. What goes wrong with it is not told."""
    done = threading.Event()
    watcher = threading.Thread(
        target=_watch, args=(database, table, say, done), name="perfsuite-indexes", daemon=True
    )
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _watch(database: Any, table: str, say: Say, done: threading.Event) -> None:
    errors: Any = require("pymongo.errors", extra="mongodb")
    last = ""
    with suppress():
        while not done.wait(EVERY_S):
            try:
                # Without the command's own filter, since the thread that builds is another than the one that was asked.
                answer = database.client.admin.command({"currentOp": 1, "ns": f"{database.name}.{table}"})
            except errors.PyMongoError:
                return  # a user may build an index and not be allowed to look
            words = next((said for each in answer["inprog"] if (said := in_words(each))), "")
            if words and words != last:
                last = words
                say(f"{table}: {words}")


def in_words(operation: Mapping[str, Any]) -> str:
    """Return what an operation says of the index that it builds, or the empty string."""
    message, progress = str(operation.get("msg", "")), operation.get("progress") or {}
    if not message.startswith("Index Build"):
        return ""
    phase = message.partition(":")[2].strip().partition(":")[0] or message
    done, total = int(progress.get("done", 0)), int(progress.get("total", 0))
    if not total or done > total:
        return phase
    return f"{phase}, {done:,} of {total:,}, {100 * done // total} %"
