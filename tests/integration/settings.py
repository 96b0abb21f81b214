"""The test host's settings with the options that one test wants: JSON in ``PERFSUITE_TEST_OPTIONS``."""

from __future__ import annotations

import json
import os
from pathlib import Path

from tests.integration import shifted_clock
from tests.settings import *  # noqa: F403

if "PERFSUITE_TEST_CLOCK" in os.environ:
    shifted_clock.install(Path(os.environ["PERFSUITE_TEST_CLOCK"]))

# A store of its own, beside the host's database.
if "PERFSUITE_TEST_STORE" in os.environ:
    DATABASES["metrics"] = json.loads(os.environ["PERFSUITE_TEST_STORE"])  # noqa: F405

PERFSUITE = json.loads(os.environ.get("PERFSUITE_TEST_OPTIONS", "{}"))
