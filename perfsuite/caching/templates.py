"""Templates of tags and keys, such as ``"tenant:{tenant_id}"``, and what fills their fields: arguments or attributes.

A field may be a path, ``{page.tenant_id}``. What is a model instance is filled in as its primary key.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from string import Formatter
from typing import Any

from django.core.exceptions import ImproperlyConfigured

MISSING: Any = object()
Lookup = Callable[[str], Any]


@lru_cache(maxsize=1024)
def parts(template: str) -> tuple[tuple[str, str | None], ...]:
    """Return the template as pairs of text and the field after it; ImproperlyConfigured for what is no template."""
    try:
        found = list(Formatter().parse(template))
    except ValueError as exc:
        raise ImproperlyConfigured(f"{template!r} is no template: {exc}.") from exc
    for _, field, form, conversion in found:
        if field is None:
            continue
        if form or conversion or not all(name.isidentifier() for name in field.split(".")):
            raise ImproperlyConfigured(
                f"{template!r} has the field {field!r}; write a name or a path such as {{page.tenant_id}}."
            )
    return tuple((text, field) for text, field, _, _ in found)


def fields_of(template: str) -> tuple[str, ...]:
    """Return the paths of a template's fields, each once."""
    return tuple(dict.fromkeys(field for _, field in parts(template) if field is not None))


def fill(template: str, lookup: Lookup) -> str:
    """Return the template with ``lookup(path)`` in the place of each field; ``MISSING`` from it raises KeyError(path)."""
    made = []
    for text, field in parts(template):
        made.append(text)
        if field is not None:
            value = lookup(field)
            if value is MISSING:
                raise KeyError(field)
            made.append(str(getattr(value, "pk", value)))
    return "".join(made)


def from_arguments(arguments: dict[str, Any]) -> Lookup:
    """Return a lookup in a call's arguments and, for a path, in their attributes."""

    def lookup(path: str) -> Any:
        name, *rest = path.split(".")
        value = arguments.get(name, MISSING)
        for attribute in rest:
            value = getattr(value, attribute, MISSING)
        return value

    return lookup
