"""Raises in django-mongodb-backend, whose statements no execute wrapper sees, and whose listeners' exceptions pymongo swallows.

The one patch: ``DatabaseWrapper.get_collection``, of which the backend's compilers, its raw queries and the host's own code have
their collections. While it is on, they get a subclass of pymongo's that looks at each filter before it is sent. Idempotent, and
taken back by ``uninstall``; another's patch over it stays, and this one then does nothing.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

from django.conf import settings

_ENGINE = "django_mongodb_backend"


class _Patch:
    is_on = False
    original: Any = None
    mine: Any = None


def install() -> None:
    """Have collections of django-mongodb-backend guarded, if a database is reached through it."""
    if any(entry.get("ENGINE") == _ENGINE for entry in settings.DATABASES.values()):
        _patch()


def _patch() -> None:
    DatabaseWrapper = import_module(f"{_ENGINE}.base").DatabaseWrapper  # noqa: N806 - a class

    from perfsuite.queries.tenant_guard.collection import guarded

    _Patch.is_on = True
    if _Patch.mine is not None:
        return
    original = _Patch.original = DatabaseWrapper.get_collection

    def get_collection(self: Any, name: str, **kwargs: Any) -> Any:
        collection = original(self, name, **kwargs)
        return guarded(collection, self.alias) if _Patch.is_on else collection

    _Patch.mine = DatabaseWrapper.get_collection = get_collection


def uninstall() -> None:
    """Take the patch back."""
    _Patch.is_on = False
    base = sys.modules.get(f"{_ENGINE}.base")
    if base is not None and _Patch.mine is not None and base.DatabaseWrapper.get_collection is _Patch.mine:
        base.DatabaseWrapper.get_collection = _Patch.original
        _Patch.mine = _Patch.original = None
