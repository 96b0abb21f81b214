"""Writes the whole content in one transaction, or takes back what it wrote: it is there entirely or not at all.

The same seed gives the same content, with times counted back from now.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import TypeVar

from django.contrib.auth.models import Permission
from django.db import connection, transaction
from django.db.models import Manager, Model, Q
from django.utils import timezone

from sampleproject.portal.models import Form, Lead, Page, Tenant, User
from sampleproject.portal.seeding import library, rows
from sampleproject.portal.seeding.progress import Progress

BATCH = 2_000
DEMO_USERNAMES = ("admin", "editor")

Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True)
class Plan:
    """How much to make."""

    users: int = 200
    leads: int = 50_000
    pages: int | None = None  # None: all that the library documents
    seed: int = 20_240
    now: datetime | None = None  # what all times are counted back from; None: the moment of the build


def counts() -> dict[str, int]:
    """Return how much of each kind is there."""
    return {
        "tenants": Tenant.objects.count(),
        "users": User.objects.count(),
        "pages": Page.objects.count(),
        "forms": Form.objects.count(),
        "leads": Lead.objects.count(),
    }


def clear() -> None:
    """Delete all that `build` made and what visitors added. Of the users without a tenant only the demo's own go."""
    with transaction.atomic():
        Lead.objects.all().delete()
        Page.objects.all().delete()
        User.objects.filter(Q(tenant__isnull=False) | Q(username__in=DEMO_USERNAMES)).delete()
        Tenant.objects.all().delete()


def build(plan: Plan, progress: Progress) -> None:
    """Write the content that `plan` asks for. There must be none yet."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA journal_mode = WAL")  # kept in the file: readers never wait for a writer
    now = plan.now or timezone.now()
    random = Random(plan.seed)
    with progress.stage("Library", len(library.sources())) as advance:
        entries = _spread(library.entries(advance), plan.pages)
    with _all_or_nothing():
        tenants = _saved(rows.tenants())
        forms = _saved(rows.forms(tenants))
        demo_users(tenants[0])
        others = plan.users - len(DEMO_USERNAMES)
        users = _write(progress, "Users", User.objects, rows.users(random, others, tenants, now))
        pages = _write(progress, "Pages", Page.objects, rows.pages(random, entries, tenants, users, now))
        _write(progress, "Leads", Lead.objects, rows.leads(random, plan.leads, pages, forms, users, now))


@contextlib.contextmanager
def _all_or_nothing() -> Iterator[None]:
    """Run the block in a transaction; where the database has none, delete what it wrote when it fails."""
    try:
        with transaction.atomic():
            yield
    except BaseException:
        if not connection.features.supports_transactions:
            clear()
        raise


def demo_users(tenant: Tenant) -> None:
    """Create `admin`, who may do everything, and `editor`, who may read `tenant` in the admin but not the panel."""
    User.objects.create_superuser("admin", "admin@example.com", "admin", first_name="Ada", last_name="Admin")
    editor = User.objects.create_user(
        "editor", "editor@example.com", "editor", first_name="Edsger", last_name="Editor",
        is_staff=True, tenant=tenant, role=User.Role.EDITOR,
    )  # fmt: skip
    readable = ("view_page", "view_form", "view_lead")
    editor.user_permissions.set(
        Permission.objects.filter(content_type__app_label="portal", codename__in=readable)
    )


def _spread(entries: list[library.Entry], limit: int | None) -> list[library.Entry]:
    """Return at most `limit` entries, taken evenly from the whole list."""
    if limit is None or limit >= len(entries):
        return entries
    return [entries[index * len(entries) // limit] for index in range(limit)]


def _saved(items: list[Row]) -> list[Row]:
    for item in items:
        item.save()
    return items


def _write(progress: Progress, label: str, table: Manager[Row], items: list[Row]) -> list[Row]:
    """Save `items` in batches, and return them with their primary keys."""
    with progress.stage(label, len(items)) as advance:
        for start in range(0, len(items), BATCH):
            advance(len(table.bulk_create(items[start : start + BATCH])))
    if items and items[0].pk is None:  # djongo, MySQL and SQLite before 3.35 do not tell the keys of a bulk
        return list(table.order_by("pk"))[-len(items) :]
    return items
