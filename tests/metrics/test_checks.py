"""The system checks of the metrics app."""

from __future__ import annotations

from typing import Any

import pytest
from django.core import checks
from django.db import connections
from django.test import override_settings

from perfsuite.metrics.checks import check_store
from perfsuite.metrics.storages.alias import SQLITE

IN_FILE = {"ENGINE": SQLITE, "NAME": "/srv/site.sqlite3"}


def found(**metrics: Any) -> list[Any]:
    with override_settings(PERFSUITE={"METRICS": metrics}):
        return check_store()


def test_a_project_with_the_defaults_has_nothing_to_mend() -> None:
    assert found() == []
    assert [
        message for message in checks.run_checks(tags=["perfsuite"]) if "metrics" in str(message.id)
    ] == []


def test_a_database_that_is_not_in_databases_is_E001() -> None:
    (error,) = found(DATABASE="misspelt")
    assert (type(error), error.id) == (checks.Error, "perfsuite_metrics.E001")
    assert error.msg == "PERFSUITE['METRICS']['DATABASE'] is 'misspelt', which is not in DATABASES."
    assert "default" in error.hint
    assert "leave it empty" in error.hint


@pytest.mark.parametrize(
    "path", ["perfsuite.no.such.Storage", "builtins.missing", "nodots", "", "tests.metrics.test_checks.Needy"]
)
def test_a_storage_that_cannot_be_used_is_E002(path: str) -> None:
    (error,) = found(STORAGE=path)
    assert (type(error), error.id) == (checks.Error, "perfsuite_metrics.E002")
    assert error.msg.startswith(f"PERFSUITE['METRICS']['STORAGE'] is {path!r}, which cannot be used: ")
    assert error.hint


class Needy:
    """A storage class that cannot be made without an argument."""

    def __init__(self, argument: object) -> None:
        pass


def test_the_sqlite_file_of_the_host_itself_is_W001(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connections.databases, "default", dict(IN_FILE))
    (warning,) = found(DATABASE="default")
    assert (type(warning), warning.id) == (checks.Warning, "perfsuite_metrics.W001")
    assert "database is locked" in warning.msg
    monkeypatch.setitem(connections.databases, "same", dict(IN_FILE))
    assert [message.id for message in found(DATABASE="same")] == ["perfsuite_metrics.W001"]


def test_another_file_or_another_engine_is_no_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connections.databases, "default", dict(IN_FILE))
    monkeypatch.setitem(connections.databases, "other", {**IN_FILE, "NAME": "/srv/metrics.sqlite3"})
    assert found(DATABASE="other") == []
    postgresql = {**IN_FILE, "ENGINE": "django.db.backends.postgresql"}
    monkeypatch.setitem(connections.databases, "default", postgresql)
    assert found(DATABASE="default") == []
    assert found() == []
