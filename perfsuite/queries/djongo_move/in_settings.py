"""Finds in the settings of a host, and in what runs it, what the move changes."""

from __future__ import annotations

import django
from django.conf import settings

from perfsuite.queries.djongo_move.findings import Finding

DATABASE_CACHE = "django.core.cache.backends.db.DatabaseCache"


def scan() -> list[Finding]:
    """Return what stands in the way in the settings, and in the versions that run here."""
    found = []
    if django.VERSION < (5, 2):
        found.append(
            Finding(
                "setting",
                "Django",
                f"Django {django.get_version()} runs here; django-mongodb-backend 5.2 is for Django 5.2.",
                "Django>=5.2,<5.3, which needs Python 3.10 or newer.",
            )
        )
    for alias, entry in settings.DATABASES.items():
        if entry.get("ENGINE") != "djongo":
            continue
        host = entry.get("CLIENT", {}).get("host", "mongodb://127.0.0.1:27017")
        found.append(
            Finding(
                "setting",
                f"DATABASES[{alias!r}]",
                "The engine is djongo.",
                f'{{"ENGINE": "django_mongodb_backend", "NAME": "{entry.get("NAME", "")}_new", "HOST": "{_hidden(host)}"}}.',
            )
        )
    for alias, entry in settings.CACHES.items():
        if entry.get("BACKEND") == DATABASE_CACHE:
            found.append(
                Finding(
                    "setting",
                    f"CACHES[{alias!r}]",
                    "A cache in the database is not supported.",
                    "another cache.",
                )
            )
    return found


def _hidden(host: object) -> str:
    """Return the server's address without the name and the password in it."""
    scheme, separator, rest = str(host).rpartition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"
