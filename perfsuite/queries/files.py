"""Whose code a file holds: the host's, a package's, or one of those parts of Django that tell about a statement.

The host's is what lies outside of site-packages, Django, perfsuite and the standard library.
"""

from __future__ import annotations

import os
import sys
import sysconfig

import django
from django.conf import settings

import perfsuite

MAX_FILES = 5_000

SKIP, HOST, PACKAGE, STOP, THREAD, QUERY, ORM, RELATED, FORM = range(9)
_DJANGO = os.path.dirname(django.__file__) + os.sep
_PERFSUITE = os.path.dirname(perfsuite.__file__) + os.sep
_LIBRARIES = tuple(
    {os.path.realpath(sysconfig.get_path(name)) + os.sep for name in ("stdlib", "platstdlib")}
    | {sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib")}
)
_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
# Packages between Django and a server; never the place where a statement comes from.
_DRIVERS = frozenset([
    "asgiref", "psycopg", "psycopg2", "psycopg_pool", "MySQLdb", "pymysql", "oracledb", "pymongo", "bson", "djongo", "sqlparse",
    "django_mongodb_backend", "gunicorn", "uvicorn", "hypercorn", "daphne", "waitress", "whitenoise", "celery", "debug_toolbar",
])  # fmt: skip
_OF_DJANGO = {
    "core/handlers/exception.py": STOP,
    "core/management/base.py": STOP,
    "db/models/query.py": QUERY,
    "db/models/query_utils.py": RELATED,
    "db/models/fields/related_descriptors.py": RELATED,
    "contrib/contenttypes/fields.py": RELATED,
}
# What is known of each file, for who asks often: see learn().
kinds: dict[str, int] = {}
_shown: dict[str, str] = {}


def learn(filename: str) -> int:
    """Return whose file that is, and remember it."""
    if len(kinds) >= MAX_FILES:
        kinds.clear()
    kinds[filename] = kind = _kind_of(filename)
    return kind


def _kind_of(filename: str) -> int:
    if filename.startswith(_DJANGO):
        inside = filename[len(_DJANGO) :].replace(os.sep, "/")
        if inside.startswith("forms/"):
            return FORM
        return _OF_DJANGO.get(inside, ORM if inside.startswith("db/models/") else SKIP)
    if filename.startswith(_PERFSUITE + "monitoring"):
        return STOP
    if filename.startswith((_PERFSUITE, "<")):
        return SKIP
    for folder in _INSTALLED:
        if folder in filename:
            package = filename.split(folder, 1)[1].split(os.sep, 1)[0].removesuffix(".py")
            return _kind_of_package(package, filename)
    return SKIP if filename.startswith(_LIBRARIES) else HOST


def _kind_of_package(package: str, filename: str) -> int:
    if package == _project():
        return HOST
    if package == "asgiref" and filename.endswith("sync.py"):
        return THREAD
    if package == "django_mongodb_backend":
        return ORM
    return SKIP if package in _DRIVERS else PACKAGE


def _project() -> str:
    """Return the package of the project, which is the host's also where it is installed."""
    return str(getattr(settings, "ROOT_URLCONF", "")).split(".", 1)[0]


def shown(filename: str) -> str:
    """Return a file's path as its imports write it, without the folders above."""
    short = _shown.get(filename)
    if short is None:
        if len(_shown) >= MAX_FILES:
            _shown.clear()
        # Where Python was told its program on the command line, the first one is "" and means the folder that it runs in.
        folders = (each or _here() for each in sys.path)
        above = [path for each in folders if each and filename.startswith(path := os.path.join(each, ""))]
        short = filename[len(max(above, key=len)) :] if above else os.sep.join(filename.rsplit(os.sep, 3)[1:])
        _shown[filename] = short
    return short


def _here() -> str:
    try:
        return os.getcwd()
    except OSError:  # it was removed
        return ""
