"""What the policy sees and what it answers.

Names of header fields are in lower case, several fields of one name are joined by ``", "``, and instants are unix
seconds. Of a request's fields only ``get`` is called by what runs on a hit, so a lazy mapping serves.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

Headers = Mapping[str, str]
Varying = tuple[tuple[str, str | None], ...]

# RFC 9110 15.1: these may be given a lifetime that nobody stated.
HEURISTICALLY_CACHEABLE: Final = frozenset({200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501})
# Those whose caching rules are followed here. 206 and 304 are not among them: a part is never stored as the whole.
UNDERSTOOD_STATUSES: Final = frozenset({
    200, 203, 204,
    300, 301, 302, 303, 307, 308,
    *range(400, 418), 421, 422, 426, 428, 429, 431, 451,
    500, 501, 502, 503, 504, 505, 511,
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Request:
    """A request, with its target as an absolute URI."""

    method: str
    uri: str
    headers: Headers


@dataclass(frozen=True, slots=True)
class Response:
    """An answer that was just made, or one that is stored."""

    status: int
    headers: Headers


class Terms(NamedTuple):
    """What a stored response allows, worked out once. Plain numbers and booleans, so that a store can keep it.

    The age at ``now`` is ``now - born_at``. The response is fresh while its age is less than ``lifetime``.
    """

    born_at: float
    lifetime: float
    always_validate: bool  # no-cache
    never_stale: bool  # must-revalidate, proxy-revalidate, s-maxage
    stale_while_revalidate: float
    stale_if_error: float
    heuristic: bool  # nobody stated the lifetime


@dataclass(frozen=True, slots=True)
class Stored:
    """What a store keeps of one variant, beside its body.

    ``varying`` holds the request fields that Vary named, normalised, or None where the request had none. Make it with
    `keep`, which works out ``terms`` too; without them each `decide` parses the response's fields again.
    """

    response: Response
    asked_at: float
    answered_at: float
    varying: Varying = ()
    terms: Terms | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """What the RFCs leave to a setting, with the defaults of a shared cache.

    ``heuristic_fraction`` is the share of the time since Last-Modified that a response without a stated lifetime is
    fresh, at most ``heuristic_max_s``; ``heuristic_default_s`` is for those without Last-Modified. ``targeted`` lists
    the fields of RFC 9213 that speak to this cache, the most specific first. ``obey_requests`` False ignores what a
    request asks for with no-cache, max-age, min-fresh and Pragma, which makes the cache no lever for those who want to
    burden the site; ``accept_stale`` False ignores its max-stale. ``stale_while_revalidate_s`` and
    ``stale_if_error_s`` stand in where a response names none, and never override what forbids stale responses;
    s-maxage does too (RFC 9111 5.2.2.10), unless ``s_maxage_forbids_stale`` is False, as many CDNs have it.
    ``store_cookies`` lets a response with Set-Cookie be stored. ``field_names`` False takes ``private="a"`` and
    ``no-cache="a"`` as if they named no fields.
    """

    shared: bool = True
    heuristic_fraction: float = 0.1
    heuristic_max_s: float = 86_400.0
    heuristic_default_s: float = 0.0
    targeted: tuple[str, ...] = ("cdn-cache-control",)
    obey_requests: bool = True
    accept_stale: bool = True
    stale_while_revalidate_s: float = 0.0
    stale_if_error_s: float = 0.0
    s_maxage_forbids_stale: bool = True
    error_statuses: frozenset[int] = frozenset({500, 502, 503, 504})
    understood_statuses: frozenset[int] = UNDERSTOOD_STATUSES
    store_cookies: bool = False
    field_names: bool = True
    max_vary_names: int = 32


DEFAULT: Final = Policy()


class Verdict(NamedTuple):
    """Whether a response may be stored, and in a word why, or why not."""

    ok: bool
    reason: str


class Action(enum.Enum):
    """What to do with a request."""

    HIT = "hit"  # answer with the stored response
    STALE = "stale"  # answer with the stored response, which is stale; refresh it afterwards if `Decision.refresh`
    REVALIDATE = "revalidate"  # ask with `validators`, and answer with what comes of it
    MISS = "miss"  # ask; there is nothing stored that could help
    GATEWAY_TIMEOUT = "gateway-timeout"  # answer 504: the request takes only what is stored


class Decision(NamedTuple):
    """What to do with a request, in a word why, and how old the stored response is.

    ``reason`` is the value of ``fwd`` in Cache-Status (RFC 9211 2.2) where the request goes on: ``miss``, ``stale``,
    ``request`` or ``method``. With HIT it is ``fresh``, with STALE what allows it: ``stale-while-revalidate``,
    ``stale-if-error`` or ``max-stale``.
    """

    action: Action
    reason: str
    age: float = 0.0
    ttl: float = 0.0  # seconds until it is stale, negative if it is; for Cache-Status
    refresh: bool = False


class Range(NamedTuple):
    """A part of a body: both ends inclusive, as in Content-Range."""

    start: int
    end: int

    @property
    def length(self) -> int:
        """Return the number of bytes."""
        return self.end - self.start + 1

    @property
    def slice(self) -> slice:
        """Return what to cut out of the body."""
        return slice(self.start, self.end + 1)


class Unsatisfiable(enum.Enum):
    """The answer is 416."""

    UNSATISFIABLE = "unsatisfiable"


UNSATISFIABLE: Final = Unsatisfiable.UNSATISFIABLE
