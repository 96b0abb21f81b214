"""Where the host's own code is on the stack."""

from __future__ import annotations

import sys
from functools import lru_cache
from pathlib import Path

MAX_FRAMES = 120
_OWN = str(Path(__file__).resolve().parent.parent)


def call_site() -> str:
    """Return the innermost line of the host's own code, ``app/views.py:42 in listing``, or "" if none is on the stack."""
    frame = sys._getframe(1)  # noqa: SLF001 - its documented use
    for _ in range(MAX_FRAMES):
        name = frame.f_code.co_filename
        if _is_hosts(name):
            return f"{'/'.join(Path(name).parts[-2:])}:{frame.f_lineno} in {frame.f_code.co_name}"
        if frame.f_back is None:
            break
        frame = frame.f_back
    return ""


@lru_cache(maxsize=2_000)
def _is_hosts(name: str) -> bool:
    return not (
        name.startswith(("<", _OWN))
        or "site-packages" in name
        or f"/lib/python{sys.version_info[0]}." in name
    )
