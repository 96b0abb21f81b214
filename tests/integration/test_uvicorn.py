"""An ASGI server loses nothing with the documented wiring, and at most one flush interval without it."""

from __future__ import annotations

import signal

import django

from tests.integration.site import Site, visit
from tests.recorded import SELECT

# Async streams came with Django 4.2; before, under ASGI, a stream could not ask the database.
STREAMED = 2 if django.VERSION >= (4, 2) else 0
STREAM = "/async/stream/2/" if STREAMED else "/stream/0/"
PATHS = ["/async/zero/", "/async/queries/3/", "/zero/", STREAM]
STATEMENTS = 3 + STREAMED


def test_with_the_lifespan_wiring_nothing_is_lost(site: Site) -> None:
    with site.uvicorn(app="tests.integration.lifespan_asgi:application") as server:
        visit(server, PATHS * 40, threads=8)
        server.stop(signal.SIGTERM)
        log = server.output()
    assert site.count() == 4 * 40, log
    assert site.sum("requests.queries") == site.count("queries")
    assert site.totals("queries")["default", SELECT][0] == STATEMENTS * 40


def test_without_it_at_most_one_flush_interval_is_lost(site: Site) -> None:
    with site.uvicorn() as server:
        visit(server, PATHS * 10)
        site.wait_for(40)
        visit(server, ["/zero/"] * 10)
        server.stop(signal.SIGTERM)
    assert 40 <= site.count() <= 50
