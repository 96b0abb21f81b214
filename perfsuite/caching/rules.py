"""``PERFSUITE["CACHING"]["INVALIDATE"]`` as it is meant: which tags a change of which model makes outdated.

A rule's fields are filled from what an instance has in memory. What is not loaded is never fetched: then the tags of a data class
that have no field go instead, which drops more than it must.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured

from perfsuite.caching import classes, templates
from perfsuite.caching.conf import CachingSettings
from perfsuite.caching.templates import MISSING


@dataclass(frozen=True)
class Target:
    """One tag to invalidate: its template, and the tags to take instead where a field of it is not known."""

    template: str
    wide: tuple[str, ...] = ()
    skips_none: bool = False

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths of the template's fields."""
        return templates.fields_of(self.template)


@dataclass(frozen=True)
class Rule:
    """What a change of a model's rows invalidates. ``remembered`` are the fields whose earlier values matter, by attribute."""

    label: str
    targets: tuple[Target, ...]
    remembered: tuple[str, ...]

    def tags(self, lookup: templates.Lookup) -> tuple[dict[str, None], list[Target]]:
        """Return the tags with the fields filled in, and the targets of which a field is not known and nothing stands in."""
        found: dict[str, None] = {}
        unknown: list[Target] = []
        for target in self.targets:
            try:
                if target.skips_none and any(lookup(path) is None for path in target.paths):
                    continue  # no entry of a data class is stored without its fields
                found[templates.fill(target.template, lookup)] = None
            except KeyError:
                found.update(dict.fromkeys(target.wide))
                if not target.wide:
                    unknown.append(target)
        return found, unknown


def of_instance(instance: Any, before: dict[str, Any] | None = None) -> templates.Lookup:
    """Return a lookup in what a model instance has in memory, or had ``before``; it never queries."""

    def lookup(path: str) -> Any:
        name, *rest = path.split(".")
        if not rest:
            return _loaded(instance, name, before)
        field = column(type(instance), name)
        if field is None or not field.is_relation:
            return MISSING
        if rest in (["pk"], [field.target_field.name], [field.target_field.attname]):
            return _loaded(instance, field.attname, before)
        if before is not None and before.get(field.attname, MISSING) != instance.__dict__.get(field.attname):
            return MISSING  # of the object that was there before, only the key is known
        related = instance._state.fields_cache.get(field.name, MISSING)
        if related is None or related is MISSING:
            return related
        return of_instance(related)(".".join(rest))

    return lookup


def _loaded(instance: Any, name: str, before: dict[str, Any] | None) -> Any:
    field = column(type(instance), name)
    attname = name if field is None else field.attname
    if before is not None and attname in before:
        return before[attname]
    return instance.__dict__.get(attname, MISSING)


def of_key(model: Any, pk: Any) -> templates.Lookup:
    """Return a lookup for a row of which only the key is known, or not even that."""
    return of_values(model, {model._meta.pk.attname: pk})


def of_values(model: Any, values: dict[str, Any]) -> templates.Lookup:
    """Return a lookup in values by attribute, such as a row's."""

    def lookup(path: str) -> Any:
        name, *rest = path.split(".")
        field = column(model, name)
        if field is None or (rest and not (field.is_relation and rest == ["pk"])):
            return MISSING
        return values.get(field.attname, MISSING)

    return lookup


def column(model: Any, name: str) -> Any:
    """Return the column that a name means, or None."""
    meta = model._meta
    if name == "pk":
        return meta.pk
    for field in meta.concrete_fields:
        if name in (field.name, field.attname):
            return field
    return None


# Reading the setting


def read_all() -> tuple[list[tuple[Any, Rule]], list[tuple[str, str]]]:
    """Return the rules with their models, and what is wrong with the setting: a sentence and what to write, each."""
    rules: list[tuple[Any, Rule]] = []
    problems: list[tuple[str, str]] = []
    for label, given in CachingSettings.get().invalidate.items():
        try:
            model = _model(label)
            rules.append((model, _rule(model, label, given)))
        except _Wrong as exc:
            problems.append((exc.message, exc.hint))
    return rules, problems


class _Wrong(Exception):
    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


def _model(label: Any) -> Any:
    try:
        return apps.get_model(label)
    except (LookupError, ValueError, AttributeError):
        known = [model._meta.label for model in apps.get_models()]
        by_lower = {name.lower(): name for name in known}
        close = difflib.get_close_matches(str(label).lower(), by_lower, n=1, cutoff=0.6)
        hint = f"Did you mean {by_lower[close[0]]!r}?" if close else "Write 'app_label.Model'."
        raise _Wrong(f"INVALIDATE names {label!r}, which is no model.", hint) from None


def _rule(model: Any, label: str, given: Any) -> Rule:
    if (
        not isinstance(given, (list, tuple))
        or not given
        or not all(isinstance(each, str) and each for each in given)
    ):
        raise _Wrong(
            f"INVALIDATE[{label!r}] is {given!r}.",
            'Write a list of data classes and tags, such as ["page_data", "page:{id}"].',
        )
    targets = tuple(_target(model, label, each) for each in given)
    remembered = {
        field.attname: None
        for target in targets
        for path in target.paths
        if (field := column(model, path.partition(".")[0])) is not None and not field.primary_key
    }
    return Rule(label, targets, tuple(remembered))


def _target(model: Any, label: str, given: str) -> Target:
    try:
        if given in classes.names():
            found = classes.named(given)
            target = Target(found.specific, found.wide, skips_none=True)
        else:
            target = Target(given)
        paths = target.paths
    except ImproperlyConfigured as exc:
        raise _Wrong(f"INVALIDATE[{label!r}]: {exc}", "Write a name or a path in the braces.") from None
    for path in paths:
        _check_path(model, label, given, path)
    return target


def _check_path(model: Any, label: str, given: str, path: str) -> None:
    at = model
    for name in path.split("."):
        field = column(at, name) if at is not None else None
        if field is None:
            raise _Wrong(
                f"INVALIDATE[{label!r}]: {given!r} needs the field {path!r}, which {label} does not have.",
                _meantcolumn(at, name, given),
            )
        at = field.related_model if field.is_relation else None


def _meantcolumn(model: Any, name: str, given: str) -> str:
    known = [] if model is None else sorted({f.attname for f in model._meta.concrete_fields})
    if given in classes.names():
        return "Write the tags themselves, with fields that the model has, in the place of the data class."
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if close:
        return f"Did you mean {close[0]!r}?"
    return f"Known are: {', '.join(known)}." if known else "Write a field of the model."


def suspects() -> Iterator[tuple[str, str, str]]:
    """Yield the label, the tag and the data class of what reads like a misspelt data class and counts as a tag."""
    known = classes.names()
    for label, given in CachingSettings.get().invalidate.items():
        for each in given if isinstance(given, (list, tuple)) else ():
            if isinstance(each, str) and each not in known and "{" not in each and ":" not in each:
                close = difflib.get_close_matches(each, known, n=1, cutoff=0.8)
                if close:
                    yield str(label), each, close[0]
