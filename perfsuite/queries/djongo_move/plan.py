"""The rules by which each collection is moved, from the models of the host as they are on django-mongodb-backend."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.db import models

from perfsuite.queries.djongo_move.documents import CONVERSIONS, Collection, GenericReference, Reference

if TYPE_CHECKING:
    from pymongo.database import Database

# Sessions name people by their integer key, so everybody logs in again; perfsuite's own numbers begin anew.
NOT_MOVED = ("sessions",)
NOT_MOVED_PREFIX = "perfsuite_"
# `migrate` fills these, so that they are never empty; what it made there is replaced.
MADE_BY_MIGRATE = frozenset({"contenttypes.ContentType", "auth.Permission", "sites.Site"})


def models_to_move() -> list[type[models.Model]]:
    """Return the models that have a collection of their own, those between many-to-many fields included."""
    found = [
        model
        for model in apps.get_models(include_auto_created=True)
        if model._meta.managed
        and not model._meta.proxy
        and model._meta.app_label not in NOT_MOVED
        and not model._meta.app_label.startswith(NOT_MOVED_PREFIX)
    ]
    return sorted(found, key=lambda model: model._meta.db_table)


def collection_names() -> dict[tuple[str, str], str]:
    """Return the collection of each model that is moved, by its app and its name as content types spell them."""
    return {(m._meta.app_label, str(m._meta.model_name)): m._meta.db_table for m in models_to_move()}


def known_collections() -> set[str]:
    """Return the collections that need no mention: those of any model, Django's and djongo's own."""
    tables = {model._meta.db_table for model in apps.get_models(include_auto_created=True)}
    return {*tables, "django_migrations", "__schema__"}


def filled(database: Database[dict[str, Any]]) -> list[str]:
    """Return the collections of ``database`` that would be written to and have documents that `migrate` did not make."""
    return [
        model._meta.db_table
        for model in models_to_move()
        if model._meta.label not in MADE_BY_MIGRATE and database[model._meta.db_table].find_one() is not None
    ]


def collection_of(model: type[models.Model]) -> Collection:
    """Return the rules for the documents of ``model``."""
    conversions: dict[str, Callable[[Any], Any]] = {}
    references: dict[str, Reference] = {}
    fields = [each for each in model._meta.concrete_fields if each.column != "_id"]
    for each in fields:
        target: Any = each
        while target.remote_field and target.remote_field.model is not None:
            target = target.target_field
        if target is not each and has_object_id(target.model) and target.primary_key:
            references[str(each.column)] = Reference(target.model._meta.db_table, each.null)
        elif convert := CONVERSIONS.get(target.get_internal_type()):
            conversions[str(each.column)] = convert
    return Collection(
        model._meta.db_table,
        frozenset(str(each.column) for each in fields),
        conversions,
        references,
        tuple(generic_references(model)),
    )


def has_object_id(model: type[models.Model]) -> bool:
    """Tell whether the documents of ``model`` have ``_id`` as their key."""
    return model._meta.pk.column == "_id"


def generic_references(model: type[models.Model]) -> list[GenericReference]:
    """Return the columns of ``model`` that name objects of any model; the admin's log has one without saying so."""
    pairs = [
        (each.ct_field, each.fk_field) for each in model._meta.private_fields if hasattr(each, "ct_field")
    ]
    if model._meta.label == "admin.LogEntry":
        pairs.append(("content_type", "object_id"))
    found = []
    for content_type, object_id in pairs:
        column_of_type, named = (_own_field(model, name) for name in (content_type, object_id))
        as_text = isinstance(named, (models.CharField, models.TextField))
        if as_text or named.get_internal_type() == "ObjectIdField":
            found.append(GenericReference(str(column_of_type.column), str(named.column), as_text))
    return found


def _own_field(model: type[models.Model], name: str) -> models.Field[Any, Any]:
    found = model._meta.get_field(name)
    assert isinstance(found, models.Field)  # noqa: S101 - a column, which a relation from elsewhere has not
    return found
