"""The settings of the tests with nothing measured from the start, and a test database that no other run uses."""

from __future__ import annotations

from tests.settings import *  # noqa: F403
from tests.settings import DATABASES, VAR

PERFSUITE = {"METRICS": {"ENABLED": False}}
_is_sqlite = DATABASES["default"]["ENGINE"].endswith("sqlite3")
DATABASES["default"]["TEST"] = {"NAME": str(VAR / "test_off.sqlite3") if _is_sqlite else "test_perfsuite_off"}
