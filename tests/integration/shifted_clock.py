"""A wall clock that is off: ``time.time`` of a process that is started with ``PERFSUITE_TEST_CLOCK``.

The variable names a file with the seconds by which the clock is ahead. It may change while the process runs, as when an operator
or a time server sets a clock. The monotonic clock stays as it is, as on a real machine.
"""

from __future__ import annotations

import time
from pathlib import Path


class ShiftedClock:
    """Tells the time with what the file says added; the file is looked at anew each time."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._time = time.time

    def __call__(self) -> float:
        return self._time() + float(self._file.read_text())


def install(file: Path) -> None:
    """Shift ``time.time`` of this process."""
    time.time = ShiftedClock(file)


def set_clock(file: Path, ahead_s: float) -> None:
    """Set the clock of the processes that use ``file``, in one step."""
    new = file.with_suffix(".new")
    new.write_text(str(ahead_s))
    new.replace(file)
