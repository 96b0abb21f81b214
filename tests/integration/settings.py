"""The test host's settings with the options that one test wants: JSON in ``PERFSUITE_TEST_OPTIONS``."""

from __future__ import annotations

import json
import os

from tests.settings import *  # noqa: F403

# A store of its own, beside the host's database.
if "PERFSUITE_TEST_STORE" in os.environ:
    DATABASES["metrics"] = json.loads(os.environ["PERFSUITE_TEST_STORE"])  # noqa: F405

PERFSUITE = json.loads(os.environ.get("PERFSUITE_TEST_OPTIONS", "{}"))
