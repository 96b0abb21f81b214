"""MongoDB under the guard: clients of the host's own are seen, and the backend's collections are given back."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

ENGINE = os.environ.get("TEST_DATABASE", "")
if ENGINE not in ("djongo", "mongodb"):
    pytest.skip("about MongoDB; runs in its lanes", allow_module_level=True)

import pymongo  # noqa: E402
from django.db import connection  # noqa: E402

from perfsuite.exceptions import UnscopedStatement  # noqa: E402
from perfsuite.queries import kinds, mongo  # noqa: E402
from perfsuite.queries.tenant_guard import backend  # noqa: E402
from perfsuite.tenancy import tenant  # noqa: E402
from tests.queries.tenant_guard.conftest import Seen, in_a_request  # noqa: E402
from tests.recorded import Recorded  # noqa: E402
from tests.testapp.models import Author, Book  # noqa: E402

OWNED = {"TENANT_OWNED": {"orders": "tenant_id"}}
Guarding = Callable[..., None]
Take = Callable[[], list[Seen]]


@pytest.fixture
def orders() -> Iterator[Any]:
    """A collection of a client of the host's own, for a tenant."""
    with pymongo.MongoClient(os.environ["TEST_MONGODB_URL"]) as client:
        client.guarded.orders.insert_many([{"_id": number, "tenant_id": number % 2} for number in range(4)])
        with tenant(1):
            yield client.guarded.orders
        client.drop_database("guarded")


@pytest.mark.parametrize("mode", ["observe", "warn", "raise"])
def test_a_client_of_the_hosts_own_is_seen_in_each_mode_and_never_raises(
    guarding: Guarding, seen: Take, orders: Any, caplog: pytest.LogCaptureFixture, mode: str
) -> None:
    guarding(mode, **OWNED)

    def work() -> None:
        assert len(list(orders.find({"_id": {"$gt": 0}}))) == 3
        assert len(list(orders.find({"tenant_id": 1}))) == 2
        orders.update_many({"tenant_id": 1}, {"$set": {"x": 1}})

    in_a_request(work)

    (one,) = seen()
    assert one["subject"] == "guarded.orders.find{_id.$gt}"
    assert one["alias"] == mongo.BARE
    assert "test_clients.py" in one["site"]
    assert len([record for record in caplog.records if record.name == "perfsuite.queries"]) == (
        mode != "observe"
    )


def test_a_pipeline_that_is_not_understood_is_counted(
    guarding: Guarding, seen: Take, recorded: Recorded, orders: Any
) -> None:
    guarding("observe", **OWNED)
    pipeline: list[dict[str, Any]] = [{"$match": {f"f{number}": number for number in range(2_500)}}]
    in_a_request(lambda: list(orders.aggregate(pipeline)))
    assert recorded.sum(kinds.UNJUDGED) == 1
    assert seen() == []


@pytest.mark.skipif(ENGINE != "mongodb", reason="about django-mongodb-backend")
class TestBackend:
    def test_the_patch_is_on_once_while_it_raises_and_taken_back(self, guarding: Guarding) -> None:
        from django_mongodb_backend.base import DatabaseWrapper

        before = DatabaseWrapper.get_collection
        guarding("observe")
        assert DatabaseWrapper.get_collection is before
        guarding("raise")
        on = DatabaseWrapper.get_collection
        assert on is not before
        backend.install()
        assert DatabaseWrapper.get_collection is on
        guarding("warn")
        assert DatabaseWrapper.get_collection is before
        backend.uninstall()
        assert DatabaseWrapper.get_collection is before

    def test_a_patch_of_another_over_it_stays(
        self, guarding: Guarding, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from django_mongodb_backend.base import DatabaseWrapper
        from pymongo.collection import Collection

        guarding("raise")
        ours = DatabaseWrapper.get_collection

        def theirs(self: Any, name: str) -> Any:
            return ours(self, name)

        monkeypatch.setattr(DatabaseWrapper, "get_collection", theirs)
        guarding("off")
        assert type(connection.get_collection("testapp_book")) is Collection
        monkeypatch.undo()
        backend.uninstall()

    @pytest.mark.django_db
    def test_raw_queries_and_the_hosts_own_use_of_collections_raise_too(self, guarding: Guarding) -> None:
        author = Author.objects.create(name="mine")
        guarding("raise")
        books = connection.get_collection(Book._meta.db_table)
        leaks: list[Callable[[], object]] = [
            lambda: list(books.find({"title": "x"})),
            books.find_one,
            lambda: books.count_documents({}),
            lambda: books.distinct("title"),
            lambda: books.distinct("title", {"pages": 1}),
            lambda: books.update_one({"_id": 1}, {"$set": {"pages": 1}}),
            lambda: books.delete_many(filter={"pages": 1}),
            lambda: books.find_one_and_update({"_id": 1}, {"$set": {"pages": 1}}),
            lambda: books.aggregate([{"$match": {"pages": 1}}]),
            lambda: books.aggregate_raw_batches([{"$match": {"pages": 1}}]),
            lambda: books.find_raw_batches({"title": "x"}),
            books.estimated_document_count,
            lambda: books.with_options().find_one({"title": "x"}),
        ]
        with tenant(str(author.pk)):
            for leak in leaks:
                with pytest.raises(UnscopedStatement):
                    leak()
            assert books.count_documents({"author_id": "nobody"}) == 0
            assert books.distinct("title", {"author_id": "nobody"}) == []
            books.insert_one({"_id": 1, "author_id": "somebody"})
            assert len(list(books.find_raw_batches({"author_id": "somebody"}))) == 1
            assert len(list(books.aggregate_raw_batches([{"$match": {"author_id": "somebody"}}]))) == 1
            books.delete_one({"_id": 1, "author_id": "somebody"})
        list(books.find({"title": "x"}))  # for no tenant

    @pytest.mark.django_db
    def test_a_bulk_write_of_which_one_filter_forgets_the_tenant_is_not_sent(
        self, guarding: Guarding
    ) -> None:
        guarding("raise")
        books = connection.get_collection(Book._meta.db_table)
        kept = {"_id": 1, "author_id": "mine", "pages": 7}
        books.insert_one(kept)
        change = {"$set": {"pages": 1}}
        mine = {"author_id": "mine"}
        leaks: list[list[Any]] = [
            [pymongo.DeleteMany({})],
            [pymongo.DeleteOne({"_id": 1})],
            [pymongo.UpdateOne({"_id": 1}, change)],
            [pymongo.UpdateMany({}, change)],
            [pymongo.ReplaceOne({"_id": 1}, {"pages": 1})],
            [
                pymongo.UpdateMany(mine, change),
                pymongo.InsertOne({"_id": 2}),
                pymongo.DeleteMany({"pages": 1}),
            ],
        ]
        with tenant("mine"):
            for leak in leaks:
                with pytest.raises(UnscopedStatement):
                    books.bulk_write(requests=leak)
            assert list(books.find(mine)) == [kept]
            with pytest.raises(TypeError, match="is not a valid request"):
                books.bulk_write([{"_id": 1}])

            done = books.bulk_write(
                [
                    pymongo.InsertOne({"_id": 2, **mine}),
                    pymongo.UpdateMany(mine, change),
                    pymongo.DeleteOne(mine),
                ]
            )
            assert (done.inserted_count, done.modified_count, done.deleted_count) == (1, 2, 1)
            books.delete_many(mine)

    @pytest.mark.django_db
    def test_it_raises_where_django_keeps_a_log_of_queries_too(self, guarding: Guarding) -> None:
        author = Author.objects.create(name="mine")
        guarding("raise")
        connection.force_debug_cursor = True
        try:
            with tenant(str(author.pk)):
                with pytest.raises(UnscopedStatement):
                    list(Book.objects.all())
                assert list(Book.objects.filter(author=author)) == []
        finally:
            connection.force_debug_cursor = False
