"""The pages with their routes, the same below the admin and below the host's own URL."""

from __future__ import annotations

from perfsuite.panel.pages.answers import GET, POST, Page, told
from perfsuite.panel.pages.findings import change, findings
from perfsuite.panel.pages.indexes import indexes
from perfsuite.panel.pages.queries import queries
from perfsuite.panel.pages.query import explain, query

# Name, route, page, methods.
PAGES: tuple[tuple[str, str, Page, tuple[str, ...]], ...] = (
    ("queries", "queries/", told(queries, "queries", "Queries"), GET),
    ("query", "queries/<str:name>/", told(query, "queries", "Query"), GET),
    ("explain", "queries/<str:name>/explain/", told(explain, "queries", "Query"), POST),
    ("findings", "findings/", told(findings, "findings", "Findings"), GET),
    ("indexes", "indexes/", told(indexes, "indexes", "Indexes"), GET),
    ("finding", "findings/<str:id>/state/", told(change, "findings", "Findings"), POST),
)
