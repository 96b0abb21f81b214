"""The store never stands in the way of a SQLite host's own transactions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.integration.site import ON_POSTGRESQL, Site

pytestmark = pytest.mark.skipif(ON_POSTGRESQL, reason="about SQLite hosts; runs in the SQLite lanes")


def test_two_thousand_read_then_write_transactions_never_find_the_database_locked(site: Site) -> None:
    done = site.run("-m", "tests.integration.transactions", "2000", timeout_s=200, measured=True)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["locked"] == 0
    assert said["transactions"] == said["pages"] == 2_000
    assert said["flushes"] >= 50
    assert said["unwritten"] == 0
    assert site.count() == said["flushes"]


def test_the_hosts_file_holds_no_table_of_the_store(site: Site, tmp_path: Path) -> None:
    tables = site.run(
        "-c",
        "import django; django.setup()\n"
        "from django.db import connection\n"
        "print([name for name in connection.introspection.table_names() if name.startswith('perfsuite')])",
    )
    assert tables.stdout.strip() == "[]", tables.stderr
    assert not site.store_file.exists()  # it is made by the first process that has something to keep
