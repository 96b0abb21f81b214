"""What tells rows and parameters from others, without holding them and without reading a row's attributes."""

from __future__ import annotations

from typing import Any

_NOBODY = object()


def owner_of(queryset: Any) -> Any:
    """Return the row whose manager a queryset comes from, or None."""
    return (getattr(queryset, "_hints", None) or {}).get("instance")


def key_of_row(instance: Any) -> object:
    """Return what tells a row from others. Reading an attribute might run a statement, or be noted by loading.py."""
    if instance is None:
        return _NOBODY
    values = object.__getattribute__(instance, "__dict__")
    key = values.get(instance._meta.pk.attname)
    return id(instance) if key is None else (type(instance), key)


def hashes_of(params: tuple[Any, ...]) -> tuple[int, ...]:
    """Return the hashes of parameters; what has none counts as another one each time."""
    try:
        return tuple(map(hash, params))
    except TypeError:
        return tuple([_hash_of(each) for each in params])


def _hash_of(value: Any) -> int:
    try:
        return hash(value)
    except TypeError:
        return id(value)
