"""The stream over a link that is cut again and again: nothing that was said is lost."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.caching.tiers.conftest import alias, with_shared
from tests.integration.site import wait_until
from tests.valkey import Valkey

INVALIDATIONS = 1_000


class Link:
    """A TCP proxy to a port of this machine, whose connections can be cut."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self._open: set[socket.socket] = set()
        self.cuts = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                here, _ = self._server.accept()
                there = socket.create_connection(("127.0.0.1", self._to))
                self._open |= {here, there}
                for one, other in ((here, there), (there, here)):
                    threading.Thread(target=self._pass_on, args=(one, other), daemon=True).start()

    def _pass_on(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65_536):
                other.sendall(data)
        for each in (one, other):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def cut(self) -> None:
        self.cuts += 1
        for each in list(self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._open.clear()

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)  # else the thread that waits for the next connection gets it
        self._server.close()
        self.cut()


@pytest.fixture
def link(valkey: Valkey) -> Iterator[Link]:
    made = Link(valkey.port)
    yield made
    made.close()


def test_a_thousand_invalidations_over_cuts_leave_nothing_stale(
    settings: Any, valkey: Valkey, link: Link
) -> None:
    behind_link = {**alias(valkey), "LOCATION": f"redis://127.0.0.1:{link.port}/0"}
    settings.CACHES = {**settings.CACHES, "shared": alias(valkey), "linked": behind_link}
    name = f"test-{os.urandom(6).hex()}"
    here = with_shared(name)
    there = with_shared(name, TIERS={"cold": {"ALIAS": "linked"}}, RETRY_AFTER=0.02)
    versions = dict.fromkeys((f"k{number}" for number in range(50)), 0)
    for number in range(INVALIDATIONS):
        key = f"k{number % 50}"
        versions[key] = number
        here.invalidate_tags(f"tag:{key}")
        here.set(key, number, tags=[f"tag:{key}"])
        there.get(f"k{(number * 7) % 50}")
        if number % 40 == 20:
            link.cut()
    reader = there.engine.shared.reader
    healed = time.time()
    wait_until(
        lambda: reader.synced_at > healed and not there.engine.shared.breaker.is_open, "the link to heal"
    )
    assert link.cuts == INVALIDATIONS // 40
    found = there.get_many(list(versions))
    assert {key: found.get(key, versions[key]) for key in versions} == versions
    assert len(found) > 40


def test_a_process_that_was_forked_reads_the_stream_with_a_thread_of_its_own(
    settings: Any, valkey: Valkey
) -> None:
    settings.CACHES = {**settings.CACHES, "shared": alias(valkey)}
    name = f"test-{os.urandom(6).hex()}"
    here = with_shared(name)
    here.set("k", "old")
    read, write = os.pipe()
    child = os.fork()
    if not child:
        code = 1
        with contextlib.suppress(Exception):
            assert here.get("k") == "old"
            os.write(write, b"ready")
            wait_until(lambda: here.get("k") == "new", "the change", timeout_s=20)
            code = 0
        os._exit(code)
    assert os.read(read, 10) == b"ready"
    here.set("k", "new")
    assert os.waitpid(child, 0)[1] == 0
    os.close(read)
    os.close(write)


def test_importing_the_backend_starts_no_thread() -> None:
    import subprocess
    import sys

    code = "import threading, perfsuite.caching; print(threading.active_count())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"
