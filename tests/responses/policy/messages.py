"""Requests and responses for the policy's tests, and the instant at which they happen."""

from __future__ import annotations

from perfsuite.responses import policy
from perfsuite.responses.policy.fields import http_date

NOW = 1_800_000_000.0
URI = "https://example.com/page"


def http(offset_s: float) -> str:
    """Return the date so many seconds after NOW."""
    return http_date(NOW + offset_s)


def _named(fields: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in fields.items()}


def request(method: str = "GET", uri: str = URI, **fields: str) -> policy.Request:
    return policy.Request(method, uri, _named(fields))


def response(status: int = 200, **fields: str) -> policy.Response:
    return policy.Response(status, _named(fields))


def kept(
    asked: policy.Request | None = None,
    settings: policy.Policy = policy.DEFAULT,
    status: int = 200,
    **fields: str,
) -> policy.Stored:
    """Return what is stored at NOW of a response with the fields."""
    return policy.keep(asked or request(), response(status, **fields), NOW, NOW, settings)


def decided(
    stored: policy.Stored | None,
    after_s: float = 0.0,
    settings: policy.Policy = policy.DEFAULT,
    *,
    method: str = "GET",
    failed: bool = False,
    **fields: str,
) -> tuple[str, str]:
    """Return what is done with a request so many seconds after NOW, and why."""
    decision = policy.decide(request(method, **fields), stored, NOW + after_s, settings, failed=failed)
    return decision.action.value, decision.reason
