"""The test host, watched from inside: who answers, what waits and was dropped in that process, and when it led.

Each answer says its process in ``X-Worker``, the rows that wait behind the newest batch in ``X-Waiting-Rows``, and the requests
whose numbers were dropped in ``X-Dropped-Requests``. Each change of the lead is a line of the file ``leads`` (leads.py reads it).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from perfsuite.metrics import flusher, leader
from tests.integration.leads import FILE
from tests.wsgi import application as django_application

_dropped = 0


class WatchedFlusher(flusher.Flusher):
    """Counts the requests whose numbers it drops."""

    def _drop_oldest(self) -> None:
        global _dropped
        _dropped += sum(row.count for row in self.pending[0].rows if row.kind == "requests.status")
        super()._drop_oldest()


class WatchedCandidate(leader.Candidate):
    """Writes down each instant at which what ``leads`` goes by changes, never later than it counts and never too short."""

    @property
    def held_until(self) -> float:  # type: ignore[override]
        return self._held_until

    @held_until.setter
    def held_until(self, instant: float) -> None:
        if instant:
            self._write(instant)
            self._held_until = instant
        else:
            had, self._held_until = getattr(self, "_held_until", 0.0), instant
            if had:
                self._write(instant)

    def _write(self, until: float) -> None:
        line = f"{os.getpid()} {time.monotonic()!r} {until!r}\n"
        with Path(os.environ["PERFSUITE_TEST_DIR"], FILE).open("a") as file:  # one write, so lines stay whole
            file.write(line)


flusher.flusher.__class__ = WatchedFlusher
leader.Candidate = WatchedCandidate  # type: ignore[misc]
leader._reset()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
        waiting = sum(len(batch.rows) for batch in list(flusher.flusher.pending)[:-1])
        said = {"X-Worker": os.getpid(), "X-Waiting-Rows": waiting, "X-Dropped-Requests": _dropped}
        return start_response(
            status, [*headers, *((name, str(value)) for name, value in said.items())], *rest
        )

    return django_application(environ, start)
