"""What the queries app records."""

from __future__ import annotations

from perfsuite.metrics.kinds import Kind, declare

ALL = declare(Kind("queries", "us", ("alias", "operation"), cap=100)).name
FINGERPRINT = declare(Kind("queries.fingerprint", "us", ("fingerprint", "alias", "route"), cap=500)).name
SLOW = declare(Kind("queries.slow", "us", ("fingerprint", "alias", "route"), cap=500, percentiles=False)).name
FAILED = declare(
    Kind("queries.failed", "us", ("fingerprint", "alias", "route"), cap=500, percentiles=False)
).name
