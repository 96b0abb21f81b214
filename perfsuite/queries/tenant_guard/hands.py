"""Whether a statement is Django's own work on a row that the host has in hand already.

``lead.save()`` runs ``UPDATE ... WHERE id = ?``, ``lead.page`` and ``lead.notes.all()`` find rows by a key alone; the text cannot
be told from ``Lead.objects.filter(pk=request.GET["id"])``, which is the leak that the guard is there for. Django's frames tell:
they hold the row. How that row was found has been judged before, so it is enough that it belongs to the tenant in hand. The walk
ends at the first line of the host's own code, so that what a receiver of a save does is not taken for the save. Costs a few
microseconds, and only statements that look unscoped pay.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Callable, Iterable, Mapping
from types import FrameType
from typing import Any

import django
from django.db.models import Model

import perfsuite
from perfsuite.tenancy.current import Tenant

MAX_FRAMES = 200
MAX_FILES = 5_000

# What a frame of Django's says: yes or no, or None for one that says nothing.
Says = Callable[[str, Mapping[str, Any], "Rows"], "bool | None"]

_SAVES = frozenset(["_save_table", "_do_update", "refresh_from_db"])


class Rows:
    """Tells which instances are rows of the tenant in hand."""

    def __init__(self, attributes: Mapping[type[Model], str], tenant: Tenant | None) -> None:
        self._attributes = attributes
        self._tenant = tenant

    def are_ours(self, instance: object) -> bool:
        """Tell whether an instance is of a declared model, came from the database, and is not another tenant's."""
        meta = getattr(instance, "_meta", None)
        attribute = self._attributes.get(meta.concrete_model) if meta is not None else None
        # An instance that was made with a key of somebody's choice overwrites the row of that key when it is saved.
        if attribute is None or instance._state.adding:  # type: ignore[attr-defined]
            return False
        value = vars(instance).get(attribute)  # a deferred field is not there, and not fetched
        return value is None or self._tenant is None or not _differs(value, self._tenant)


def _differs(value: object, tenant: Tenant) -> bool:
    """Tell whether a column's value is surely another tenant's; a resolver may name tenants by something else than their key."""
    if type(value) is type(tenant):
        return value != tenant
    # A UUID or an ObjectId beside its text.
    return not isinstance(value, (int, str)) and str(value) != tenant and len(str(value)) == len(str(tenant))


def is_in_hand(rows: Rows) -> bool:
    """Tell whether the caller's statement is about a row that the host has in hand."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - what it is there for
    for _ in range(MAX_FRAMES):
        if frame is None:
            return False
        filename = frame.f_code.co_filename
        says = _says.get(filename)
        if says is None:
            says = _learn(filename)
        if says is _host:
            return False
        if says is not _nothing and says(frame.f_code.co_name, frame.f_locals, rows):
            return True
        frame = frame.f_back
    return False


def _nothing(name: str, values: Mapping[str, Any], rows: Rows) -> bool:
    return False


def _host(name: str, values: Mapping[str, Any], rows: Rows) -> bool:
    return False


def _of_a_model(name: str, values: Mapping[str, Any], rows: Rows) -> bool:
    """Saving, and reading again what was loaded. A look for duplicates has to see the rows of all tenants."""
    return name == "_perform_unique_checks" or (name in _SAVES and rows.are_ours(values.get("self")))


def _of_a_validation(name: str, values: Mapping[str, Any], rows: Rows) -> bool:
    """Whether the row exists that a foreign key names, and whether a constraint holds; both only tell yes or no."""
    return name == "validate"


def _of_a_relation(name: str, values: Mapping[str, Any], rows: Rows) -> bool:
    instance = values.get("instance")
    if instance is None:
        instance = getattr(values.get("self"), "instance", None)
    return instance is not None and rows.are_ours(instance)


def _of_a_queryset(name: str, values: Mapping[str, Any], rows: Rows) -> bool:
    """A queryset that began at an instance: Django hints at that for database routers, in prefetches too."""
    if name == "bulk_update":
        return _all_ours(values.get("objs"), rows)
    hints = getattr(values.get("self"), "_hints", None) or {}
    return rows.are_ours(hints.get("instance"))


def _of_a_deletion(name: str, values: Mapping[str, Any], rows: Rows) -> bool:
    """Deleting rows that were loaded, and what depends on them. What is deleted without being loaded is not among ``data``."""
    data = getattr(values.get("self"), "data", None) or {}
    return any(_all_ours(instances, rows) for instances in list(data.values()))


def _all_ours(instances: object, rows: Rows) -> bool:
    return isinstance(instances, Iterable) and bool(instances) and all(map(rows.are_ours, instances))


_DJANGO = os.path.dirname(django.__file__) + os.sep
_OF_DJANGO: dict[str, Says] = {
    "db/models/base.py": _of_a_model,
    "db/models/constraints.py": _of_a_validation,
    "db/models/deletion.py": _of_a_deletion,
    "db/models/fields/related.py": _of_a_validation,
    "db/models/fields/related_descriptors.py": _of_a_relation,
    "db/models/query.py": _of_a_queryset,
}
_NOT_THE_HOST = (
    os.path.dirname(perfsuite.__file__) + os.sep,
    *{os.path.realpath(sysconfig.get_path(name)) + os.sep for name in ("stdlib", "platstdlib")},
    *{sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib")},
    "<",
)
_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
_says: dict[str, Says] = {}


def _learn(filename: str) -> Says:
    if len(_says) >= MAX_FILES:
        _says.clear()
    _says[filename] = says = _says_of(filename)
    return says


def _says_of(filename: str) -> Says:
    if filename.startswith(_DJANGO):
        return _OF_DJANGO.get(filename[len(_DJANGO) :].replace(os.sep, "/"), _nothing)
    if filename.startswith(_NOT_THE_HOST) or any(folder in filename for folder in _INSTALLED):
        return _nothing
    return _host
