"""A site behind CompressionMiddleware: settings, URLs and both applications, for gunicorn and uvicorn.

A stream makes its event ``n`` only when the file ``go-n`` is there, and leaves the file ``closed`` behind when it ends.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from tests.integration.settings import *  # noqa: F403

ROOT_URLCONF = "tests.integration.compressed_urls"
MIDDLEWARE = ["perfsuite.responses.CompressionMiddleware", "django.middleware.http.ConditionalGetMiddleware"]
FOLDER = Path(os.environ["PERFSUITE_TEST_DIR"])
WAIT_S = 20.0


def events() -> Iterator[str]:
    try:
        for n in range(1_000):
            deadline = time.monotonic() + WAIT_S
            while not (FOLDER / f"go-{n}").exists() and time.monotonic() < deadline:
                time.sleep(0.01)
            yield f"data: event {n}\n\n"
    finally:
        (FOLDER / "closed").touch()


async def async_events() -> AsyncIterator[str]:
    try:
        for n in range(1_000):
            deadline = time.monotonic() + WAIT_S
            while not (FOLDER / f"go-{n}").exists() and time.monotonic() < deadline:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            yield f"data: event {n}\n\n"
    finally:
        (FOLDER / "closed").touch()
