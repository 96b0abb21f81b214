"""The app config of the queries app, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

CODE = """
import django
django.setup()
from django.db import connection
from perfsuite.queries.sql import note_statement
connection.ensure_connection()
print(note_statement in connection.execute_wrappers)
"""


@pytest.mark.parametrize(("value", "printed"), [("true", "True"), ("false", "False")])
def test_the_environment_says_whether_the_wrapper_is_installed_at_all(value: str, printed: str) -> None:
    env = {**os.environ, "ENABLE_PERFORMANCE_MONITORING": value, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    done = subprocess.run([sys.executable, "-c", CODE], env=env, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == printed
