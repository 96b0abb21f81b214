"""The router: nothing of the host's on the store, nothing of the store's on a SQLite host's own database."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import router
from django.db.utils import ConnectionHandler
from django.test import override_settings

from perfsuite.metrics.models import Bucket
from perfsuite.metrics.router import APP_LABEL, MetricsRouter, install
from perfsuite.metrics.storages import alias as alias_module
from perfsuite.metrics.storages.alias import SQLITE, register_automatic_store
from tests.testapp.models import Book


class HostRouter:
    """A host's router that wants everything on its replica and migrates everything everywhere."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return "replica"

    db_for_write = db_for_read

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        return True


def host(monkeypatch: pytest.MonkeyPatch, engine: str, **more: str) -> None:
    databases = {"default": {"ENGINE": engine, "NAME": ":memory:"}}
    for name, other in more.items():
        databases[name] = {"ENGINE": other, "NAME": ":memory:"}
    handler = ConnectionHandler(databases)
    monkeypatch.setattr(alias_module, "connections", handler)
    register_automatic_store()


@pytest.fixture
def _sqlite_host(monkeypatch: pytest.MonkeyPatch) -> None:
    host(monkeypatch, SQLITE, other=SQLITE)


@pytest.mark.usefixtures("_sqlite_host")
def test_on_a_sqlite_host_the_two_are_kept_apart() -> None:
    routes = MetricsRouter()
    assert routes.allow_migrate("perfsuite", APP_LABEL) is True
    assert routes.allow_migrate("default", APP_LABEL) is False
    assert routes.allow_migrate("other", APP_LABEL) is False
    assert routes.allow_migrate("perfsuite", "auth") is False
    assert routes.allow_migrate("perfsuite", "perfsuite_panel") is False
    assert routes.allow_migrate("default", "auth") is None
    assert routes.allow_migrate("other", "auth") is None
    assert Bucket.objects.all().db == "perfsuite"
    assert Bucket.objects.using("other").db == Bucket.objects.db_manager("other").all().db == "other"
    assert not routes.db_for_read(User)
    assert not routes.db_for_write(User, instance=User())


def test_on_another_host_the_tables_are_made_beside_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    host(monkeypatch, "django.db.backends.postgresql", other=SQLITE)
    routes = MetricsRouter()
    assert routes.allow_migrate("default", APP_LABEL) is True
    assert routes.allow_migrate("other", APP_LABEL) is False
    assert routes.allow_migrate("default", "auth") is None
    assert Bucket.objects.all().db == "default"


def test_an_alias_that_the_host_names_is_shared_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with override_settings(PERFSUITE={"METRICS": {"DATABASE": "other"}}):
        host(monkeypatch, SQLITE, other=SQLITE)
        routes = MetricsRouter()
        assert routes.allow_migrate("other", APP_LABEL) is True
        assert routes.allow_migrate("default", APP_LABEL) is False
        assert routes.allow_migrate("other", "auth") is None


def test_an_alias_named_perfsuite_that_is_the_host_s_own_stays_the_host_s(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    host(monkeypatch, SQLITE, perfsuite=SQLITE)
    routes = MetricsRouter()
    assert routes.allow_migrate("perfsuite", APP_LABEL) is True
    assert routes.allow_migrate("perfsuite", "auth") is None


def test_the_router_is_there_once_and_before_the_host_s() -> None:
    before = [type(each) for each in router.routers]
    install()
    assert [type(each) for each in router.routers] == before
    assert before[0] is MetricsRouter
    assert before.count(MetricsRouter) == 1


def test_a_test_of_the_host_s_that_changes_its_routers_keeps_ours_in_front() -> None:
    with override_settings(DATABASE_ROUTERS=[f"{__name__}.HostRouter"]):
        assert [type(each) for each in router.routers] == [MetricsRouter, HostRouter]
        assert Bucket.objects.all().db != "replica"
        assert router.db_for_write(Book) == "replica"
    assert [type(each) for each in router.routers] == [MetricsRouter]
