"""The test host's one app."""

from __future__ import annotations

from django.apps import AppConfig


class TestAppConfig(AppConfig):
    """Models and views that tests measure."""

    __test__ = False
    name = "tests.testapp"
    label = "testapp"
