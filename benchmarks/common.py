"""What the benchmarks share: the machine they ran on, medians, a table, and a Django of their own."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))  # the working tree is measured, installed or not

SQLITE = "django.db.backends.sqlite3"
DEFAULT_MIDDLEWARE = [  # as startproject writes it
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
DEFAULT_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]


def machine() -> str:
    """Say what the figures were measured on."""
    try:
        load = f"{os.getloadavg()[0]:.1f}"
    except OSError:
        load = "unknown"
    versions = f"Python {platform.python_version()}, Django {importlib.metadata.version('django')}"
    return (
        f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, {versions}, load at start {load}"
    )


def configure(database: dict[str, Any], *, apps: Sequence[str] = (), **settings: Any) -> None:
    """Set Django up for a host with startproject's settings, ``apps`` installed, and ``database`` as its default one."""
    import django
    from django.conf import settings as django_settings

    values: dict[str, Any] = {
        "DEBUG": False,
        "SECRET_KEY": "benchmark",
        "ALLOWED_HOSTS": ["*"],
        "USE_TZ": True,
        "INSTALLED_APPS": [*DEFAULT_APPS, *apps],
        "MIDDLEWARE": DEFAULT_MIDDLEWARE,
        "TEMPLATES": TEMPLATES,
        "DATABASES": {"default": database},
        "DEFAULT_AUTO_FIELD": "django.db.models.BigAutoField",
        "STATIC_URL": "/static/",
    }
    values.update(settings)
    django_settings.configure(**values)
    django.setup()


def percentile(values: Sequence[float], q: float) -> float:
    """Return the nearest-rank percentile."""
    ordered = sorted(values)
    return ordered[max(0, min(len(ordered) - 1, round(q * len(ordered)) - 1))]


def median(values: Sequence[float]) -> float:
    """Return the median, NaN of nothing."""
    return statistics.median(values) if values else float("nan")


def print_table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a Markdown table whose columns also line up in a terminal."""
    texts = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(row[i]) for row in texts) for i in range(len(head))]
    lines = [
        "| "
        + " | ".join(
            text.ljust(width) if i == 0 else text.rjust(width)
            for i, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        + " |"
        for row in texts
    ]
    lines.insert(
        1,
        "|" + "|".join("-" * (width + 1) + ("-" if i == 0 else ":") for i, width in enumerate(widths)) + "|",
    )
    print("\n".join(lines))
