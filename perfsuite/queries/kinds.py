"""What the queries app records."""

from __future__ import annotations

from perfsuite.metrics.kinds import Kind, declare

ALL = declare(Kind("queries", "us", ("alias", "operation"), cap=100)).name
FINGERPRINT = declare(Kind("queries.fingerprint", "us", ("fingerprint", "alias", "route"), cap=500)).name
SLOW = declare(Kind("queries.slow", "us", ("fingerprint", "alias", "route"), cap=500, percentiles=False)).name
FAILED = declare(
    Kind("queries.failed", "us", ("fingerprint", "alias", "route"), cap=500, percentiles=False)
).name
# Documents that MongoDB returned, for each command that returns any.
DOCUMENTS = declare(
    Kind("queries.documents", "count", ("fingerprint", "alias", "route"), cap=500, percentiles=False)
).name
# Rows that a statement returned or changed, where the driver tells.
ROWS = declare(
    Kind("queries.rows", "count", ("fingerprint", "alias", "route"), cap=500, percentiles=False)
).name
# Runs of what is no request, by route: "<command> report", "<task> nightly", "<shell>".
OUTSIDE = declare(Kind("queries.outside", "count", ("route",), cap=200, percentiles=False)).name
CONNECT = declare(Kind("queries.connect", "us", ("alias",), cap=100)).name
TRANSACTION = declare(Kind("queries.transaction", "us", ("alias",), cap=100)).name
# Statements that reached a tenant's table without its tenant, and those on one that the tenant guard could not read.
UNSCOPED = declare(Kind("queries.unscoped", "count", ("table", "route"), cap=300, percentiles=False)).name
UNJUDGED = declare(
    Kind("queries.unjudged", "count", ("fingerprint", "alias", "route"), cap=300, percentiles=False)
).name
POOL_LIMIT = declare(Kind("pools.limit", "count", ("pool",), cap=50, percentiles=False)).name
POOL_OPEN = declare(Kind("pools.open", "count", ("pool",), cap=50, percentiles=False)).name
POOL_IN_USE = declare(Kind("pools.in_use", "count", ("pool",), cap=50, percentiles=False)).name
POOL_WAITING = declare(Kind("pools.waiting", "count", ("pool",), cap=50, percentiles=False)).name
POOL_WAIT = declare(Kind("pools.wait", "us", ("pool",), cap=50)).name
POOL_OPENED = declare(Kind("pools.opened", "count", ("pool",), cap=50, percentiles=False)).name
POOL_CLOSED = declare(Kind("pools.closed", "count", ("pool",), cap=50, percentiles=False)).name
POOL_FAILED = declare(Kind("pools.failed", "count", ("pool", "reason"), cap=100, percentiles=False)).name
# What the database would do for a slow statement; its value is how often that was asked, the plan is its exemplar.
PLAN = declare(Kind("queries.plan", "count", ("fingerprint", "alias"), cap=500, percentiles=False)).name
