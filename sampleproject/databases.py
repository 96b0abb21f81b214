"""The databases that the site runs on. `DB` names the one, and the variables below where its server is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from perfsuite.databases import with_pool

NAMES = ("sqlite", "postgresql", "djongo", "mongodb")


def entry(name: str, var: Path) -> dict[str, Any]:
    """Return the entry of `DATABASES` for the database called `name`, pooled as `DB_POOL_SIZE` and its kin say.

    SQLite's file lies in the folder `var`.
    """
    return with_pool(_entry(name, var))


def _entry(name: str, var: Path) -> dict[str, Any]:
    get = os.environ.get
    if name == "sqlite":
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": str(var / "db.sqlite3"),
            "OPTIONS": {"timeout": 20},
        }
    if name == "postgresql":
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": get("PGDATABASE", "sampleproject"),
            "USER": get("PGUSER", ""),
            "PASSWORD": get("PGPASSWORD", ""),
            "HOST": get("PGHOST", ""),
            "PORT": get("PGPORT", ""),
        }
    url = get("MONGODB_URL") or "mongodb://127.0.0.1:27017/"
    if name == "djongo":
        return {
            "ENGINE": "djongo",
            "NAME": get("MONGODB_NAME") or "sampleproject_djongo",
            "CLIENT": {"host": url},
        }
    if name == "mongodb":
        return {
            "ENGINE": "django_mongodb_backend",
            "NAME": get("MONGODB_NAME") or "sampleproject",
            "HOST": url,
        }
    raise ImproperlyConfigured(f"DB is {name!r}; set it to one of {', '.join(NAMES)}.")
