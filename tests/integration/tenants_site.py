"""The test host with a tiered cache on a Valkey (``PERFSUITE_TEST_CACHE_URL``) and pages of several tenants: tenants_wsgi.py."""

from __future__ import annotations

import os

from tests.integration.settings import *  # noqa: F403

ROOT_URLCONF = "tests.integration.tenants_wsgi"
MAX_STALENESS_S = 2.0
CACHES = {
    "default": {
        "BACKEND": "perfsuite.caching.TieredCache",
        "LOCATION": "tenants",
        "OPTIONS": {"TIERS": {"cold": {"ALIAS": "shared"}}, "MAX_STALENESS": MAX_STALENESS_S},
    },
    "shared": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": os.environ["PERFSUITE_TEST_CACHE_URL"],
        "OPTIONS": {"SOCKET_TIMEOUT": 0.2, "SOCKET_CONNECT_TIMEOUT": 0.2},
    },
}
