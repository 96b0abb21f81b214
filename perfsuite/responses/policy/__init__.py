"""What HTTP says about storing and reusing responses, as functions: RFC 9111, 9110, 5861, 9211 and 9213.

It imports no Django, does no I/O, keeps no state and raises nothing for any header field. A field that cannot be read makes
a response stale, or is ignored where it only asks for less. On a hit the caller needs `decide`, then `precondition`
and `byte_range` where the request has such fields.
"""

from __future__ import annotations

from perfsuite.responses.policy.cache_status import cache_status
from perfsuite.responses.policy.conditional import not_modified_headers, precondition
from perfsuite.responses.policy.deciding import decide
from perfsuite.responses.policy.freshness import current_age, freshness_lifetime, served_headers, terms
from perfsuite.responses.policy.invalidation import invalidated_uris
from perfsuite.responses.policy.model import (
    DEFAULT,
    HEURISTICALLY_CACHEABLE,
    UNDERSTOOD_STATUSES,
    UNSATISFIABLE,
    Action,
    Decision,
    Headers,
    Policy,
    Range,
    Request,
    Response,
    Stored,
    Terms,
    Unsatisfiable,
    Varying,
    Verdict,
)
from perfsuite.responses.policy.ranges import byte_range, partial_headers, unsatisfiable_headers
from perfsuite.responses.policy.storing import REASONS, keep, may_store, stored_headers
from perfsuite.responses.policy.validation import (
    freshen,
    freshen_by_head,
    validation_request,
    validators,
    whole_request,
)
from perfsuite.responses.policy.varying import matches, select, vary_names, varying, varying_by

__all__ = [
    "DEFAULT",
    "HEURISTICALLY_CACHEABLE",
    "REASONS",
    "UNDERSTOOD_STATUSES",
    "UNSATISFIABLE",
    "Action",
    "Decision",
    "Headers",
    "Policy",
    "Range",
    "Request",
    "Response",
    "Stored",
    "Terms",
    "Unsatisfiable",
    "Varying",
    "Verdict",
    "byte_range",
    "cache_status",
    "current_age",
    "decide",
    "freshen",
    "freshen_by_head",
    "freshness_lifetime",
    "invalidated_uris",
    "keep",
    "matches",
    "may_store",
    "not_modified_headers",
    "partial_headers",
    "precondition",
    "select",
    "served_headers",
    "stored_headers",
    "terms",
    "unsatisfiable_headers",
    "validation_request",
    "validators",
    "vary_names",
    "varying",
    "varying_by",
    "whole_request",
]
