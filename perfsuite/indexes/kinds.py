"""What the indexes app records: what the leader collects of each database, now and then.

Rows and bytes are what there was at that time, the others what has been added since the collection before.
"""

from __future__ import annotations

from perfsuite.metrics.kinds import Kind, declare

# Tables of all databases together; the largest of each, so that none folds into <other>, which would mean nothing here.
MAX_TABLES = 100
MAX_INDEXES = 300

ROWS = declare(Kind("indexes.rows", "count", ("alias", "table"), cap=MAX_TABLES, percentiles=False)).name
DATA = declare(Kind("indexes.data", "bytes", ("alias", "table"), cap=MAX_TABLES, percentiles=False)).name
INDEX = declare(Kind("indexes.index", "bytes", ("alias", "table"), cap=MAX_TABLES, percentiles=False)).name
SCANS = declare(Kind("indexes.scans", "count", ("alias", "table"), cap=MAX_TABLES, percentiles=False)).name
READS = declare(Kind("indexes.reads", "count", ("alias", "table"), cap=MAX_TABLES, percentiles=False)).name
WRITES = declare(Kind("indexes.writes", "count", ("alias", "table"), cap=MAX_TABLES, percentiles=False)).name
USES = declare(
    Kind("indexes.uses", "count", ("alias", "table", "name"), cap=MAX_INDEXES, percentiles=False)
).name
# Not counted: under this name the store keeps what was collected last, in parts.
COLLECTED = declare(Kind("indexes.collected", "count", ("alias", "part"), cap=1, percentiles=False)).name
