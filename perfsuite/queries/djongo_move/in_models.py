"""Finds in the models of a host what django-mongodb-backend does not have."""

from __future__ import annotations

import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.apps import AppConfig, apps
from django.conf import settings
from django.db import models

from perfsuite.queries.djongo_move.findings import Finding

AUTO_FIELDS = ("AutoField", "BigAutoField", "SmallAutoField")
OBJECT_ID = "django_mongodb_backend.fields.ObjectIdAutoField"
# djongo's fields, by their class's name.
FIELDS_OF_DJONGO = {
    "ArrayField": "django_mongodb_backend.fields.EmbeddedModelArrayField(Model), Model being an EmbeddedModel.",
    "EmbeddedField": "django_mongodb_backend.fields.EmbeddedModelField(Model), Model being an EmbeddedModel.",
    "ArrayReferenceField": "django_mongodb_backend.fields.ArrayField(ObjectIdField()), or a ManyToManyField.",
    "GenericObjectIdField": "django_mongodb_backend.fields.ObjectIdField().",
    "ObjectIdField": "django_mongodb_backend.fields.ObjectIdAutoField(primary_key=True).",
    "JSONField": "django.db.models.JSONField().",
}
UNSUPPORTED_FIELDS = ("CompositePrimaryKey", "GeneratedField")


def scan() -> list[Finding]:
    """Return what stands in the way in the models of all installed apps."""
    found: list[Finding] = []
    for config in apps.get_app_configs():
        if config.label.startswith("perfsuite_"):
            continue
        own = list(config.get_models())
        if not is_of_the_host(config):
            found += _of_foreign_app(config, own)
            continue
        for model in own:
            found += _of_model(model)
    return found


def is_of_the_host(config: AppConfig) -> bool:
    """Tell whether the app is the host's own, and not an installed package."""
    installed = {Path(sysconfig.get_path(name)).resolve() for name in ("purelib", "platlib", "stdlib")}
    return not installed & set(Path(config.path).resolve().parents)


def many_to_many_names() -> set[str]:
    """Return the names by which many-to-many relations are reached, from both their ends."""
    names = set()
    for model in apps.get_models():
        for each in model._meta.get_fields():
            if each.many_to_many:
                names.add(each.get_accessor_name() if each.auto_created else each.name)  # type: ignore[union-attr] # a relation has it
    return names - {None, ""}  # type: ignore[return-value] # a hidden one has no name


def _of_foreign_app(config: AppConfig, own: list[type[models.Model]]) -> list[Finding]:
    keyed = [model for model in own if _is_auto(model._meta.pk)]
    if not keyed:
        return []
    again = (
        ""
        if config.label in settings.MIGRATION_MODULES
        else f', and MIGRATION_MODULES = {{"{config.label}": "yourproject.migrations.{config.label}"}}'
    )
    return [
        Finding(
            "model",
            config.name,
            f"This app's {len(keyed)} models have integer keys that count up (mongodb.E001).",
            f'a subclass of {type(config).__name__} with default_auto_field = "{OBJECT_ID}" in INSTALLED_APPS{again}, '
            f"and makemigrations {config.label}.",
        )
    ]


def _is_auto(field: Any) -> bool:
    return field.get_internal_type() in AUTO_FIELDS and not _is_of_djongo(field)


def _is_of_djongo(field: Any) -> bool:
    return type(field).__module__.split(".")[0] == "djongo"


def _of_model(model: type[models.Model]) -> Iterator[Finding]:
    for field in model._meta.local_fields:
        if problem := _of_field(field):
            yield Finding("model", f"{model._meta.label}.{field.name}", *problem)
    for constraint in model._meta.constraints:
        if isinstance(constraint, models.CheckConstraint):
            what, instead = "MongoDB keeps no check constraints.", "a validator, or a check in save()."
        elif getattr(constraint, "deferrable", None):
            what, instead = "MongoDB cannot defer a unique constraint.", "the constraint without deferrable."
        else:
            continue
        yield Finding("model", f"{model._meta.label}.{constraint.name}", what, instead)
    for generic in model._meta.private_fields:
        named: Any = getattr(generic, "fk_field", None) and model._meta.get_field(generic.fk_field)
        if named and "IntegerField" in named.get_internal_type():
            yield Finding(
                "model",
                f"{model._meta.label}.{named.name}",
                "A generic relation that stores integers cannot name an ObjectId.",
                "CharField(max_length=24), or ObjectIdField() where all that it names has such a key.",
            )


def _of_field(field: Any) -> tuple[str, str] | None:
    kind = type(field).__name__
    if _is_of_djongo(field):
        return f"{kind} is a field of djongo's.", FIELDS_OF_DJONGO.get(
            kind, "a field of django_mongodb_backend.fields."
        )
    if kind in UNSUPPORTED_FIELDS:
        return f"{kind} is not supported.", "a field that your code fills."
    if _is_auto(field):
        where = f'DEFAULT_AUTO_FIELD (and default_auto_field of the app, if it has one) = "{OBJECT_ID}"'
        how, instead = ("of DEFAULT_AUTO_FIELD", where) if field.auto_created else ("written here", OBJECT_ID)
        return (
            f"An integer key that counts up, {how} (mongodb.E001).",
            f"{instead}, and migrations made anew.",
        )
    return None
