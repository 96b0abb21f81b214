"""Where too many documents of one command of MongoDB's are taken in.

A cursor of MongoDB's is read batch by batch, whoever reads it. What holds all its documents at once is a queryset that is not
``iterator()``; of a client of the host's own nobody can tell, and a loop that goes on for so long is told of like a list.
"""

from __future__ import annotations

import sys
from types import FrameType

from django.db.models import query

from perfsuite.queries.callsite import call_site
from perfsuite.queries.fingerprint import Shape

# In a shape, what says how many documents may come, or that there is more than is shown.
_BOUNDS = ("$limit", "$sample", ".$in", "\u2026")


def site_of_many(shape: Shape) -> str:
    """Return the line that reads the documents of a command without a limit, "" where nobody need be told of it."""
    if any(bound in shape.fingerprint for bound in _BOUNDS) or _is_streamed():
        return ""
    return call_site()


def _is_streamed() -> bool:
    """Tell whether a queryset reads them that does not keep them."""
    is_queryset = False
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - documented
    while frame is not None:
        code = frame.f_code
        if code.co_filename == query.__file__:
            if code.co_name == "_fetch_all":
                return False
            is_queryset = True
        frame = frame.f_back
    return is_queryset
