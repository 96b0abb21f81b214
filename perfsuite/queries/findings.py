"""From what a request's statements come to, to what is kept: sightings with advice, and exemplars with their call sites.

Runs when a request is folded, never while a statement runs.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from django.utils.module_loading import import_string

from perfsuite.metrics import exemplars, sightings
from perfsuite.metrics.recorder import Observation, recorder
from perfsuite.metrics.request import Tally
from perfsuite.queries import kinds
from perfsuite.queries.advice import Advice, advise, advise_slow
from perfsuite.queries.conf import QuerySettings
from perfsuite.queries.fingerprint import Shape, masked
from perfsuite.queries.repeats import NOWHERE, Found, Limits, findings_of

# Series of which a flush interval's first statement is remembered; slow and failed ones always are.
MAX_FIRSTS = 500

# Stands in what a tally has seen once something came a third time.
REPEATED = "<repeated>"
_firsts: set[tuple[str, str, str]] = set()
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


def tell(tally: Tally, statements: Sequence[Any], shape_of: Any, route: str) -> None:
    """Sight what the statements of one request come to. They are settled: text or shape in the first place."""
    for found in findings_of(statements, shape_of, limits()):
        evidence = {"count": found.count, "distinct": found.distinct, "us": round(found.seconds * 1e6)}
        _sight(found.kind, found.shape, found.alias, route, found, advise(found), evidence, request_id(tally))


def tell_slow(
    labels: tuple[str, str, str], shape: Shape, site: Any, seconds: float, slow_s: float, tally: Tally
) -> None:
    """Sight a slow statement."""
    found = Found("slow", shape, labels[1], site or NOWHERE, 1, 1, seconds, seconds - slow_s)
    evidence = {"count": 1, "us": round(seconds * 1e6)}
    _sight("slow", shape, labels[1], labels[2], found, advise_slow(shape), evidence, request_id(tally))


def _sight(
    kind: str,
    shape: Shape,
    alias: str,
    route: str,
    found: Found,
    advice: Advice,
    evidence: dict[str, Any],
    by_request: str,
) -> None:
    evidence |= {
        "operation": shape.operation,
        "about": advice.about,
        "advice": advice.code,
        "sentence": advice.sentence,
        "request_id": by_request,
    }
    subject = shape.fingerprint or route
    sightings.sight(
        sightings.Sighting(kind, subject, alias, route, found.site.where, found.saving_s * 1e6, evidence)
    )


def request_id(tally: Tally) -> str:
    """Return the id of a request: that of its X-Request-ID, else one made now."""
    if not tally.request_id:
        given = tally.request.META.get("HTTP_X_REQUEST_ID") if tally.request is not None else None
        tally.request_id = given or f"{random.getrandbits(64):016x}"  # noqa: S311 - no secret
    return tally.request_id[:200]


def remember(labels: tuple[str, str, str], statement: Sequence[Any], shape: Shape, tally: Tally) -> None:
    """Remember a statement with its details as an exemplar of its fingerprint."""
    what, _, seconds, failed, key, site = statement[:6]
    us = seconds * 1e6
    data: dict[str, Any] = {
        "request_id": request_id(tally),
        "site": site.where if site is not None else "",
        "us": round(us, 1),
        "many": key is None,
        "failed": failed,
    }
    # They are there with CAPTURE_PARAMS; a statement's rows come last.
    params = next((each for each in statement[6:7] if isinstance(each, list)), None)
    if isinstance(what, str):
        data["sql"] = what if params is not None else masked(what)
        data["params"] = _masked(what, params)
    else:
        data["command"] = shape.fingerprint
    exemplars.remember(kinds.FINGERPRINT, labels, us, data)


def is_first(labels: tuple[str, str, str]) -> bool:
    """Tell whether a series has no exemplar yet since the last flush, and count it as having one."""
    if labels in _firsts or len(_firsts) >= MAX_FIRSTS:
        return False
    _firsts.add(labels)
    return True


def _masked(sql: str, params: list[Any] | None) -> Any:
    path = QuerySettings.get().mask_params
    return params if params is None or not path else import_string(path)(sql, params)


def _start_afresh() -> Sequence[Observation]:
    _firsts.clear()
    return ()


recorder.before_take(_start_afresh)
