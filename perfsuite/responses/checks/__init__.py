"""System checks of the responses app; importing this registers them."""

from __future__ import annotations

from perfsuite.responses.checks import caching as _caching  # noqa: F401 - registers them
from perfsuite.responses.checks import compression as _compression  # noqa: F401 - registers them
