"""Plans on demand: what the database would do for a statement, as one tree for SQLite, PostgreSQL and MongoDB.

Only what reads is explained, one statement at a time, on a connection of its own.
"""

from __future__ import annotations

from perfsuite.queries.explain.errors import NotExplainable
from perfsuite.queries.explain.plans import Fact, Node, Plan

__all__ = ["Fact", "Node", "NotExplainable", "Plan"]
