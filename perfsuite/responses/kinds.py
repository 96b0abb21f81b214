"""What the responses app records."""

from __future__ import annotations

from perfsuite.metrics.kinds import Kind, declare

# How requests were answered: hit, stale, collapsed (another request's answer), miss, bypassed; and why.
CACHE = declare(Kind("responses.cache", "count", ("outcome", "reason"), cap=100, percentiles=False)).name
# The time of the views that ran because nothing was there.
MISSED = declare(Kind("responses.missed", "us", ("route",), cap=300, percentiles=False)).name
# Bodies that were sent compressed: what they were and what they became, and the time of compressing those that were not stored
# compressed already.
BYTES_BEFORE = declare(Kind("responses.bytes_before", "bytes", ("coding",), cap=10, percentiles=False)).name
BYTES_AFTER = declare(Kind("responses.bytes_after", "bytes", ("coding",), cap=10, percentiles=False)).name
COMPRESSION = declare(Kind("responses.compression", "us", ("coding",), cap=10)).name
