"""From what a request's statements come to, to what is kept: sightings with advice, and exemplars with their call sites.

Runs when a request is folded, never while a statement runs.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from django.utils.module_loading import import_string

from perfsuite.metrics import exemplars, sightings
from perfsuite.metrics.guard import Guard
from perfsuite.metrics.lifecycle import LIMIT
from perfsuite.metrics.recorder import Observation, recorder
from perfsuite.metrics.request import Tally
from perfsuite.queries import kinds
from perfsuite.queries.advice import Advice, advise
from perfsuite.queries.conf import QuerySettings
from perfsuite.queries.dialects import dialect_of
from perfsuite.queries.fingerprint import Shape
from perfsuite.queries.pattern import Columns, Pattern, pattern_of
from perfsuite.queries.repeats import CHATTY, NOWHERE, Found, Limits, findings_of
from perfsuite.queries.slow_advice import FULL_TEXT, advise_slow

# Series of which a flush interval's first statement is remembered; slow and failed ones always are.
MAX_FIRSTS = 500

# The share of a statement's time that an index saves which serves it; on the careful side.
SAVED_BY_REMEDY = 0.9
# The place of the parameters in a statement.
PARAMS = 6
# Stands in what a tally has seen once something came a third time.
REPEATED = "<repeated>"
Labels = tuple[str, str, str]

guard = Guard("queries.findings")
mask_guard = Guard("queries.mask_params", switches_off=False)
_firsts: set[Labels] = set()
_limits: tuple[QuerySettings | None, Limits] = (None, Limits())


def limits() -> Limits:
    """Return from when on something is a finding, as the settings say."""
    global _limits
    settings = QuerySettings.get()
    if _limits[0] is not settings:
        made = Limits(
            settings.n_plus_one_count,
            settings.n_plus_one_ms,
            settings.n_plus_one_any_count,
            settings.duplicate_count,
            settings.chatty_count,
        )
        _limits = settings, made
    return _limits[1]


def may_hold_findings(tally: Tally, statements: Sequence[Any]) -> bool:
    """Tell whether a request repeats anything or runs very much; most do not, and are looked at no further."""
    return REPEATED in tally.seen or len(statements) > limits().chatty_count


class Batch:
    """Sights what requests of one route come to that are folded together; what those of one pattern in a row do, at once."""

    def __init__(self, route: str) -> None:
        self.route = route
        self._pattern: Pattern | None = None
        self._tally: Tally
        # Of each found the places of its statements, None for all; and the times of the statements of each request, the last of
        # which is ``_tally``'s, where there may be several.
        self._found: list[tuple[Found, list[int] | None]] = []
        self._seconds: list[Sequence[float]] = []
        self._repeated: set[tuple[Shape, str]] = set()

    # Hot path: benchmarks/overhead.py
    def tell(
        self,
        tally: Tally,
        statements: Sequence[Any],
        shape_of: Callable[[Any, str], Shape],
        columns: Columns | None = None,
        is_request: bool = True,
    ) -> set[tuple[Shape, str]]:
        """Take what the statements of one request come to, and return those that it repeats. Never raises.

        They are settled: text or shape in the first place. What is no request has nobody who waits for it, and may run as many
        different statements as it needs.
        """
        if not guard.on:
            return set()
        try:
            pattern = pattern_of(columns, limits().n_plus_one_ms) if columns is not None else None
            if pattern is None or pattern != self._pattern:
                self.close()
                self._search(statements, shape_of, is_request)
                self._pattern = pattern
            self._tally = tally
            self._seconds.append(columns.seconds if columns is not None else ())
            return self._repeated
        except Exception as exc:  # noqa: BLE001 - the guard's
            guard.failed(exc)
            return set()

    def close(self) -> None:
        """Sight what was taken and not sighted yet. Never raises."""
        found, seconds = self._found, self._seconds
        self._pattern, self._found, self._seconds, self._repeated = None, [], [], set()
        for each, places in found:
            try:
                self._sight(each, places, seconds)
            except Exception as exc:  # noqa: BLE001 - the guard's
                guard.failed(exc)

    def _sight(self, found: Found, places: list[int] | None, seconds: list[Sequence[float]]) -> None:
        took_s, last = [found.seconds], found
        if len(seconds) > 1:
            took_s = [sum(one if places is None else [one[place] for place in places]) for one in seconds]
            last = found._replace(seconds=took_s[-1], saving_s=found.spared * took_s[-1])
        evidence = {"count": last.count, "distinct": last.distinct, "us": round(last.seconds * 1e6)}
        others_us = [found.spared * each_s * 1e6 for each_s in took_s[:-1]]
        _sight(last, self.route, advise(last), evidence, request_id(self._tally), others_us)

    def _search(
        self, statements: Sequence[Any], shape_of: Callable[[Any, str], Shape], is_request: bool
    ) -> None:
        numbers: dict[int, int] = {}
        made: list[tuple[Found, list[int] | None]] = []
        for found in findings_of(statements, shape_of, limits()):
            if found.kind == CHATTY and not is_request:
                continue
            places = None
            if len(found.statements) != len(statements):
                numbers = numbers or {id(each): place for place, each in enumerate(statements)}
                places = [numbers[id(each)] for each in found.statements]
            made.append((found, places))
        self._found, self._repeated = made, {(found.shape, found.alias) for found, _ in made}


def tell_slow(labels: Labels, shape: Shape, tally: Tally, statement: Sequence[Any], slow_s: float) -> None:
    """Sight a slow statement, which is no finding yet (lifecycle.py): once, anything may be slow. Never raises."""
    if not guard.on:
        return
    try:
        seconds, site = statement[2], statement[5] or NOWHERE
        advice = advise_slow(shape)
        # What helps is known of a search, and is not known of others: of these nothing is promised but what is too much.
        saving_s = SAVED_BY_REMEDY * seconds if advice.code == FULL_TEXT else seconds - slow_s
        found = Found("slow", shape, labels[1], site, 1, 1, seconds, saving_s)
        evidence = {"count": 1, "us": round(seconds * 1e6), LIMIT: round(slow_s * 1e6)}
        _sight(found, labels[2], advice, evidence, request_id(tally))
    except Exception as exc:  # noqa: BLE001 - the guard's
        guard.failed(exc)


def _sight(
    found: Found,
    route: str,
    advice: Advice,
    evidence: dict[str, Any],
    by_request: str,
    others_us: Sequence[float] = (),
) -> None:
    evidence |= {
        "operation": found.shape.operation,
        "about": advice.about,
        "advice": advice.code,
        "sentence": advice.sentence,
        "request_id": by_request,
    }
    if remedy := _remedy(found, advice):
        evidence["remedy"] = remedy
    subject, saving_us = found.shape.fingerprint or route, found.saving_s * 1e6
    sightings.sight(
        sightings.Sighting(
            found.kind, subject, found.alias, route, found.site.where, saving_us, evidence, others_us
        )
    )


def _remedy(found: Found, advice: Advice) -> str:
    """Return what names the change that mends a finding, and others of another statement or route with it; "" where none may.

    A full-text search serves all that is searched for in a table, and a line is changed once for all routes that run it.
    """
    if advice.code == FULL_TEXT:
        return f"{FULL_TEXT} of {advice.about} on {found.alias}"
    return f"{advice.code} at {found.site.where}" if found.kind != "slow" and found.site.where else ""


def request_id(tally: Tally) -> str:
    """Return the id of a request: that of its X-Request-ID, else one made now."""
    if not tally.request_id:
        given = tally.request.META.get("HTTP_X_REQUEST_ID") if tally.request is not None else None
        tally.request_id = given or f"{random.getrandbits(64):016x}"
    return tally.request_id[:200]


def remember(labels: Labels, shape: Shape, tally: Tally, statement: Sequence[Any]) -> None:
    """Remember a statement with its details as an exemplar of its fingerprint. Never raises."""
    if not guard.on:
        return
    try:
        what, _, seconds, failed, key, site = statement[:6]
        us = seconds * 1e6
        data: dict[str, Any] = {
            "request_id": request_id(tally),
            "site": site.where if site is not None else "",
            "us": round(us, 1),
            "many": key is None,
            "failed": failed,
        }
        sql = getattr(what, "sql", what)  # djongo's stands with what became of it
        # They are there with CAPTURE_PARAMS; the rows of a statement come last.
        kept = next((list(each) for each in statement[PARAMS : PARAMS + 1] if each is not None), None)
        if isinstance(sql, str):
            params = _masked(sql, kept)
            # The host masks what it is given as parameters; what it wrote into its text it has not seen as such.
            is_whole = params is not None and not QuerySettings.get().mask_params
            data |= {"sql": sql if is_whole else dialect_of(labels[1]).masked(sql), "params": params}
        elif kept is not None:
            data["params"] = _masked(shape.fingerprint, kept)
        if what is not sql or not isinstance(what, str):
            data["command"] = shape.fingerprint
        exemplars.remember(kinds.FINGERPRINT, labels, us, data)
    except Exception as exc:  # noqa: BLE001 - the guard's
        guard.failed(exc)


def is_first(labels: Labels) -> bool:
    """Tell whether a series has no exemplar yet since the last flush, and count it as having one."""
    if labels in _firsts or len(_firsts) >= MAX_FIRSTS:
        return False
    _firsts.add(labels)
    return True


def _masked(sql: str, params: list[Any] | None) -> list[Any] | None:
    """Return the parameters as the host's function leaves them; where that fails, none."""
    path = QuerySettings.get().mask_params
    if params is None or not path:
        return params
    try:
        return list(import_string(path)(sql, params))
    except Exception as exc:  # noqa: BLE001 - the guard's
        mask_guard.failed(exc)
        return None


def _start_afresh() -> Sequence[Observation]:
    _firsts.clear()
    return ()


recorder.before_take(_start_afresh)
