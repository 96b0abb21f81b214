"""The store is lost in the middle of a flush, before or after it has written: nothing is lost or counted twice."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tests.integration.cutting import wire
from tests.integration.faults import ROUTES, with_store
from tests.integration.site import ENGINE, MongoDatabase, Site, visit, wait_until

# The rows of a flush that has requests in it.
ROWS = [b'INSERT INTO "perfsuite_metrics_bucket"', b"requests.status"]
DOCUMENTS = [b"\x02insert\0\x19\0\0\0perfsuite_metrics_bucket\0", b"requests.status"]
# What the site sends up to the answer that gets lost, and whether its rows are in the store by then.
CUTS: dict[str, dict[str, tuple[list[bytes], bool]]] = {
    "sqlite": {},
    "postgresql": {
        "before the commit": (ROWS, False),
        "after the commit": ([*ROWS, b"COMMIT"], True),
    },
    "mongodb": {"after the insert": (DOCUMENTS, True)},
}
CUTS["djongo"] = CUTS["mongodb"]

pytestmark = pytest.mark.skipif(
    ENGINE == "sqlite", reason="SQLite is not reached by a wire; runs in the other lanes"
)


@pytest.mark.parametrize("cut", CUTS[ENGINE])
def test_rows_whose_writing_got_no_answer_are_in_the_store_once(
    site: Site, database_server: Any, cut: str
) -> None:
    words, are_written = CUTS[ENGINE][cut]
    direct = with_store(site, database_server)
    direct.options["METRICS"]["MAX_PENDING_ROWS"] = 10_000
    store: Any = direct.store
    port = store.port if ENGINE == "postgresql" else database_server.port
    with wire(port) as line:
        over_the_wire = dataclasses.replace(direct, store=through(store, port, line.port))
        with over_the_wire.gunicorn("--workers", "1", "--threads", "2") as server:
            before = len(visit(server, ROUTES * 5))
            direct.wait_for(before)
            line.cut_after(words)
            during = len(visit(server, ROUTES * 5, threads=1))
            wait_until(line.was_cut.is_set, "a flush whose answer is lost")
            assert (direct.count() > before) == are_written
            wait_until(lambda: "cannot be used" in server.output(), "the complaint")
            during += len(visit(server, ROUTES * 5))
            line.mend()
            wait_until(lambda: "works again" in server.output(), "the recovery")
            after = len(visit(server, ROUTES * 5))
            server.stop()
            log = server.output()
    assert direct.count() == before + during + after
    assert direct.count("requests.route") == before + during + after
    assert direct.count("self.dropped") == 0
    assert log.count("cannot be used") == 1
    assert "Traceback" not in log


def through(store: Any, port: int, other_port: int) -> Any:
    """Return the same database, reached by another port."""
    if isinstance(store, MongoDatabase):
        return dataclasses.replace(store, url=store.url.replace(f":{port}/", f":{other_port}/"))
    return dataclasses.replace(store, port=other_port)
