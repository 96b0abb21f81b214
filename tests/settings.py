"""Settings of the test suite's host project.

The database is chosen by ``TEST_DATABASE``: ``sqlite`` (default); ``postgresql``, whose server libpq's own
variables name (``PGHOST``, ``PGPORT``, ...); ``djongo`` or ``mongodb`` (django-mongodb-backend), whose server
``TEST_MONGODB_URL`` names. ``python -m tests.servers postgresql -- pytest`` starts one and sets
them. SQLite's databases are files, not memory: that is what a host has, with its locks and a connection per thread.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured

import perfsuite


def _folder_of_this_run() -> Path:
    """Return the run's temporary folder: the first process makes, shares (with those it starts) and removes it."""
    if "PERFSUITE_TEST_DIR" not in os.environ:
        made = tempfile.mkdtemp(prefix="perfsuite-tests-")
        os.environ["PERFSUITE_TEST_DIR"] = made
        maker = os.getpid()
        atexit.register(lambda: shutil.rmtree(made, ignore_errors=True) if os.getpid() == maker else None)
    return Path(os.environ["PERFSUITE_TEST_DIR"])


MONGODB_ENGINES = {"djongo": "djongo", "mongodb": "django_mongodb_backend"}


def _default_database() -> dict[str, Any]:
    wanted = os.environ.get("TEST_DATABASE", "sqlite")
    if wanted == "sqlite":
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": str(VAR / "host.sqlite3"),
            "TEST": {"NAME": str(VAR / "test_host.sqlite3")},
            "OPTIONS": {"timeout": 20},
        }
    if wanted == "postgresql":
        if "PGHOST" not in os.environ:
            raise ImproperlyConfigured(
                "TEST_DATABASE is 'postgresql' but PGHOST is not set; type: "
                "python -m tests.servers postgresql -- python -m pytest"
            )
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": os.environ.get("PGDATABASE", "postgres"),
            "USER": os.environ.get("PGUSER", "postgres"),
            "PASSWORD": os.environ.get("PGPASSWORD", ""),
            "HOST": os.environ["PGHOST"],
            "PORT": os.environ.get("PGPORT", "5432"),
        }
    if wanted in MONGODB_ENGINES:
        if "TEST_MONGODB_URL" not in os.environ:
            raise ImproperlyConfigured(
                f"TEST_DATABASE is {wanted!r} but TEST_MONGODB_URL is not set; type: "
                f"python -m tests.servers {wanted} -- python -m pytest"
            )
        url, name = os.environ["TEST_MONGODB_URL"], os.environ.get("TEST_MONGODB_NAME", "perfsuite")
        # A client for each request, djongo's default, costs half a second where several begin at once.
        place = {"CLIENT": {"host": url}, "CONN_MAX_AGE": None} if wanted == "djongo" else {"HOST": url}
        return {"ENGINE": MONGODB_ENGINES[wanted], "NAME": name, **place}
    raise ImproperlyConfigured(f"TEST_DATABASE is {wanted!r}; type sqlite, postgresql, djongo or mongodb.")


VAR = _folder_of_this_run()
BASE_DIR = Path(__file__).resolve().parent

SECRET_KEY = "only-for-tests"
DEBUG = False
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "tests.urls"
WSGI_APPLICATION = "tests.wsgi.application"
ASGI_APPLICATION = "tests.asgi.application"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    *perfsuite.APPS,
    "tests.testapp",
    "tests.queries.corpus_rows",
    "tests.queries.corpus",
]
MIDDLEWARE = [
    "perfsuite.monitoring.RequestMetricsMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {"default": _default_database()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
if DATABASES["default"]["ENGINE"] == "django_mongodb_backend":
    DEFAULT_AUTO_FIELD = "django_mongodb_backend.fields.ObjectIdAutoField"
    INSTALLED_APPS[:3] = [
        "tests.mongo_apps.MongoAdminConfig",
        "tests.mongo_apps.MongoAuthConfig",
        "tests.mongo_apps.MongoContentTypesConfig",
    ]
    # Their migrations make integer keys; without them the tables are made from the models.
    MIGRATION_MODULES = {"admin": None, "auth": None, "contenttypes": None}
# The default hasher is slow on purpose; no test is about passwords.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "/static/"
STATIC_ROOT = str(VAR / "static")
