"""A host's own test suite passes with perfsuite installed as it did without, and its test database is dropped."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import PostgreSQL

SETTINGS = """
import os
import perfsuite
SECRET_KEY = "host"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "host.urls"
STATIC_URL = "/static/"
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "shop", *perfsuite.APPS[:-1]]
MIDDLEWARE = ["perfsuite.monitoring.RequestMetricsMiddleware"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {"default": {%s}}
"""
URLS = """
from django.http import HttpResponse
from django.urls import path
from perfsuite.monitoring import monitor_performance
from shop.models import Item

@monitor_performance("count_items")
def index(request):
    Item.objects.create(name="one more")
    return HttpResponse(str(Item.objects.count()))

urlpatterns = [path("", index)]
"""
MODELS = """
from django.db import models

class Item(models.Model):
    name = models.CharField(max_length=20)
"""
TESTS = """
import threading
import time
from django.db import connections
from django.test import LiveServerTestCase, TestCase, TransactionTestCase
from urllib.request import urlopen
from shop.models import Item

def threads():
    return [thread.name for thread in threading.enumerate() if "perfsuite" in thread.name]

class InTransaction(TestCase):
    def test_statements_are_the_hosts_own(self):
        with self.assertNumQueries(2):
            self.assertEqual(self.client.get("/").content, b"1")

    def test_nothing_is_left_of_the_other_test(self):
        self.assertEqual(Item.objects.count(), 0)
        self.assertEqual(threads(), [])

class OverAllDatabases(TestCase):
    databases = "__all__"

    def test_a_request(self):
        self.assertEqual(self.client.get("/").content, b"1")

class Committed(TransactionTestCase):
    def test_a_request(self):
        self.client.get("/")
        time.sleep(1.5)  # longer than the first flush would take to come
        self.assertEqual(threads(), [])

class Live(LiveServerTestCase):
    def test_a_request(self):
        self.assertEqual(urlopen(self.live_server_url).read(), b"1")
        self.assertEqual(threads(), [])
"""


def make_host(folder: Path, database: str) -> None:
    """Write a small project with a suite of its own."""
    for package in ("host", "shop", "shop/migrations"):
        (folder / package).mkdir()
        (folder / package / "__init__.py").touch()
    (folder / "host" / "settings.py").write_text(SETTINGS % database)
    (folder / "host" / "urls.py").write_text(URLS)
    (folder / "shop" / "models.py").write_text(MODELS)
    (folder / "shop" / "tests.py").write_text(TESTS)
    (folder / "pytest.ini").write_text(
        "[pytest]\nDJANGO_SETTINGS_MODULE = host.settings\npython_files = tests.py\n"
    )
    run(folder, "-m", "django", "makemigrations", "shop", "--verbosity", "0")
    (folder / "db.sqlite3").unlink(missing_ok=True)


def run(folder: Path, *arguments: str) -> str:
    """Run Python in the host's folder and return all that it printed; it must end well."""
    root = str(Path(__file__).resolve().parents[2])
    env = {
        **os.environ,
        "PYTHONPATH": f"{folder}{os.pathsep}{root}",
        "DJANGO_SETTINGS_MODULE": "host.settings",
    }
    command = [sys.executable, *arguments]
    done = subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, timeout=180, check=False
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said


RUNNERS = {
    "manage.py test": ("-m", "django", "test", "--noinput"),
    "manage.py test --parallel": ("-m", "django", "test", "--noinput", "--parallel", "2"),
    "pytest": ("-m", "pytest", "-q", "--create-db", "-p", "no:cacheprovider"),
}


@pytest.mark.alike
@pytest.mark.parametrize("runner", RUNNERS)
def test_a_sqlite_hosts_suite_passes_and_leaves_no_file(tmp_path: Path, runner: str) -> None:
    make_host(tmp_path, f'"ENGINE": "django.db.backends.sqlite3", "NAME": {str(tmp_path / "db.sqlite3")!r}')
    said = run(tmp_path, *RUNNERS[runner])
    assert "5 passed" in said or "Ran 5 tests" in said
    assert [path.name for path in tmp_path.glob("*sqlite3*")] == []


@pytest.mark.once
@pytest.mark.parametrize("runner", ["manage.py test", "pytest"])
def test_a_postgresql_hosts_suite_passes_and_its_database_is_dropped(
    tmp_path: Path, runner: str, postgresql_server: PostgreSQL
) -> None:
    there = postgresql_server
    make_host(
        tmp_path,
        '"ENGINE": "django.db.backends.postgresql", "TEST": {"NAME": "test_shop"}, '
        f'"NAME": {there.dbname!r}, "USER": {there.user!r}, "HOST": {there.host!r}, "PORT": {there.port!r}, '
        f'"PASSWORD": {there.password!r}',
    )
    said = run(tmp_path, *RUNNERS[runner])
    assert "5 passed" in said or "Ran 5 tests" in said
    left = "from django.db import connection; c = connection.cursor(); "
    left += "c.execute(\"SELECT count(*) FROM pg_database WHERE datname LIKE 'test_shop%%'\"); print(c.fetchone()[0])"
    assert run(tmp_path, "-c", f"import django; django.setup(); {left}").strip() == "0"
