"""The guard between the host and perfsuite: whatever fails inside a hook stays inside it.

A failure is counted, logged the first time in an hour, and after ``HOOK_FAILURE_LIMIT`` of them within an hour the hook is off in
this process until it restarts; the panel names it. Only ``Exception`` is held back: an interrupt or a cancelled task belongs to
the host.
"""

from __future__ import annotations

import logging
import os
import time
from contextlib import suppress

from perfsuite.metrics.conf import MetricsSettings

logger = logging.getLogger("perfsuite.metrics")

# A rare failure should not add up over weeks.
FORGIVE_S = 3_600.0

disabled_hooks: dict[str, str] = {}
_guards: list[Guard] = []


class Guard:
    """Counts the failures of one hook; make one at module level for each hook.

    A hook asks ``guard.on`` first and calls ``guard.failed(exc)`` from its ``except Exception``. One that others call, and that
    should not stop for all because of one of them, says ``switches_off=False``.
    """

    def __init__(self, hook: str, switches_off: bool = True) -> None:
        self.hook = hook
        self.switches_off = switches_off
        self.on = True
        self.failures = 0
        self.unreported = 0
        self._since = 0.0
        _guards.append(self)

    def failed(self, exc: BaseException) -> None:
        """Count a failure, log the first of an hour with its traceback, and switch the hook off at the limit."""
        now = time.monotonic()
        if self.on and now - self._since >= FORGIVE_S:
            self.failures, self._since = 0, now
        self.failures += 1
        self.unreported += 1
        if self.failures == 1:
            _log("The hook %s failed; the site is not affected.", self.hook, exc)
        if self.on and self.switches_off and self.failures >= MetricsSettings.get().hook_failure_limit:
            self.on = False
            disabled_hooks[self.hook] = (
                f"The hook {self.hook} is off in this process after {self.failures} failures, "
                f"the last of them {type(exc).__name__}; see the log and restart."
            )
            _log("%s", disabled_hooks[self.hook])

    def reset(self) -> None:
        """Switch the hook on again and forget its failures."""
        self.on, self.failures, self.unreported, self._since = True, 0, 0, 0.0
        disabled_hooks.pop(self.hook, None)


def _log(message: str, value: str, exc: BaseException | None = None) -> None:
    with suppress(Exception):  # a filter or handler of the host's may be what failed
        logger.error(message, value, exc_info=exc)


def registered() -> list[Guard]:
    """Return the guards of all hooks."""
    return list(_guards)


def take_failures() -> dict[str, int]:
    """Return the failures by hook since the last call."""
    taken: dict[str, int] = {}
    for guard in _guards:
        failures, guard.unreported = guard.unreported, 0
        if failures:
            taken[guard.hook] = taken.get(guard.hook, 0) + failures
    return taken


if hasattr(os, "register_at_fork"):
    # What the parent has not reported is the parent's to report.
    os.register_at_fork(after_in_child=take_failures)
