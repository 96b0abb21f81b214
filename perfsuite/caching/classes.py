"""Data classes: kinds of cached data by name, with the tags that their entries carry and the tier that they live in.

Tags are or-ed: an entry is dropped when any one of its tags is invalidated. So an entry of a class with several tags carries one
more, all of them joined by "/", and that one is what a change of the data invalidates: ``tenant:1/pages`` drops the pages of
tenant 1 and of nobody else, while ``pages`` drops those of all tenants and ``tenant:1`` all that tenant 1 has.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from perfsuite.caching import templates
from perfsuite.caching.conf import CachingSettings
from perfsuite.caching.options import COLD, HOT, NAMES, WARM
from perfsuite.caching.templates import MISSING, Lookup

JOINED_BY = "/"


@dataclass(frozen=True)
class DataClass:
    """A kind of cached data: the templates of its tags, and its home tier."""

    name: str
    tags: tuple[str, ...]
    tier: str | None = None

    @property
    def specific(self) -> str:
        """The template of the one tag that only entries of this class and these fields carry."""
        return JOINED_BY.join(self.tags)

    @property
    def wide(self) -> tuple[str, ...]:
        """The tags without fields: what there is to invalidate where no field is known."""
        return tuple(tag for tag in self.tags if not templates.fields_of(tag))

    def filled(self, lookup: Lookup) -> tuple[str, ...]:
        """Return the tags of an entry, the specific one last; ImproperlyConfigured names a field that is not there."""
        return tuple(dict.fromkeys(self._filled(tag, lookup) for tag in (*self.tags, self.specific)))

    def _filled(self, template: str, lookup: Lookup) -> str:
        def known(path: str) -> Any:
            value = lookup(path)
            if value is None or value is MISSING:
                is_so = "is None" if value is None else "is missing"
                raise ImproperlyConfigured(
                    f"The field {path!r} of the data class {self.name!r} {is_so}; "
                    f"write it, such as {path.rpartition('.')[2]}=1."
                )
            return value

        return templates.fill(template, known)


BUILT_IN = {
    each.name: each
    for each in (
        DataClass("tenant_data", ("tenant:{tenant_id}",), WARM),
        DataClass("user_data", ("tenant:{tenant_id}", "user:{user_id}"), HOT),
        DataClass("page_data", ("tenant:{tenant_id}", "pages"), WARM),
        DataClass("form_data", ("tenant:{tenant_id}", "forms"), WARM),
        DataClass("lead_data", ("tenant:{tenant_id}", "leads"), WARM),
        DataClass("template_data", ("templates",), COLD),
    )
}


def data_class(name: str, **fields: Any) -> dict[str, Any]:
    """Return what to give to ``set`` and ``get_or_set`` for an entry of a data class: its tags and its tier.

    ``cache.set(key, value, 60, **data_class("page_data", tenant_id=1))``
    """
    found = named(name)
    return {"tags": _tags(found, fields), "tier": found.tier}


def tags_for(name: str, **fields: Any) -> tuple[str, ...]:
    """Return the tags of an entry of a data class. The last one is the most specific: to invalidate it drops just these."""
    return _tags(named(name), fields)


def _tags(found: DataClass, fields: dict[str, Any]) -> tuple[str, ...]:
    return found.filled(templates.from_arguments(fields))


def named(name: str) -> DataClass:
    """Return a data class; ImproperlyConfigured for an unknown name, with the one that may be meant."""
    given = CachingSettings.get().data_classes.get(name)
    if given is not None:
        return read(name, given)
    try:
        return BUILT_IN[name]
    except KeyError:
        raise ImproperlyConfigured(f"There is no data class {name!r}. {meant(name)}") from None


def names() -> list[str]:
    """Return the names of all data classes."""
    return sorted({*BUILT_IN, *map(str, CachingSettings.get().data_classes)})


def meant(name: str) -> str:
    """Return a sentence with the data class that may be meant."""
    known = names()
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"Did you mean {close[0]!r}?" if close else f"Known are: {', '.join(known)}."


def read(name: str, given: Any) -> DataClass:
    """Return the data class that an entry of ``DATA_CLASSES`` says; ImproperlyConfigured for one that cannot be meant."""
    where = f"PERFSUITE['CACHING']['DATA_CLASSES'][{name!r}]"
    if not isinstance(given, Mapping) or set(given) - {"tags", "tier"} or "tags" not in given:
        raise ImproperlyConfigured(
            f"{where} is {given!r}; write a dict such as {{'tags': ['tenant:{{tenant_id}}', 'pages'], 'tier': 'warm'}}."
        )
    tags, tier = given["tags"], given.get("tier")
    if (
        not isinstance(tags, (list, tuple))
        or not tags
        or not all(isinstance(tag, str) and tag for tag in tags)
    ):
        raise ImproperlyConfigured(
            f"{where}['tags'] is {tags!r}; write a list of strings, such as ['pages']."
        )
    if tier is not None and tier not in NAMES:
        raise ImproperlyConfigured(f"{where}['tier'] is {tier!r}; write one of {', '.join(NAMES)}.")
    for tag in tags:
        templates.parts(tag)
    return DataClass(name, tuple(tags), tier)


def problems() -> Iterator[str]:
    """Yield what is wrong with ``DATA_CLASSES``, a sentence each."""
    for name, given in CachingSettings.get().data_classes.items():
        try:
            read(str(name), given)
        except ImproperlyConfigured as exc:
            yield str(exc)
