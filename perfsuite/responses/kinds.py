"""What the responses app records."""

from __future__ import annotations

from perfsuite.metrics.kinds import Kind, declare

# Bodies that were sent compressed: what they were and what they became, and the time of compressing those that were not stored
# compressed already.
BYTES_BEFORE = declare(Kind("responses.bytes_before", "bytes", ("coding",), cap=10, percentiles=False)).name
BYTES_AFTER = declare(Kind("responses.bytes_after", "bytes", ("coding",), cap=10, percentiles=False)).name
COMPRESSION = declare(Kind("responses.compression", "us", ("coding",), cap=10)).name
