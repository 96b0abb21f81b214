"""What the tests of the pages share: their addresses, users with more permissions, findings and statements in the store."""

from __future__ import annotations

from django.contrib.auth.models import Permission, User
from django.test import Client

import perfsuite.metrics
from perfsuite.metrics.exemplars import remember
from perfsuite.metrics.findings import FindingRow, findings
from perfsuite.metrics.sightings import Sighting, sight
from perfsuite.queries.short_id import short_id
from tests.panel.conftest import client_of, make_user, record

PLACES = ("/performance/", "/admin/perfsuite_panel/dashboard/")
HOSTILE = "<script>alert(1)</script>"
ESCAPED = "&lt;script&gt;alert(1)&lt;/script&gt;"
SLOW_SQL, FAST_SQL = f'SELECT "t"."a" FROM "t" WHERE "t"."b" = {HOSTILE}', 'UPDATE "t" SET "a" = ?'


def client_with(*codenames: str, name: str = "") -> Client:
    """Return a client of staff with these permissions of the panel, no superuser."""
    user: User = make_user(name or "-".join(codenames) or "none", staff=True)
    user.user_permissions.set(
        Permission.objects.filter(content_type__app_label="perfsuite_panel", codename__in=codenames)
    )
    return client_of(user)


def record_statements() -> str:
    """Measure two statements and remember an instance of the first; return the first one's short id."""
    record("queries.fingerprint", (SLOW_SQL, "default", "/slow/"), *[20_000.0] * 3)
    record("queries.fingerprint", (SLOW_SQL, "default", "/other/"), 900_000.0)
    record("queries.slow", (SLOW_SQL, "default", "/other/"), 900_000.0)
    record("queries.fingerprint", (FAST_SQL, "default", "/fast/"), *[100.0] * 50)
    record("queries.failed", (FAST_SQL, "default", "/fast/"), 100.0)
    record("queries.rows", (SLOW_SQL, "default", "/slow/"), 10.0, 20.0)
    data = {"sql": SLOW_SQL, "params": None, "request_id": HOSTILE, "site": f"shop/views.py:4 in {HOSTILE}"}
    remember("queries.fingerprint", (SLOW_SQL, "default", "/other/"), 900_000.0, data)
    assert perfsuite.metrics.flush()
    return short_id(SLOW_SQL)


def sighted(kind: str = "n_plus_one", subject: str = SLOW_SQL, **evidence: object) -> FindingRow:
    """Sight something once and return the finding that it makes."""
    said = {"sentence": f"Write select_related. {HOSTILE}", "about": "shop.Book.author", "count": 12}
    site = f"shop/views.py:42 in {HOSTILE}"
    sight(Sighting(kind, subject, "default", "/books/", site, 5_000.0, evidence or said))
    assert perfsuite.metrics.flush()
    (found,) = findings(kind=kind)
    return found
