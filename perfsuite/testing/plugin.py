"""The pytest plugin: the three assertions as fixtures. Costs a run that asks for none of them nothing, and imports no Django."""

from __future__ import annotations

import pytest

from perfsuite.testing import blocks


@pytest.fixture
def query_budget() -> type[blocks.query_budget]:
    """Fail if more statements run than a budget has: ``with query_budget(max=3, max_ms=50):``."""
    return blocks.query_budget


@pytest.fixture
def assert_no_repeats() -> type[blocks.assert_no_repeats]:
    """Fail if statements are repeated row by row, or with the same parameters: ``with assert_no_repeats():``."""
    return blocks.assert_no_repeats


@pytest.fixture
def assert_tenant_scoped() -> type[blocks.assert_tenant_scoped]:
    """Fail if a statement reaches a tenant's table without its tenant: ``with assert_tenant_scoped():``."""
    return blocks.assert_tenant_scoped
