"""How long the sample site's leads of one tenant and status take, newest first, and which plan the database has for them.
djongo cannot be asked for its plan.

``DB=sqlite python benchmarks/leads_query.py`` on a seeded site; then ``manage.py setup_indexes --apply``, and again.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sampleproject.settings")

import django

django.setup()

from django.db import connection  # noqa: E402 - Django is set up first

from sampleproject.portal.models import Lead, Tenant  # noqa: E402 - Django is set up first

TIMES = 40


def main() -> None:
    """Print the median and the plan."""
    tenant = Tenant.objects.get(slug="harbor")
    leads = Lead.objects.filter(tenant=tenant, status="new").order_by("-created_at")
    took = []
    for _ in range(TIMES):
        started = time.perf_counter()
        found = list(leads[:20])
        took.append(time.perf_counter() - started)
    print(
        f"{Lead.objects.count():,} leads, {len(found)} asked for: median {statistics.median(took) * 1000:.2f} ms"
    )
    if connection.vendor != "djongo":
        print(leads[:20].explain())


if __name__ == "__main__":
    main()
