"""Changes of models make cached data outdated, as ``PERFSUITE["CACHING"]["INVALIDATE"]`` says, when they are committed.

Instances of the configured models remember the values that a template needs, so that a page that moves from one tenant to another
invalidates both. Nothing is ever queried for it, and nothing that fails here reaches the host: the guard counts and logs it.

``queryset.update()``, ``bulk_create()``, ``bulk_update()`` and raw SQL send no signals: querysets.py has what does.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from django.apps import apps
from django.core.signals import setting_changed
from django.db import models
from django.db.models.signals import m2m_changed, post_delete, post_init, post_save

from perfsuite.caching import rules
from perfsuite.caching.functions import invalidate_tags, on_commit
from perfsuite.caching.rules import Rule
from perfsuite.caching.templates import MISSING
from perfsuite.metrics.guard import Guard

logger = logging.getLogger("perfsuite.caching")

_UID = "perfsuite.caching.invalidation"
_REMEMBERED = "perfsuite_before"
_LOGIN = frozenset({"last_login"})
guard = Guard("caching.invalidation", switches_off=False)
_rules: dict[Any, list[Rule]] = {}
_remembered: dict[Any, tuple[str, ...]] = {}
_told: set[tuple[str, str]] = set()


def follow_settings() -> None:
    """Connect the configured models, now and whenever the setting changes."""
    setting_changed.connect(_on_setting_changed, dispatch_uid=_UID)
    _connect()


def rules_of(model: Any) -> list[Rule]:
    """Return the rules that a model's rows fall under: its own, those of its parents and of what it is a proxy of."""
    return _rules.get(model, [])


def remembered(instance: Any) -> dict[str, Any] | None:
    """Return the values that an instance had when it was loaded or last saved, of the fields that templates need."""
    return getattr(instance._state, _REMEMBERED, None)


def invalidate_rows(model: Any, lookups: Iterable[Any], using: str | None) -> None:
    """Invalidate on commit what rows of a model make outdated, each given as a lookup of its fields. Never raises."""
    try:
        tags: dict[str, None] = {}
        for lookup in lookups:
            tags.update(_tags(model, lookup))
        if tags:
            on_commit(tags, _invalidate, using)
    except Exception as exc:  # noqa: BLE001 - a save of the host's must not fail by this
        guard.failed(exc)


def _tags(model: Any, lookup: Any) -> dict[str, None]:
    tags: dict[str, None] = {}
    for rule in rules_of(model):
        found, unknown = rule.tags(lookup)
        tags.update(found)
        for target in unknown:
            if (rule.label, target.template) not in _told:
                _told.add((rule.label, target.template))
                logger.warning(
                    "A %s was changed without the fields of %r being loaded; what carries that tag stays until it expires.",
                    rule.label,
                    target.template,
                )
    return tags


def _invalidate(tags: Iterable[str]) -> None:
    try:
        invalidate_tags(*tags)
    except Exception as exc:  # noqa: BLE001 - the transaction is committed, and the response must go out
        guard.failed(exc)


# Receivers


# Hot path: each instance of a configured model that is made; benchmarks/invalidation.py
def _on_init(sender: Any, instance: Any, **kwargs: Any) -> None:
    try:
        values = instance.__dict__
        setattr(
            instance._state,
            _REMEMBERED,
            {name: values[name] for name in _remembered[sender] if name in values},
        )
    except Exception as exc:  # noqa: BLE001 - making an instance must not fail by this
        guard.failed(exc)


def _on_save(sender: Any, instance: Any, created: bool, using: str, **kwargs: Any) -> None:
    if kwargs.get("update_fields") == _LOGIN:
        return  # or each login would empty what shows people
    try:
        before = None if created else remembered(instance)
        lookups = [rules.of_instance(instance)]
        now = {
            name: instance.__dict__[name] for name in _remembered.get(sender, ()) if name in instance.__dict__
        }
        if before is not None:  # what was not loaded and is there now, was something else before
            before = {**dict.fromkeys(now, MISSING), **before}
        has_moved = before is not None and any(now.get(name) != value for name, value in before.items())
        if has_moved:
            lookups.append(rules.of_instance(instance, before))
        invalidate_rows(sender, lookups, using)
        if created:
            setattr(instance._state, _REMEMBERED, now)
        elif has_moved:
            # Only a commit makes the new values the earlier ones; what is rolled back was never there.
            names = _saved(instance, kwargs.get("update_fields"))
            kept = {name: value for name, value in now.items() if name in names}
            on_commit([], lambda _: setattr(instance._state, _REMEMBERED, {**(before or {}), **kept}), using)
    except Exception as exc:  # noqa: BLE001 - a save of the host's must not fail by this
        guard.failed(exc)


def _saved(instance: Any, update_fields: Iterable[str] | None) -> set[str]:
    """Return the attributes of the fields that a save wrote."""
    fields = instance._meta.concrete_fields
    if update_fields is None:
        return {field.attname for field in fields}
    wanted = set(update_fields)
    return {field.attname for field in fields if field.name in wanted or field.attname in wanted}


def _on_delete(sender: Any, instance: Any, using: str, **kwargs: Any) -> None:
    try:
        before = remembered(instance)
        lookups = [rules.of_instance(instance)]
        if before:
            lookups.append(rules.of_instance(instance, before))
        invalidate_rows(sender, lookups, using)
    except Exception as exc:  # noqa: BLE001 - a deletion of the host's must not fail by this
        guard.failed(exc)


def _on_m2m(
    sender: Any, instance: Any, action: str, model: Any, pk_set: Any, using: str, **kwargs: Any
) -> None:
    """Invalidate what both sides of a relation make outdated; of the other side, only the keys are known, if those."""
    try:
        if action == "post_clear" or (action in ("post_add", "post_remove") and pk_set):
            invalidate_rows(type(instance), [rules.of_instance(instance)], using)
            keys = [MISSING] if pk_set is None else pk_set
            invalidate_rows(model, [rules.of_key(model, pk) for pk in keys], using)
    except Exception as exc:  # noqa: BLE001 - the host's change must not fail by this
        guard.failed(exc)


# Connecting


def _connect() -> None:
    _rules.clear()
    _remembered.clear()
    for configured, rule in rules.read_all()[0]:
        concrete = configured._meta.concrete_model
        for model in apps.get_models(include_auto_created=True):
            if issubclass(model, concrete):
                _rules.setdefault(model, []).append(rule)
    for model, found in _rules.items():
        names = dict.fromkeys(name for rule in found for name in rule.remembered)
        if names:
            _remembered[model] = tuple(names)
            post_init.connect(_on_init, sender=model, dispatch_uid=_UID)
        post_save.connect(_on_save, sender=model, dispatch_uid=_UID)
        post_delete.connect(_on_delete, sender=model, dispatch_uid=_UID)
        for through in _throughs(model):
            m2m_changed.connect(_on_m2m, sender=through, dispatch_uid=_UID)


def _disconnect() -> None:
    for model in list(_rules):
        for signal in (post_init, post_save, post_delete):
            signal.disconnect(sender=model, dispatch_uid=_UID)
        for through in _throughs(model):
            m2m_changed.disconnect(sender=through, dispatch_uid=_UID)


def _throughs(model: Any) -> list[type[models.Model]]:
    """Return the tables between a model and those that it has a many-to-many relation with, from either side."""
    found = [field.remote_field.through for field in model._meta.many_to_many]
    relations = model._meta.get_fields(include_hidden=True)
    found += [
        each.through for each in relations if each.many_to_many and each.auto_created and not each.concrete
    ]
    return found


def _on_setting_changed(*, setting: str, **kwargs: object) -> None:
    if setting == "PERFSUITE":
        _disconnect()
        _connect()
