"""The indexes that the site declares are made, and its slowest pages use them."""

from __future__ import annotations

import pytest

from tests.sampleproject.conftest import Site

PLAN = """
from django.db import connection
tenant = Tenant.objects.get(slug="harbor")
answer = Lead.objects.filter(tenant=tenant, status="new").order_by("-created_at")[:20].explain()
"""


@pytest.fixture
def indexed(own_site: Site) -> Site:
    """Return a site of the test's own, once it was set up."""
    own_site.manage("setup_indexes", "--apply")
    return own_site


def test_all_that_sqlite_has_is_made_and_nothing_the_second_time(indexed: Site) -> None:
    assert indexed.manage("check_indexes").stderr == "default: 10 keep, 1 unsupported.\n"
    assert "created" not in indexed.manage("setup_indexes", "--apply").stdout.split()


def test_the_inbox_of_a_status_is_read_in_the_order_of_an_index(indexed: Site) -> None:
    plan = indexed.run(PLAN)
    assert "portal_lead_tenant_id_status_created_at_desc_idx (tenant_id=? AND status=?)" in plan
    assert "TEMP B-TREE" not in plan  # what SQLite sorts in
