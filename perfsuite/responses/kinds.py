"""What the response cache records."""

from __future__ import annotations

from perfsuite.metrics.kinds import Kind, declare

# How requests were answered: hit, stale, collapsed (another request's answer), miss, bypassed; and why.
CACHE = declare(Kind("responses.cache", "count", ("outcome", "reason"), cap=100, percentiles=False)).name
# The time of the views that ran because nothing was there.
MISSED = declare(Kind("responses.missed", "us", ("route",), cap=300, percentiles=False)).name
