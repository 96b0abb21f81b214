"""A djongo host's store is found whatever became of the client that all threads share, and is not waited for in vain."""

from __future__ import annotations

import os

import pytest
from django.db import connections

from perfsuite.exceptions import StoreUnavailable
from perfsuite.metrics.storages import get_storage
from perfsuite.metrics.storages.alias import store_alias
from tests.servers import free_port

if os.environ.get("TEST_DATABASE") != "djongo":
    pytest.skip("about pymongo 3, which djongo needs; runs in its lane", allow_module_level=True)

import pymongo

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_client_that_another_thread_has_closed_finds_its_server_again() -> None:
    assert get_storage().marks(["nothing"]) == {}
    connections[store_alias()].client_connection.close()

    assert get_storage().marks(["nothing"]) == {}


def test_a_row_that_is_there_already_does_not_cost_the_host_its_client() -> None:
    storage = get_storage()
    assert storage.move_mark("taken", None, 1)
    assert not storage.move_mark("taken", None, 2)

    assert connections[store_alias()].client_connection.nodes
    assert storage.marks(["taken"]) == {"taken": 1}


def test_a_client_that_was_never_used_finds_its_server(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = connections[store_alias()]
    connection.ensure_connection()
    with pymongo.MongoClient(os.environ["TEST_MONGODB_URL"], connect=False) as unused:
        monkeypatch.setattr(connection, "client_connection", unused)

        assert get_storage().marks(["nothing"]) == {}
        assert unused.nodes


def test_where_no_server_answers_the_store_says_so_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = connections[store_alias()]
    connection.ensure_connection()
    with pymongo.MongoClient("127.0.0.1", free_port(), connect=False) as nowhere:
        monkeypatch.setattr(connection, "client_connection", nowhere)

        with pytest.raises(StoreUnavailable, match="no MongoDB server answered within 5 s"):
            get_storage().marks(["nothing"])
