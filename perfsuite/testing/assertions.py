"""The assertions as methods of a test case of Django's or of unittest's."""

from __future__ import annotations

from perfsuite.testing import blocks


class QueryAssertions:
    """Mix into a test case, before it: ``class PageTests(QueryAssertions, TestCase)``."""

    def query_budget(self, *, max: int | None = None, max_ms: float | None = None) -> blocks.query_budget:  # noqa: A002 - as there
        """Return a block that fails if more statements run in it than the budget has."""
        return blocks.query_budget(max=max, max_ms=max_ms)

    def assert_no_repeats(self, *, times: int = 2) -> blocks.assert_no_repeats:
        """Return a block that fails if statements are repeated in it."""
        return blocks.assert_no_repeats(times=times)

    def assert_tenant_scoped(self, *, always: bool = True) -> blocks.assert_tenant_scoped:
        """Return a block that fails if a statement in it reaches a tenant's table without its tenant."""
        return blocks.assert_tenant_scoped(always=always)
