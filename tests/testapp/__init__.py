"""A small host app whose views do one measurable thing each."""

from __future__ import annotations

default_app_config = "tests.testapp.apps.TestAppConfig"
