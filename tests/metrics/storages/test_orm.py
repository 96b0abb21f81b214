"""The storage's contract on the database of this run, and that it leaves the host alone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import (
    DatabaseError,
    InterfaceError,
    OperationalError,
    ProgrammingError,
    connection,
    connections,
    transaction,
)
from django.db.models import signals
from django.test import override_settings

from perfsuite.exceptions import StoreUnavailable
from perfsuite.metrics.models import Bucket, Series
from perfsuite.metrics.request import Tally, current
from perfsuite.metrics.storages import BucketRow, SeriesRow, Span, Storage, get_storage, orm
from perfsuite.metrics.storages.access import BATCH, MAX_APPEND_S, explain
from perfsuite.metrics.storages.alias import store_alias
from perfsuite.metrics.storages.orm import ORMStorage
from tests.metrics.conftest import Clock
from tests.testapp.models import Author

pytestmark = pytest.mark.django_db(databases="__all__")


@pytest.fixture
def storage() -> Storage:
    return get_storage()


def row(start: int = 0, series: str = "a", resolution: int = 10, **numbers: Any) -> BucketRow:
    given = {"kind": "k", "count": 1, "sum": 2.0, "min": 2.0, "max": 2.0, "histogram": b"\x00\xff"}
    return BucketRow(id=uuid4(), resolution=resolution, start=start, series=series, **{**given, **numbers})


def count() -> int:
    return Bucket.objects.using(store_alias()).count()


# Rows


def test_what_is_appended_is_read_back_unchanged(storage: Storage) -> None:
    written = row(
        1_763_800_000,
        "s" * 16,
        kind="requests",
        count=2**40,
        sum=1e18,
        min=0.0,
        max=1e17,
        histogram=bytes(range(256)),
    )
    storage.append([written])
    (cell,) = storage.cells([Span(10, 1_763_800_000, 1_763_800_010)])
    assert tuple(cell) == tuple(written)[2:]
    assert type(cell.histogram) is bytes


def test_appending_nothing_is_allowed(storage: Storage) -> None:
    storage.append([])
    storage.append([], again=True)
    assert count() == 0


def test_more_rows_than_one_statement_takes_are_appended_by_several(storage: Storage) -> None:
    storage.append([row(n) for n in range(3 * BATCH + 7)])
    assert count() == 3 * BATCH + 7


def test_appending_again_leaves_rows_that_are_there_and_adds_the_others(storage: Storage) -> None:
    rows = [row(n, count=1) for n in range(2 * BATCH)]
    storage.append(rows[: BATCH + 5])
    storage.append([each._replace(count=99) for each in rows], again=True)
    assert count() == 2 * BATCH
    assert sorted(cell.count for cell in storage.cells([Span(10, 0, 1_000)])) == [1] * (BATCH + 5) + [99] * (
        BATCH - 5
    )


@pytest.mark.relational
def test_either_all_rows_are_written_or_none(storage: Storage) -> None:
    there = row()
    storage.append([there])
    rows = [row(n) for n in range(2 * BATCH)]
    with pytest.raises(DatabaseError):
        storage.append([*rows, there])
    assert count() == 1


@pytest.mark.relational
def test_an_append_that_took_too_long_is_rolled_back(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch, "perfsuite.metrics.storages.access")
    bulk_create = orm.Bucket.objects.all().__class__.bulk_create

    def slowly(*args: Any, **kwargs: Any) -> Any:
        made = bulk_create(*args, **kwargs)
        clock.move(MAX_APPEND_S + 1)
        return made

    monkeypatch.setattr(orm.Bucket.objects.all().__class__, "bulk_create", slowly)
    with pytest.raises(StoreUnavailable, match="over 30 s"):
        storage.append([row()])
    assert count() == 0


def test_cells_are_those_of_the_spans_the_kind_and_the_series(storage: Storage) -> None:
    storage.append(
        [row(start, series, resolution, kind=kind)
         for start in (0, 10, 20) for series in "ab" for resolution in (10, 60) for kind in ("k", "l")]
    )  # fmt: skip

    def found(*args: Any) -> set[tuple[int, str, str]]:
        cells = list(storage.cells(*args))
        assert len(cells) == len({tuple(cell) for cell in cells})
        return {(cell.start, cell.kind, cell.series) for cell in cells}

    assert found([]) == set()
    assert len(found([Span(10, 0, 30)])) == 12
    assert found([Span(10, 0, 10)], ("k",)) == {(0, "k", "a"), (0, "k", "b")}
    assert found([Span(10, 0, 1), Span(60, 20, 21)], ("k",), ["a"]) == {(0, "k", "a"), (20, "k", "a")}
    assert found([Span(10, 0, 30)], ("k",), []) == set()
    assert found([Span(10, 0, 10)], ("k", "l")) == {(0, k, s) for k in "kl" for s in "ab"}
    assert found([Span(600, 0, 30)]) == set()


def test_sums_are_made_by_series(storage: Storage) -> None:
    storage.append(
        [
            row(0, "a", count=2, sum=10.0, min=1.0, max=9.0),
            row(10, "a", count=3, sum=5.5, min=0.5, max=4.0),
            row(10, "b", count=1, sum=7.0, min=7.0, max=7.0),
            row(20, "a", count=50),
            row(0, "a", kind="other", count=50),
        ]
    )
    assert sorted(storage.sums([Span(10, 0, 20)], "k")) == [("a", 5, 15.5, 0.5, 9.0), ("b", 1, 7.0, 7.0, 7.0)]
    assert storage.sums([], "k") == []
    assert storage.sums([Span(10, 0, 20)], "k", ["b", "c"]) == [("b", 1, 7.0, 7.0, 7.0)]
    assert storage.sums([Span(10, 0, 20)], "k", []) == []
    assert all(type(n) is int for _, n, *_ in storage.sums([Span(10, 0, 20)], "k"))


def test_the_first_start_of_a_resolution_is_found_from_an_instant_on(storage: Storage) -> None:
    assert storage.first_start(10, None) is None
    storage.append([row(30), row(10), row(20, resolution=60), row(50)])
    assert storage.first_start(10, None) == 10
    assert storage.first_start(10, 10) == 10
    assert storage.first_start(10, 11) == 30
    assert storage.first_start(60, None) == 20
    assert storage.first_start(10, 51) is None


def test_trimming_deletes_old_rows_of_one_resolution_up_to_the_limit(storage: Storage) -> None:
    storage.append([row(n) for n in range(2 * BATCH)] + [row(0, resolution=60)])
    assert storage.count_before(10, 150) == 150
    assert storage.trim(10, 150, 120) == 120
    assert storage.first_start(10, None) == 120
    assert storage.trim(10, 150, 120) == 30
    assert storage.trim(10, 150, 120) == 0
    assert storage.count_before(10, 10_000) == 30
    assert storage.count_before(60, 10_000) == 1


# Series


def test_a_series_is_described_once_and_its_day_moves_forward(storage: Storage) -> None:
    rows = [SeriesRow(f"{n:016}", "k", f'["{n}"]') for n in range(2 * BATCH + 3)]
    storage.announce(rows[:50], 86_400)
    storage.announce(iter(rows), 2 * 86_400)
    storage.announce(rows[:3], 86_400)
    assert storage.describe([row.id for row in rows] + ["unknown"]) == {row.id: row for row in rows}
    assert set(Series.objects.using(store_alias()).values_list("seen", flat=True)) == {2 * 86_400}
    assert storage.describe([]) == {}


def test_descriptions_long_unannounced_are_deleted_up_to_the_limit(storage: Storage) -> None:
    storage.announce([SeriesRow(f"{n:016}", "k", "[]") for n in range(5)], 0)
    storage.announce([SeriesRow("young", "k", "[]")], 86_400)
    assert storage.trim_series(86_400, 3) == 3
    assert storage.trim_series(86_400, 3) == 2
    assert storage.trim_series(86_400, 3) == 0
    assert storage.describe(["young"]) != {}


# Marks and leases


def test_a_mark_moves_only_from_the_value_it_has(storage: Storage) -> None:
    assert storage.marks(["m", "n"]) == {}
    assert not storage.move_mark("m", 5, 6)
    assert storage.move_mark("m", None, 10)
    assert not storage.move_mark("m", None, 11)
    assert not storage.move_mark("m", 9, 11)
    assert storage.move_mark("m", 10, 5)
    assert storage.marks(["m", "n"]) == {"m": 5}


@pytest.mark.relational
def test_a_mark_that_the_database_refuses_is_not_taken_for_one_that_is_there(storage: Storage) -> None:
    nothing: Any = None
    with pytest.raises(DatabaseError):
        storage.move_mark("m", None, nothing)
    assert storage.marks(["m"]) == {}


def test_a_lease_moves_only_from_the_owner_and_beat_it_has(storage: Storage) -> None:
    assert storage.read_lease("l") is None
    assert not storage.move_lease("l", ("", 0), ("a", 1))
    assert storage.move_lease("l", None, ("a", 1))
    assert not storage.move_lease("l", None, ("b", 1))
    assert not storage.move_lease("l", ("a", 2), ("b", 3))
    assert not storage.move_lease("l", ("b", 1), ("b", 2))
    assert storage.move_lease("l", ("a", 1), ("b", 2))
    assert storage.read_lease("l") == ("b", 2)


@pytest.mark.django_db(databases="__all__", transaction=True)
def test_of_many_threads_that_move_one_mark_one_succeeds(storage: Storage) -> None:
    def attempts(old: int | None, new: int) -> list[bool]:
        won: list[bool] = []
        begin = threading.Barrier(4)

        def attempt() -> None:
            begin.wait()
            try:
                won.append(storage.move_mark("m", old, new))
            except StoreUnavailable:  # a shared in-memory SQLite refuses a second writer at once
                won.append(False)
            finally:
                connections.close_all()

        threads = [threading.Thread(target=attempt) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return won

    for value in range(10):
        won = attempts(None if value == 0 else value - 1, value)
        assert won.count(True) == 1
        assert storage.marks(["m"]) == {"m": value}


# The host


@pytest.mark.relational
def test_no_statement_of_the_storage_counts_for_the_request_in_hand(storage: Storage) -> None:
    tally = Tally()
    token = current.set(tally)
    try:
        storage.append([row()], again=True)
        storage.announce([SeriesRow("a", "k", "[]")], 0)
        list(storage.cells([Span(10, 0, 10)]))
        storage.move_mark("m", None, 1)
        assert tally.statements()[0] == 0
        Author.objects.exists()
        assert tally.statements()[0] == 1
    finally:
        current.reset(token)


def test_a_host_that_listens_to_the_signals_of_all_models_hears_nothing(storage: Storage) -> None:
    heard: list[object] = []

    def listen(sender: object, **kwargs: object) -> None:
        heard.append(sender)

    listened = (signals.pre_save, signals.post_save, signals.pre_delete, signals.post_delete)
    for signal in listened:
        signal.connect(listen)
    try:
        storage.append([row(n) for n in range(5)])
        storage.announce([SeriesRow("a", "k", "[]")], 0)
        storage.move_mark("m", None, 1)
        storage.move_mark("m", 1, 2)
        storage.move_lease("l", None, ("a", 1))
        assert storage.trim(10, 100, 10) == 5
        assert storage.trim_series(100, 10) == 1
    finally:
        for signal in listened:
            signal.disconnect(listen)
    assert heard == []


@pytest.fixture
def _store_without_tables() -> Iterator[None]:
    """Make the store one whose tables are missing, which the storage cannot mend itself."""
    if store_alias() == "default":
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {Bucket._meta.db_table} RENAME TO moved_away")
        yield  # the test's transaction is rolled back
    else:
        with override_settings(PERFSUITE={"METRICS": {"DATABASE": "default"}}):
            yield


READS: list[Callable[[Storage], object]] = [
    lambda storage: storage.cells([Span(10, 0, 10)]),
    lambda storage: storage.sums([Span(10, 0, 10)], ("k",)),
    lambda storage: storage.first_start(10, None),
    lambda storage: storage.count_before(10, 100),
    lambda storage: storage.trim(10, 100, 10),
    lambda storage: storage.append([row()]),
    lambda storage: storage.append([row()], again=True),
]


@pytest.mark.usefixtures("_store_without_tables")
@pytest.mark.parametrize("use", READS)
@pytest.mark.relational
def test_missing_tables_are_one_sentence_that_says_what_to_type(
    storage: Storage, use: Callable[[Storage], object]
) -> None:
    with pytest.raises(StoreUnavailable) as caught:
        use(storage)
    assert str(caught.value) == (
        "The metrics tables are missing on the database 'default'; "
        "type: python manage.py migrate --database default"
    )
    assert isinstance(caught.value.__cause__, DatabaseError)


@pytest.mark.usefixtures("_store_without_tables")
@pytest.mark.relational
def test_a_store_that_fails_does_not_break_the_transaction_that_the_host_is_in(
    storage: Storage,
) -> None:
    with transaction.atomic():
        Author(name="before").save(force_insert=True)
        with pytest.raises(StoreUnavailable):
            list(storage.cells([Span(10, 0, 10)]))
        assert Author.objects.filter(name="before").exists()
        Author(name="after").save(force_insert=True)
    assert Author.objects.count() == 2


@override_settings(PERFSUITE={"METRICS": {"DATABASE": "misspelt"}})
def test_an_alias_that_does_not_exist_is_a_store_that_is_unavailable(storage: Storage) -> None:
    with pytest.raises(StoreUnavailable, match="'misspelt' cannot be used"):
        storage.marks(["m"])


@pytest.mark.parametrize(
    "path", ["perfsuite.no.such.Storage", "perfsuite.metrics.storages.orm.Missing", "nodots", ""]
)
def test_a_storage_class_that_cannot_be_loaded_is_a_store_that_is_unavailable(path: str) -> None:
    with (
        override_settings(PERFSUITE={"METRICS": {"STORAGE": path}}),
        pytest.raises(StoreUnavailable, match="which cannot be used"),
    ):
        get_storage()


def test_what_djongo_and_mongodb_repeat_is_left_out_of_the_sentence() -> None:
    refused = RuntimeError(
        "not authorized on store to execute command { insert: 1 }, full error: {'ok': 0.0}"
    )
    exc = DatabaseError("\n\n\tKeyword: None\n\tSub SQL: None\n\tFAILED SQL: None")
    exc.__cause__ = refused

    assert explain("default", exc).endswith("cannot be used (DatabaseError: not authorized on store).")


def test_another_storage_is_named_by_its_dotted_path() -> None:
    path = f"{OtherStorage.__module__}.{OtherStorage.__name__}"
    with override_settings(PERFSUITE={"METRICS": {"STORAGE": path}}):
        assert type(get_storage()) is OtherStorage
        assert get_storage() is get_storage()
    assert type(get_storage()) is ORMStorage


class OtherStorage(ORMStorage):
    pass


@pytest.mark.parametrize(
    ("exc", "missing"),
    [
        (OperationalError("no such table: perfsuite_metrics_bucket"), True),
        (ProgrammingError('relation "perfsuite_metrics_bucket" does not exist\nLINE 1: SELECT'), True),
        (ProgrammingError("(1146, \"Table 'site.perfsuite_metrics_mark' doesn't exist\")"), True),
        (OperationalError('FATAL:  database "perfsuite" does not exist'), False),
        (OperationalError('FATAL:  role "perfsuite" does not exist'), False),
        (OperationalError("unable to open database file"), False),
        (OperationalError("connection refused\nIs the server running?"), False),
        (InterfaceError(""), False),
    ],
)
def test_what_the_database_says_becomes_one_sentence(exc: Exception, missing: bool) -> None:
    sentence = explain("metrics", exc)
    assert "\n" not in sentence
    assert ("migrate --database metrics" in sentence) is missing
    if not missing:
        assert type(exc).__name__ in sentence


@pytest.mark.django_db(databases="__all__", transaction=True)
def test_a_connection_that_is_let_go_is_opened_again_when_needed(storage: Storage) -> None:
    storage.close()
    assert storage.marks(["m"]) == {}


def test_ids_may_be_any_uuid(storage: Storage) -> None:
    for n in (0, 1, 2**127, 2**128 - 1):
        storage.append([row()._replace(id=UUID(int=n))])
    assert count() == 4
