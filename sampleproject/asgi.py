"""The ASGI entry point: `uvicorn sampleproject.asgi:application`.

`with_lifespan` writes what perfsuite still holds when the server stops; under WSGI the end of the process does that.
"""

from __future__ import annotations

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sampleproject.settings")
django_application = get_asgi_application()

from perfsuite.metrics.asgi import with_lifespan  # noqa: E402  (Django must be set up first)

application = with_lifespan(django_application)
