"""Who is asked what else to tell of a missing index; an app above this one says how to make it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

# By fingerprint, alias and table.
Adviser = Callable[[str, str, str], Mapping[str, Any]]

advisers: list[Adviser] = []


def register_adviser(adviser: Adviser) -> None:
    """Have a function asked for more evidence on each missing index that is found; plain values by name. Idempotent."""
    if adviser not in advisers:
        advisers.append(adviser)
