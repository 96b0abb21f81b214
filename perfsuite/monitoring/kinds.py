"""What the monitoring app records."""

from __future__ import annotations

from perfsuite.metrics import runs
from perfsuite.metrics.kinds import Kind, declare

STATUS = declare(Kind("requests.status", "us", ("status",), cap=10)).name
ROUTE = declare(Kind("requests.route", "us", ("route", "method", "status"), cap=300)).name
QUERIES = declare(Kind("requests.queries", "count", ("route",), cap=300, percentiles=False)).name
DB = declare(Kind("requests.db", "us", ("route",), cap=300, percentiles=False)).name
# The parts of a request's time: "sql", "mongodb", "cache", and "python", which is the rest.
TIME = declare(Kind("requests.time", "us", ("route", "part"), cap=1_200, percentiles=False)).name
BYTES_IN = declare(Kind("requests.bytes_in", "bytes", ("route",), cap=300, percentiles=False)).name
BYTES_OUT = declare(Kind("requests.bytes_out", "bytes", ("route",), cap=300, percentiles=False)).name
OPERATIONS = declare(Kind("operations", "us", ("name", "outcome"), cap=200)).name

# A finding on a route resolves when the route was requested often enough without it.
runs.register_kind(ROUTE)
