"""Settings of the sample site. Every choice a visitor can make is an environment variable.

`DB` picks the database, `DEBUG` the debug mode, `SAMPLEPROJECT_VAR` the directory of all generated files.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import django

import perfsuite
from sampleproject import databases

PROJECT = Path(__file__).resolve().parent
VAR = Path(os.environ.get("SAMPLEPROJECT_VAR", PROJECT / "var"))
VAR.mkdir(parents=True, exist_ok=True)  # SQLite does not create the directory of its file

DEBUG = os.environ.get("DEBUG", "").lower() in {"1", "true", "yes", "on"}
DEBUG_TOOLBAR = DEBUG and find_spec("debug_toolbar") is not None
SECRET_KEY = os.environ.get("SECRET_KEY", "for-the-demo-only-never-for-a-site-that-others-can-reach")
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "[::1]"]

INSTALLED_APPS = [
    "sampleproject.portal.apps.PortalConfig",
    *perfsuite.APPS,
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "compressor",
    *(["debug_toolbar"] if DEBUG_TOOLBAR else []),
]

MIDDLEWARE = [
    "perfsuite.monitoring.RequestMetricsMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",  # its files are compressed already, and need no second cache
    "perfsuite.responses.CompressionMiddleware",
    "perfsuite.tenancy.TenantMiddleware",  # outside of the cache, whose pages are each tenant's own
    "perfsuite.responses.ResponseCacheMiddleware",
    "sampleproject.middleware.ContentSecurityPolicyMiddleware",
    *(["debug_toolbar.middleware.DebugToolbarMiddleware"] if DEBUG_TOOLBAR else []),
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "sampleproject.urls"
WSGI_APPLICATION = "sampleproject.wsgi.application"
ASGI_APPLICATION = "sampleproject.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
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


DB = os.environ.get("DB") or "sqlite"
DATABASES = {"default": databases.entry(DB, VAR)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
if (
    DB == "mongodb"
):  # it has no integer keys that count up, so Django's own apps get other keys and migrations
    from sampleproject.mongodb import APP_CONFIGS, DEFAULT_AUTO_FIELD, MIGRATION_MODULES  # noqa: F401

    INSTALLED_APPS = [APP_CONFIGS.get(app, app) for app in INSTALLED_APPS]

AUTH_USER_MODEL = "portal.User"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "portal:home"
LOGOUT_REDIRECT_URL = "portal:home"

USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"

STATIC_URL = "/static/"
# The admin of each Django has files of its own, and the databases do not all run on the same.
STATIC_ROOT = str(VAR / "static-{}.{}".format(*django.VERSION))
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.FileSystemFinder",
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    "compressor.finders.CompressorFinder",
]
_STATIC_STORAGE = (
    "django.contrib.staticfiles.storage.StaticFilesStorage"
    if DEBUG
    else "whitenoise.storage.CompressedManifestStaticFilesStorage"
)
if django.VERSION >= (4, 2):
    STORAGES = {
        "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
        "staticfiles": {"BACKEND": _STATIC_STORAGE},
    }
else:
    STATICFILES_STORAGE = _STATIC_STORAGE

# Outside DEBUG the site serves what `collectstatic` and `compress` have built: one stylesheet, one script.
# Both name their files by a hash of the content, so that a browser may keep them for good.
WHITENOISE_IMMUTABLE_FILE_TEST = r"^.+\.[0-9a-f]{12}\..+$"
COMPRESS_ENABLED = not DEBUG
COMPRESS_OFFLINE = not DEBUG
COMPRESS_FILTERS = {
    "css": ["compressor.filters.css_default.CssAbsoluteFilter", "compressor.filters.cssmin.rCSSMinFilter"],
    "js": ["compressor.filters.jsmin.rJSMinFilter"],
}

# The debug toolbar sets style attributes, which the policy of the site forbids: it is relaxed for DEBUG alone.
CONTENT_SECURITY_POLICY = "default-src 'self'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
if DEBUG_TOOLBAR:
    CONTENT_SECURITY_POLICY += "; style-src 'self' 'unsafe-inline'; img-src 'self' data:"
    DEBUG_TOOLBAR_PANELS = [
        "debug_toolbar.panels.history.HistoryPanel",
        "perfsuite.queries.toolbar.PerfsuitePanel",
        *(f"debug_toolbar.panels.{name}" for name in (
            "timer.TimerPanel", "headers.HeadersPanel", "request.RequestPanel", "sql.SQLPanel", "cache.CachePanel",
            "templates.TemplatesPanel", "staticfiles.StaticFilesPanel", "signals.SignalsPanel",
        )),
    ]  # fmt: skip
INTERNAL_IPS = ["127.0.0.1", "::1"]

# Memory alone, kept in step between the workers, unless REDIS_URL names a Redis or Valkey to put behind it.
REDIS_URL = os.environ.get("REDIS_URL", "")
CACHES: dict[str, dict[str, Any]] = {
    "default": {
        "BACKEND": "perfsuite.caching.TieredCache",
        "KEY_PREFIX": DB,
        "OPTIONS": {"TIERS": {"cold": {"ALIAS": "shared"}}} if REDIS_URL else {"RUN_DIR": str(VAR / "run")},
    }
}
if REDIS_URL:
    CACHES["shared"] = {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": REDIS_URL,
        "OPTIONS": {"SOCKET_TIMEOUT": 1, "SOCKET_CONNECT_TIMEOUT": 1},
    }

PERFSUITE = {
    "TENANCY": {"RESOLVER": "sampleproject.tenants.resolve"},
    "CACHING": {
        "INVALIDATE": {
            "portal.Tenant": ["tenant:{id}", "home"],
            "portal.Page": ["page_data", "home"],
            "portal.Form": ["form_data"],
            "portal.User": ["page_data"],  # pages show who wrote them
            "portal.Lead": ["lead_data"],
        }
    },
    "QUERIES": {
        # What a tenant's request reads of these without its tenant is a finding.
        "TENANT_OWNED": {"portal.Page": "tenant", "portal.Form": "tenant", "portal.Lead": "tenant"},
        # 4,000 pages and 50,000 leads are few: the search, which takes a second on a large site, takes 1 to 20 ms here. With
        # the usual 100 ms, and plans on demand only, a newcomer would be shown neither it nor why it is slow.
        "SLOW_QUERY_MS": 1,
        "EXPLAIN_DAILY": True,
        "EXPLAIN_SCAN_ROWS": 1_000,
    },
    "RESPONSES": {
        "QUERY": "sorted",
        "TAG_HEADERS": ["Surrogate-Key"],
        # The toolbar of a page tells of the request that made it.
        **({"CACHE_ENABLED": False} if DEBUG_TOOLBAR else {}),
    },
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "{asctime} {levelname} {name} {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"handlers": ["console"], "level": "WARNING"},
    # A visitor's 404 is no news; an error is, and it is logged with its traceback.
    # Of statements over SLOW_QUERY_MS, which is low here, the panel tells; the log would be full of them.
    "loggers": {"django.request": {"level": "ERROR"}, "perfsuite.queries": {"level": "ERROR"}},
}
