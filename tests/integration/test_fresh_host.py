"""What a new host sees first: ``migrate``, then the development server."""

from __future__ import annotations

import contextlib
import os
import signal
import sys

from tests import servers
from tests.integration.site import ON_POSTGRESQL, Site, get, visit, wait_until

TABLES = "import django; django.setup(); from django.db import connection as c; print(*c.introspection.table_names())"


def test_migrate_makes_the_store_where_it_belongs(empty_site: Site) -> None:
    empty_site.manage("migrate", "--verbosity", "0")
    tables = {
        name for name in empty_site.run("-c", TABLES).stdout.split() if name.startswith("perfsuite_metrics")
    }
    if ON_POSTGRESQL:
        assert {"perfsuite_metrics_bucket", "perfsuite_metrics_series", "perfsuite_metrics_lease"} <= tables
    else:
        assert tables == set()
    assert "No migrations to apply" in empty_site.manage("migrate")
    assert empty_site.manage("makemigrations", "--check", "--dry-run")
    assert empty_site.manage("check", "--deploy", "--tag", "perfsuite")


def test_the_development_server_records_in_its_reloaded_child(site: Site) -> None:
    site.options = {"METRICS": {"FLUSH_INTERVAL_S": 1.0}}
    port = servers.free_port()
    command = [sys.executable, "-m", "django", "runserver", f"127.0.0.1:{port}"]
    server = servers.start(command, port, site.folder / "log", site.env)
    try:
        server.wait_until_listening()
        visit(server, ["/zero/", "/queries/3/"] * 10)
        site.wait_for(20)
        assert site.count() == 20
        assert site.sum("requests.queries") == 30
        get(server, "/zero/")
        wait_until(lambda: site.count() == 21, "the next flush")
    finally:
        server.stop(signal.SIGTERM)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)  # the child of the reloader, should it still be there
