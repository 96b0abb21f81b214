"""The guard between the host and perfsuite: whatever fails inside a hook stays inside it.

A failure is counted, logged the first time, and after ``HOOK_FAILURE_LIMIT`` of them the hook is off in this process until it
restarts; the panel names it. Only ``Exception`` is held back: an interrupt or a cancelled task belongs to the host.
"""

from __future__ import annotations

import logging

from perfsuite.metrics.conf import MetricsSettings

logger = logging.getLogger("perfsuite.metrics")

disabled_hooks: dict[str, str] = {}
_guards: list[Guard] = []


class Guard:
    """Counts the failures of one hook; make one at module level for each hook.

    A hook asks ``guard.on`` first and calls ``guard.failed(exc)`` from its ``except Exception``.
    """

    def __init__(self, hook: str) -> None:
        self.hook = hook
        self.on = True
        self.failures = 0
        self.unreported = 0
        _guards.append(self)

    def failed(self, exc: BaseException) -> None:
        """Count a failure, log the first with its traceback, and switch the hook off at the limit."""
        self.failures += 1
        self.unreported += 1
        if self.failures == 1:
            logger.error("The hook %s failed; the site is not affected.", self.hook, exc_info=exc)
        if self.on and self.failures >= MetricsSettings.get().hook_failure_limit:
            self.on = False
            disabled_hooks[self.hook] = (
                f"The hook {self.hook} is off in this process after {self.failures} failures, "
                f"the last of them {type(exc).__name__}; see the log and restart."
            )
            logger.error(disabled_hooks[self.hook])

    def reset(self) -> None:
        """Switch the hook on again and forget its failures."""
        self.on, self.failures, self.unreported = True, 0, 0
        disabled_hooks.pop(self.hook, None)


def take_failures() -> dict[str, int]:
    """Return the failures by hook since the last call."""
    taken = {guard.hook: guard.unreported for guard in _guards if guard.unreported}
    for guard in _guards:
        guard.unreported = 0
    return taken
