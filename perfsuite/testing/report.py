"""What a failed assertion prints: the statements grouped by their fingerprints, with call sites, and advice on what repeats.

6 statements ran, and the budget is 3.

    5 x  0.3 ms  SELECT "shop_author"."id", "shop_author"."name" FROM "shop_author" WHERE "shop_author"."id" = ? LIMIT ?
         at shop/views.py:12 in listing
         N+1: shop.Book.author is read row by row: add .select_related("author") to the queryset that the loop goes over.
    1 x  0.1 ms  SELECT ...
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from perfsuite.queries.following import Ran
from perfsuite.queries.grouping import advice_on, found_in, groups_of
from perfsuite.queries.repeats import Found, Limits

MAX_GROUPS = 30
MAX_CHARS = 400
# No number of statements is too many by itself: that is what a budget is for.
ANY_COUNT = 10**9


def repeats_of(ran: Sequence[Ran], times: int) -> list[Found]:
    """Return what is repeated within one unit, from so many times on, however short it took."""
    return found_in(ran, Limits(times, 0.0, times, times, ANY_COUNT))


def report(
    headline: str, ran: Sequence[Ran], times: int, said: Mapping[tuple[str, str], Sequence[str]] | None = None
) -> str:
    """Return the text of a failure; ``said`` is what stands below a fingerprint of an alias, beside the advice."""
    said = said or {}
    advice = advice_on(repeats_of(ran, times))
    groups = groups_of(ran, first=advice)
    shows_alias = len({group.alias for group in groups}) > 1
    lines = [headline, ""]
    for group in groups[:MAX_GROUPS]:
        key = group.fingerprint, group.alias
        on = f"on {group.alias}  " if shows_alias else ""
        ms = group.seconds * 1e3
        lines.append(f"{len(group.ran):>5} x {ms:>8.1f} ms  {on}{_short(group.fingerprint)}")
        lines += [f"         {line}" for line in (*group.sites(), *said.get(key, ()), *advice.get(key, ()))]
    if len(groups) > MAX_GROUPS:
        rest = groups[MAX_GROUPS:]
        lines.append(f"and {sum(len(group.ran) for group in rest)} of {len(rest)} other kinds")
    return "\n".join(lines)


def _short(fingerprint: str) -> str:
    return fingerprint if len(fingerprint) <= MAX_CHARS else fingerprint[: MAX_CHARS - 1] + "…"
