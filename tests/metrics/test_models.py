"""The models of the whole suite: what every database can migrate, and nothing that the host did not ask for."""

from __future__ import annotations

from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import models
from django.db.models import Model

import perfsuite
from perfsuite.metrics.models import Bucket, Exemplar, Finding, Lease, Mark, Series, Sighting
from perfsuite.metrics.storages import BucketRow, StoredExemplar, StoredFinding, StoredSighting

ALL = [model for model in apps.get_models() if model.__module__.startswith("perfsuite.")]


@pytest.mark.parametrize("model", ALL, ids=lambda model: model._meta.label)
def test_every_key_is_an_explicit_uuid_or_text(model: type[Model]) -> None:
    key = model._meta.pk
    assert isinstance(key, (models.UUIDField, models.CharField))
    assert not key.auto_created


@pytest.mark.parametrize("model", ALL, ids=lambda model: model._meta.label)
def test_no_model_makes_the_four_default_permissions(model: type[Model]) -> None:
    assert tuple(model._meta.default_permissions) == ()


@pytest.mark.parametrize("model", ALL, ids=lambda model: model._meta.label)
def test_no_table_of_the_store_refers_to_a_table_of_the_host(model: type[Model]) -> None:
    assert [field for field in model._meta.get_fields() if field.is_relation] == []


@pytest.mark.parametrize("model", ALL, ids=lambda model: model._meta.label)
def test_the_names_of_indexes_fit_every_database(model: type[Model]) -> None:
    assert all(len(index.name) <= 30 for index in model._meta.indexes)


def test_there_are_models_to_test() -> None:
    assert {Bucket, Series, Mark, Lease, Exemplar, Finding, Sighting} <= set(ALL)


@pytest.mark.parametrize(
    ("model", "row"),
    [
        (Bucket, BucketRow),
        (Exemplar, StoredExemplar),
        (Finding, StoredFinding),
        (Sighting, StoredSighting),
    ],
)
def test_a_row_has_the_fields_of_its_model_in_their_order(model: type[Model], row: Any) -> None:
    assert tuple(field.name for field in model._meta.concrete_fields) == row._fields


def test_every_app_is_found_by_a_django_that_knows_default_app_config_only() -> None:
    for app in perfsuite.APPS:
        module = __import__(app, fromlist=["default_app_config"])
        config = apps.get_app_config(app.replace(".", "_"))
        assert module.default_app_config == f"{type(config).__module__}.{type(config).__name__}"


@pytest.mark.django_db(databases="__all__")
def test_no_change_of_a_model_lacks_its_migration() -> None:
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (Series(id="a", kind="requests", labels='["x"]'), 'requests ["x"]'),
        (Bucket(kind="requests", series="a", start=60, resolution=10), "requests a 60+10"),
        (Mark(name="m", value=5), "m = 5"),
        (Lease(name="leader", owner="x", beat=1), "leader held by x"),
        (Lease(name="leader", owner="", beat=1), "leader held by nobody"),
        (Exemplar(series="a", at=5, value=1.0), "a at 5: 1.0"),
        (Finding(kind="index", subject="a table"), "index: a table"),
        (Sighting(finding="f", at=5, count=2), "f at 5: 2"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_row_is_shown_as_what_it_is_about(row: Model, text: str) -> None:
    assert str(row) == text
