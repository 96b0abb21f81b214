"""The indexes of the portals. `manage.py setup_indexes --apply` makes them on whichever database the site runs.

Each begins with the tenant, as each query does. What a database cannot have, the plan says: text on SQLite.
"""

from __future__ import annotations

from perfsuite.indexes import Index, register

register(
    "portal.User",
    Index("tenant", "email", unique=True),
    Index("tenant", "role"),
    Index("tenant", "is_active"),
    Index("tenant", "-last_login"),
)
register(
    "portal.Page",
    Index("tenant", "slug", unique=True),
    Index("tenant", "status"),
    Index("title", "keywords", kind="text"),
)
register(
    "portal.Lead",
    Index("tenant", "-created_at"),
    Index("tenant", "status", "-created_at"),
    Index("tenant", "assigned_to"),
)
register("portal.Form", Index("tenant", "slug", unique=True))
