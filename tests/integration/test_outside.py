"""What runs outside of requests is in the store when its process has ended, however short it was."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

RUN = """
import django
django.setup()
from django.db import connection
from perfsuite.queries import track
def ask():
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
with track("nightly"):
    ask()
ask()
"""
READ = """
import django
django.setup()
from perfsuite.metrics import suppress
from perfsuite.metrics.query import Window, top
with suppress():
    for row in top("queries.outside", Window.last(3600), by=("route",)):
        print(row.labels["route"], row.value.count)
"""


def run(folder: Path, *arguments: str) -> str:
    environment = {
        **{name: value for name, value in os.environ.items() if name != "TEST_DATABASE"},
        "PERFSUITE_TEST_DIR": str(folder),
        "DJANGO_SETTINGS_MODULE": "tests.settings",
    }
    done = subprocess.run(
        [sys.executable, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_a_task_in_a_short_process_has_run_is_kept_at_its_end_and_migrate_makes_no_figures(
    tmp_path: Path,
) -> None:
    run(
        tmp_path,
        "-m",
        "django",
        "migrate",
        "perfsuite_metrics",
        "--database",
        "perfsuite",
        "--verbosity",
        "0",
    )
    run(tmp_path, "-c", RUN)

    told = dict(line.rsplit(" ", 1) for line in run(tmp_path, "-c", READ).splitlines())
    assert told.keys() == {"<task> nightly"}
    assert told["<task> nightly"] == "1"
