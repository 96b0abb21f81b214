"""The test host under ASGI with the documented lifespan wiring."""

from __future__ import annotations

from perfsuite.metrics.asgi import with_lifespan
from tests.asgi import application as django_application

application = with_lifespan(django_application)
