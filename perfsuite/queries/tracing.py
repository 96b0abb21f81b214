"""What a statement's entry in the tally says beside its time: the key of its parameters, and where it comes from.

Where it comes from is looked up only for what tells something: the third time that a text comes in a request and each time
after, which costs little while it is the same line; what was slow or failed; and each text once in a flush interval.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from perfsuite.metrics.guard import Guard
from perfsuite.metrics.recorder import Observation, recorder
from perfsuite.metrics.request import Tally, prompt
from perfsuite.queries.callsite import Seen, SeenAtLength, site_of_caller
from perfsuite.queries.findings import REPEATED
from perfsuite.queries.fingerprint import Shape
from perfsuite.queries.mongo_values import Key, kept_of_command, key_of_command
from perfsuite.queries.parameters import kept, key_of
from perfsuite.queries.repeats import Site
from perfsuite.queries.rows import silent, watched
from perfsuite.queries.statements import shape_of

# From its third time on, a statement's line is looked up.
FROM = 3
# Texts whose line is looked up once in a flush interval.
MAX_LOOKED_UP = 500

# A larger number, which a database refuses mostly, is not held until the request is folded.
MAX_BITS = 64

# The key, the site, and with CAPTURE_PARAMS the parameters, else None.
Traced = tuple["Key | None", "Site | None", "Sequence[Any] | None"]

UNTRACED: Traced = (None, None, None)

guard = Guard("queries.tracing")
_looked_up: set[Any] = set()
# Of these the texts that have parameters and whose rows told nothing more: there is nothing to be looked at the first two times
# that one comes in a request.
settled: set[str] = set()


class Capture:
    """Whether parameters are kept; follows the setting."""

    on = False


capture = Capture()


# Hot path: benchmarks/overhead.py
def trace(
    tally: Tally, text: str, alias: str, params: Any, many: bool, seconds: float, failed: bool
) -> Traced:
    """Return the key of a statement's parameters, None for those of many rows, and its site if it is known. Never raises."""
    if not guard.on:
        return UNTRACED
    try:
        # What has no parameters has its values in its text.
        what = text if params else shape_of(text, alias).fingerprint
        came = tally.seen.get(what, 0)
        site: Site | None = None
        values = len(params) if params.__class__ is tuple else 0
        if came.__class__ is int and came < FROM - 1:
            tally.seen[what] = came + 1
            if what not in _looked_up or failed or seconds >= prompt.from_s:
                site = _look_up(what)
            elif params and text not in watched:
                settled.add(text)
        else:
            if came.__class__ is int:
                came = _third(tally, what, bool(params) and text not in watched)
            else:
                came.count += 1
            if came.sure:
                came.sure -= 1
                site = came.site
            else:
                site = came.again()
                if values > 1:  # of a single one, the keys tell whether it changes
                    site = came.compare(params)
        # Most loops ask for a row by its number, whose key is that.
        is_number = values == 1 and not many and type(params[0]) is int and params[0].bit_length() <= MAX_BITS
        key = None if many else params if is_number else key_of(params)
        own = (params if is_number else kept(params)) if capture.on else None
        return key, site, own
    except Exception as exc:  # noqa: BLE001 - the guard's
        guard.failed(exc)
        return UNTRACED


# Hot path: benchmarks/mongodb.py
def trace_command(tally: Tally, shape: Shape, name: str, command: Mapping[str, Any]) -> Traced:
    """Return the same of a command of MongoDB that is about to be sent. Never raises."""
    if not guard.on:
        return UNTRACED
    try:
        came = tally.seen.get(shape, 0)
        site: Site | None = None
        if came.__class__ is not int:
            came.count += 1
            if came.sure:
                came.sure -= 1
                site = came.site
            else:
                site = came.again()
        elif came < FROM - 1:
            tally.seen[shape] = came + 1
            if shape not in _looked_up:
                site = _look_up(shape)
        else:
            site = _third(tally, shape).again()
        key = key_of_command(name, command)
        return (key, site, kept_of_command(name, command)) if capture.on else (key, site, None)
    except Exception as exc:  # noqa: BLE001 - the guard's
        guard.failed(exc)
        return UNTRACED


def third(what: Any, is_short: bool = False) -> Seen:
    """Return what begins to follow from where something comes that comes the third time."""
    seen = Seen(what) if is_short else SeenAtLength(what)
    seen.count = FROM
    seen.silent_on = silent.get(what)
    return seen


def _third(tally: Tally, what: Any, is_short: bool = False) -> Seen:
    tally.seen[what] = seen = third(what, is_short)
    tally.seen[REPEATED] = 1
    return seen


def _look_up(what: Any) -> Site | None:
    if len(_looked_up) < MAX_LOOKED_UP:
        _looked_up.add(what)
    return site_of_caller()


def _start_afresh() -> Sequence[Observation]:
    _looked_up.clear()
    settled.clear()
    return ()


recorder.before_take(_start_afresh)
