"""What one request's statements have in common with those of another one, so that both come to the same. Imports no Django.

What repeats.py finds depends on the texts, on where they come from, and on which parameters are alike; on values and on times it
does not depend, as long as all of them together take less than would make few repetitions worth a finding. So a route that runs
the same each time is searched once, and of its other requests the times are added up.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple


class Columns(NamedTuple):
    """The statements of one request, by what sql.py notes of each; or commands of MongoDB, whose texts are shapes.

    ``params`` are with CAPTURE_PARAMS the parameters of each, else None.
    """

    texts: tuple[Any, ...]
    aliases: tuple[str, ...]
    seconds: tuple[float, ...]
    failed: tuple[bool, ...]
    keys: tuple[Any, ...]
    sites: tuple[Any, ...]
    params: tuple[Any, ...]
    rows: tuple[Any, ...]


# So much is noted of a statement.
WIDTH = len(Columns._fields)


class Pattern(NamedTuple):
    """What two requests must have in common to come to the same.

    ``alike`` tells which keys are, and ``alike_rows`` which filters of commands are; None where all differ.
    """

    texts: tuple[Any, ...]
    aliases: tuple[str, ...]
    sites: tuple[Any, ...]
    alike: list[int] | None
    alike_rows: list[int] | None = None


# Hot path: benchmarks/overhead.py
def columns_of(statements: Sequence[Any]) -> Columns:
    """Return statements by columns; there must be one at least."""
    return Columns(*zip(*statements, strict=True))


# Hot path: benchmarks/overhead.py
def pattern_of(columns: Columns, n_plus_one_ms: float) -> Pattern | None:
    """Return the pattern of a request's statements, or None if their times decide what they come to."""
    if sum(columns.seconds) * 1e3 >= n_plus_one_ms:
        return None
    keys, rows = columns.keys, None
    if type(columns.texts[0]) is not str:
        rows = _alike([key[0] if key.__class__ is tuple else key for key in keys])
    return Pattern(columns.texts, columns.aliases, columns.sites, _alike(keys), rows)


def _alike(keys: Sequence[Any]) -> list[int] | None:
    """Return for each key the place of the first that is like it, or None if all differ."""
    if len(set(keys)) == len(keys) and None not in keys:
        return None
    first: dict[Any, int] = {None: -1}  # a batch of its own each time
    return [first.setdefault(key, place) for place, key in enumerate(keys)]
