"""MongoDB observed on a host that does what it should not: clients made too early, commands that no server takes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from perfsuite.queries import kinds
from tests import servers
from tests.queries.test_sql import in_a_request
from tests.recorded import Recorded

if os.environ.get("TEST_DATABASE") not in ("djongo", "mongodb"):
    pytest.skip("about MongoDB; runs in its lanes", allow_module_level=True)

import pymongo

URL = os.environ.get("TEST_MONGODB_URL", "")
EARLY = """
import pymongo
from perfsuite.queries.mongo import event_listeners
from tests.settings import *

SILENCED_SYSTEM_CHECKS = ["perfsuite_queries.W002"]  # that djongo is to be left
first = pymongo.MongoClient({url!r}, connect=False{first})
second = pymongo.MongoClient({url!r}, connect=False{second})
"""
FIX = ", event_listeners=event_listeners()"


def check(folder: Path, first: str, second: str) -> subprocess.CompletedProcess[str]:
    """Run ``manage.py check`` on a host whose settings make two clients."""
    (folder / "early.py").write_text(EARLY.format(url=URL, first=first, second=second))
    path = os.pathsep.join((str(folder), str(servers.ROOT)))
    return subprocess.run(
        [sys.executable, "-m", "django", "check", "--settings=early", "--fail-level=WARNING"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("first", "second", "warnings"), [("", "", 2), (FIX, "", 1), ("", FIX, 1), (FIX, FIX, 0)]
)
def test_each_client_that_the_settings_make_is_reported_until_it_is_given_the_listeners(
    tmp_path: Path, first: str, second: str, warnings: int
) -> None:
    done = check(tmp_path, first, second)

    assert done.stderr.count("perfsuite_queries.W001") == warnings
    assert done.stderr.count("HINT: Make it after Django is set up") == warnings
    assert done.stderr.count("event_listeners=perfsuite.queries.mongo.event_listeners()") == warnings
    assert (done.returncode != 0) == (warnings > 0), done.stdout + done.stderr


@pytest.fixture
def things() -> Any:
    with pymongo.MongoClient(URL) as client:
        yield client["bad_input"].things
        client.drop_database("bad_input")


def nested(depth: int) -> dict[str, Any]:
    document: dict[str, Any] = {"secret": 1}
    for _ in range(depth):
        document = {"a": document}
    return document


def test_a_command_nested_deeper_than_a_server_takes_is_refused_as_ever_and_counted(
    recorded: Recorded, things: Any
) -> None:
    said: list[str] = []

    def work() -> None:
        for condition in (nested(200), {"$and": [{"$or": [nested(200)]}]}):
            with pytest.raises(pymongo.errors.OperationFailure) as caught:
                things.find_one(condition)
            said.append(str(caught.value))

    in_a_request(work)

    assert all("nest" in each.lower() or "depth" in each.lower() for each in said), said
    assert recorded.count(kinds.FAILED) == recorded.sum("requests.queries") == 2
    assert "secret" not in str(recorded.labels(kinds.FINGERPRINT))
    assert recorded.count("self.failures") == 0


def test_a_document_of_ten_thousand_keys_nested_a_hundred_deep_is_written_and_read(
    recorded: Recorded, things: Any
) -> None:
    wide = {f"key_{number}": number for number in range(10_000)}
    found: list[Any] = []

    def work() -> None:
        things.insert_one({"_id": 1, **wide, "deep": nested(97)})
        things.update_one({"_id": 1, **wide}, {"$set": {"deep": 2}})
        found.append(things.find_one({"_id": 1, **wide}))

    in_a_request(work)

    assert found[0]["deep"] == 2
    assert len(found[0]) == 10_002
    assert recorded.sum("requests.queries") == 3
    assert max(len(labels[0]) for labels in recorded.labels(kinds.FINGERPRINT)) <= 2_000
    assert recorded.count("self.failures") == 0
