"""The plugin in runs of pytest of its own: with nothing measured, and in projects without Django."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

WITHOUT_DJANGO = """
import sys

def test_django_is_not_imported():
    assert "perfsuite.testing.plugin" in sys.modules
    assert [name for name in sys.modules if name.split(".")[0] in ("django", "asgiref")] == []
"""
UNASKED = """
import pytest

def test_a_block_says_what_is_missing(query_budget):
    with pytest.raises(Exception, match="Django is not set up; name the settings in DJANGO_SETTINGS_MODULE"):
        query_budget(max=1).__enter__()
"""
# As the file of a host has it; where it is installed, the name is known without it.
PLUGIN = ("-p", "perfsuite.testing.plugin")


def run_pytest(folder: Path, *arguments: str, **environment: str) -> str:
    """Run pytest and return what it said; it must end well."""
    unset = ("DJANGO_SETTINGS_MODULE", "PERFSUITE_TEST_DIR", "PYTEST_ADDOPTS", "PYTEST_PLUGINS")
    env = {key: value for key, value in os.environ.items() if key not in unset}
    env |= {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}", **environment}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *PLUGIN, *arguments],
        cwd=folder, env=env, capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said


@pytest.mark.alike
def test_a_project_without_django_runs_as_before_and_imports_none(tmp_path: Path) -> None:
    (tmp_path / "test_plain.py").write_text(WITHOUT_DJANGO)
    assert "1 passed" in run_pytest(tmp_path, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")


@pytest.mark.alike
def test_a_project_whose_django_is_not_set_up_is_told_so_by_what_it_asks_for(tmp_path: Path) -> None:
    (tmp_path / "test_plain.py").write_text(UNASKED)
    assert "1 passed" in run_pytest(tmp_path)


@pytest.mark.by_store
def test_every_statement_is_seen_in_a_run_with_nothing_measured_from_the_start() -> None:
    """On MongoDB a client is observed only if that was asked for before it was made."""
    said = run_pytest(
        ROOT, "--ds", "tests.testing.off_settings",
        "tests/testing/test_blocks.py::test_statements_are_counted_and_their_repetitions_found_in",
        "tests/testing/test_scope.py::test_what_reaches_all_tenants_fails_with_its_line_and_what_to_do_in",
    )  # fmt: skip
    assert "14 passed" in said
