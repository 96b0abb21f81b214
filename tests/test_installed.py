"""The lane tests what it says it does: the working tree, or the wheel that it has installed."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import perfsuite
from tests import servers

FROM_WHEEL = os.environ.get("PERFSUITE_TEST_INSTALLED") == "wheel"
WHERE = Path(sysconfig.get_path("purelib")) if FROM_WHEEL else servers.ROOT


def test_these_tests_import_perfsuite_from_where_the_lane_has_it() -> None:
    assert Path(perfsuite.__file__).parent.parent == WHERE


def test_the_processes_that_they_start_do_too() -> None:
    code = "import perfsuite; print(perfsuite.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=servers.ROOT, capture_output=True, text=True, check=True
    )
    assert Path(done.stdout.strip()).parent.parent == WHERE
