"""``manage.py check_djongo_move`` on hosts of several kinds, and the system check that points to it."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.contenttypes.fields import GenericForeignKey
from django.contrib.contenttypes.models import ContentType
from django.core.management import CommandError, call_command
from django.db import connection, models
from django.test import modify_settings, override_settings
from django.test.utils import isolate_apps

from perfsuite.queries.checks import check_djongo
from perfsuite.queries.djongo_move import in_models, in_settings

DJONGO = {"ENGINE": "djongo", "NAME": "shop", "CLIENT": {"host": "mongodb://me:secret@db:27017/"}}


def of_djongo(name: str) -> Any:
    """Return a field class that looks like djongo's; djongo itself is not in every lane."""
    return type(name, (models.TextField,), {"__module__": "djongo.models.fields"})


def run(root: Path, **options: Any) -> tuple[int, str, str]:
    out, err = StringIO(), StringIO()
    try:
        call_command("check_djongo_move", root=root, stdout=out, stderr=err, **options)
    except SystemExit as exc:
        return int(str(exc.code)), out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()


def test_each_problem_is_a_line_and_the_exit_code_is_2(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("djongo==1.3.7\n")
    code, out, err = run(tmp_path)
    lines = out.splitlines()
    assert code == 2
    assert any(line.startswith("requirements.txt:1: djongo is required. Instead: ") for line in lines)
    assert err == f"{len(lines)} things stand in the way.\n"


def test_json_has_the_same_as_the_text(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("pymongo<4\n")
    texts, records = run(tmp_path)[1].splitlines(), run(tmp_path, format="json")[1].splitlines()
    assert len(texts) == len(records)
    for text, record in zip(texts, map(json.loads, records), strict=True):
        assert text == f"{record['place']}: {record['what']} Instead: {record['instead']}"


def test_a_folder_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"is no folder; give that of the requirement files with --root\."):
        run(tmp_path / "nowhere")


@pytest.mark.skipif(connection.vendor == "mongodb", reason="about hosts that have not moved yet")
def test_djangos_own_apps_need_a_config_and_migrations() -> None:
    found = {each.place: each for each in in_models.scan()}
    auth = found["django.contrib.auth"]
    assert "AuthConfig with default_auto_field" in auth.instead
    assert '"auth": "yourproject.migrations.auth"' in auth.instead
    with override_settings(MIGRATION_MODULES={"auth": "shop.migrations.auth"}):
        assert "yourproject" not in {e.place: e for e in in_models.scan()}["django.contrib.auth"].instead


@pytest.mark.skipif(connection.vendor != "mongodb", reason="about a host that has moved")
def test_a_host_that_has_moved_has_nothing_in_the_way(tmp_path: Path) -> None:
    places = {line.partition(":")[0] for line in run(tmp_path)[1].splitlines()}
    assert {place for place in places if "/corpus" not in place} == {"tests/testapp/views.py"}
    ours = ["tests.testapp", "tests.queries.corpus", "tests.queries.corpus_rows"]
    with modify_settings(INSTALLED_APPS={"remove": ours}):
        assert run(tmp_path) == (0, "", "Nothing stands in the way.\n")


@isolate_apps("tests.testapp")
def test_a_models_fields_and_constraints_are_named() -> None:
    class Item(models.Model):
        id = models.AutoField(primary_key=True)
        tags = of_djongo("ArrayField")()
        price = models.IntegerField()
        of_type = models.ForeignKey(ContentType, on_delete=models.CASCADE)
        of_id = models.PositiveIntegerField()
        of = GenericForeignKey("of_type", "of_id")

        class Meta:
            app_label = "testapp"
            constraints = (models.UniqueConstraint(fields=["price"], name="one_price"),)

        def __str__(self) -> str:
            return "item"

    found = {each.place: each for each in in_models._of_model(Item)}
    assert list(found) == ["testapp.Item.id", "testapp.Item.tags", "testapp.Item.of_id"]
    assert "written here (mongodb.E001)" in found["testapp.Item.id"].what
    assert found["testapp.Item.tags"].what == "ArrayField is a field of djongo's."
    assert "EmbeddedModelArrayField" in found["testapp.Item.tags"].instead


@isolate_apps("tests.testapp")
def test_a_key_of_djongos_own_is_told_once_as_its_field() -> None:
    class Item(models.Model):
        _id = of_djongo("ObjectIdField")(primary_key=True)

        class Meta:
            app_label = "testapp"

        def __str__(self) -> str:
            return "item"

    (found,) = in_models._of_model(Item)
    assert found.instead == "django_mongodb_backend.fields.ObjectIdAutoField(primary_key=True)."


def test_a_database_on_djongo_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(settings.DATABASES, "shop", DJONGO)
    found = {each.place: each for each in in_settings.scan()}["DATABASES['shop']"]
    assert "mongodb://db:27017/" in found.instead
    assert "secret" not in found.instead


def test_a_cache_in_the_database_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "rows"}
    monkeypatch.setitem(settings.CACHES, "rows", entry)
    assert "CACHES['rows']" in [each.place for each in in_settings.scan()]


def test_the_system_check_warns_hosts_on_djongo_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    before = [message.id for message in check_djongo()]
    monkeypatch.setitem(settings.DATABASES, "shop", DJONGO)
    found = check_djongo()
    assert [message.id for message in found] == [*before, "perfsuite_queries.W002"]
    assert "docs/howto/leave-djongo.md" in str(found[-1].hint)
    assert before == (["perfsuite_queries.W002"] if connection.vendor == "djongo" else [])
