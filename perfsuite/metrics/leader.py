"""One leader per fleet, and the jobs that it alone runs.

The lease is a row whose ``beat`` the holder moves by compare-and-set. Nobody compares clocks of two machines: a process that has
seen the same owner and beat for ``TTL_S`` of its own monotonic clock may take the lease, and a holder that could not renew for
``HOLD_S``, which is shorter, no longer counts itself as leader. So at most one leads at any instant, whatever the clocks say.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import uuid4

from perfsuite.exceptions import StoreUnavailable
from perfsuite.metrics.request import suppress
from perfsuite.metrics.storages import get_storage

logger = logging.getLogger("perfsuite.metrics")

LEASE = "leader"
TTL_S = 14.0
HOLD_S = 10.0


class LeaseLost(Exception):
    """The lead went to another process while a job ran; the job stops where it is."""


@dataclass(frozen=True)
class Job:
    """A function that one process of the fleet runs every ``every_s`` seconds."""

    name: str
    every_s: float
    run: Callable[[], object]


@dataclass
class Candidate:
    """This process's view of the lease."""

    owner: str = field(default_factory=lambda: uuid4().hex)
    beat: int = 0
    held_until: float = 0.0
    seen: tuple[str, int] | None = None
    seen_since: float = 0.0

    def leads(self) -> bool:
        """Tell whether this process is the leader at this instant, by its own clock."""
        return time.monotonic() < self.held_until

    def renew(self) -> bool:
        """Renew the lease, or take it if it is free; return whether this process leads now."""
        storage = get_storage()
        now = time.monotonic()
        there = storage.read_lease(LEASE)
        if (
            (there is not None and there[0] == self.owner and there[1] == self.beat)
            or there is None
            or there[0] == ""
        ):
            free = True
        elif there != self.seen:
            # The time after the read, so that the holder's last renewal was certainly earlier.
            self.seen, self.seen_since = there, time.monotonic()
            free = False
        else:
            free = now - self.seen_since >= TTL_S
        beat = (there[1] if there else 0) + 1
        if free and storage.move_lease(LEASE, there, (self.owner, beat)):
            self.beat, self.held_until = beat, now + HOLD_S
        elif there is None or there[0] != self.owner:
            self.held_until = 0.0
        return self.leads()

    def resign(self) -> None:
        """Free the lease at once, so that another process need not wait."""
        if self.leads():
            self.held_until = 0.0
            get_storage().move_lease(LEASE, (self.owner, self.beat), ("", self.beat))


_jobs: dict[str, Job] = {}
candidate = Candidate()


def register_job(name: str, every_s: float, run: Callable[[], object]) -> None:
    """Have the leader call ``run()`` every ``every_s`` seconds. Registering a name again replaces it.

    When it last ran is kept in the store, so that a job of once a day runs once a day however often the leader changes. A job
    calls ``still_leads`` between its steps; a job that raises is logged and runs again when it is next due.
    """
    _jobs[name] = Job(name, every_s, run)


def still_leads() -> None:
    """Renew the lease; raise ``LeaseLost`` if it went to another process."""
    if not candidate.renew():
        raise LeaseLost


def tick() -> None:
    """Renew or try to take the lease, and run the jobs that are due if this process leads. Never raises."""
    with suppress():
        try:
            if candidate.renew():
                for job in list(_jobs.values()):
                    _run_if_due(job)
        except LeaseLost:
            logger.info("The lead went to another process.")
        except StoreUnavailable as exc:
            logger.debug("No leader now: %s", exc)
        except Exception as exc:
            logger.log(_level(exc), "The leader's round failed.", exc_info=True)


def resign() -> None:
    """Give up the lead at the end of the process. Never raises."""
    try:
        with suppress():
            candidate.resign()
    except Exception:
        logger.debug("The lead could not be given up.", exc_info=True)


def _run_if_due(job: Job) -> None:
    storage, mark, now = get_storage(), f"job:{job.name}", int(time.time())
    due = storage.marks([mark]).get(mark)
    # A mark further ahead than one period was set by a clock that ran ahead.
    if due is not None and now < due <= now + job.every_s:
        return
    if not storage.move_mark(mark, due, now + int(job.every_s)):
        return
    try:
        job.run()
    except (LeaseLost, StoreUnavailable):
        raise
    except Exception as exc:
        logger.log(
            _level(exc), "The job %s failed; it runs again when it is next due.", job.name, exc_info=True
        )


def _level(exc: Exception) -> int:
    """Return at which level ``exc`` is logged: a process that ends refuses new threads, which is no fault of the job."""
    ends = isinstance(exc, RuntimeError) and "interpreter shutdown" in str(exc)
    return logging.DEBUG if ends else logging.ERROR


def _reset() -> None:
    global candidate
    candidate = Candidate()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset)
