"""The test host with a tiered cache in memory and a view whose text comes from it: ``/shelf/`` lists, ``/save/TITLE/`` changes.

Each answer says its process in ``X-Worker``.
"""

from __future__ import annotations

import os

from tests.integration.settings import *  # noqa: F403

ROOT_URLCONF = "tests.integration.saving_urls"
CACHES = {
    "default": {
        "BACKEND": "perfsuite.caching.TieredCache",
        "OPTIONS": {"RUN_DIR": os.path.join(os.environ["PERFSUITE_TEST_DIR"], "run")},
    }
}
PERFSUITE = {"CACHING": {"INVALIDATE": {"testapp.Book": ["shelf", "book:{id}"]}}}
