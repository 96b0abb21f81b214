"""Keeps a host's queries in check in its tests: budgets, no repeats, nothing without its tenant.

    from perfsuite.testing import QueryAssertions, assert_no_repeats, assert_tenant_scoped, query_budget

With pytest, the fixtures of the same names are there as soon as the distribution is installed (``plugin``). The surprising rule:
importing this package imports no Django; a block does so when it begins.
"""

from __future__ import annotations

from perfsuite.testing.assertions import QueryAssertions
from perfsuite.testing.blocks import assert_no_repeats, assert_tenant_scoped, query_budget

__all__ = ["QueryAssertions", "assert_no_repeats", "assert_tenant_scoped", "query_budget"]
