"""The key of parameters."""

from __future__ import annotations

import datetime
import decimal
import gc
import sys
import uuid
import weakref
from typing import Any

import pytest

from perfsuite.queries import parameters
from perfsuite.queries.mongo_values import kept_of_command, key_of_command
from perfsuite.queries.parameters import kept, key_of

MEGABYTE = 1_000_000


class Unlike:
    """Something that a driver adapts; it cannot be compared."""

    __hash__ = None  # type: ignore[assignment]


class Unhashable(str):
    """A text of a host's own class, as bson's Code is."""

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]


class Hostile(int):
    """A number of a host's own class that says nothing of itself."""

    def __hash__(self) -> int:
        raise LookupError("nobody knows")

    def __str__(self) -> str:
        raise LookupError("nobody knows")


@pytest.mark.parametrize(
    "make",
    [
        tuple,
        lambda: (Unhashable("a"), [Unhashable("b" * MEGABYTE)]),
        lambda: (1,),
        lambda: [1, "a"],
        lambda: (datetime.date(2026, 1, 1), decimal.Decimal("1.5"), None, True, 2.5),
        lambda: (uuid.UUID(int=7),),
        lambda: {"name": "x"},
        lambda: ([1, 2, [3]],),
        lambda: ("x" * MEGABYTE,),
        lambda: (b"x" * MEGABYTE,),
        lambda: (bytearray(b"x" * MEGABYTE), memoryview(b"abc")),
        lambda: tuple(range(1_000)),
    ],
)
def test_alike_parameters_have_the_same_key(make: Any) -> None:
    assert key_of(make()) == key_of(make())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((1,), (2,)),
        (("a",), ("b",)),
        (("a", "b"), ("b", "a")),
        (("x" * MEGABYTE,), ("x" * (MEGABYTE + 1),)),
        (("x" * MEGABYTE,), ("x" * (MEGABYTE - 1) + "y",)),
        ((b"x" * MEGABYTE,), (b"y" + b"x" * (MEGABYTE - 1),)),
        ({"name": "x"}, {"name": "y"}),
        (([1, 2],), ([1, 3],)),
        ((Unlike(),), (Unlike(),)),
        ((Unhashable("a"),), (Unhashable("b"),)),
        # what has no hash is like nothing, and never a failure: ten of these would switch the hook off
        ((decimal.Decimal("sNaN"),), (decimal.Decimal("sNaN"),)),
        ([decimal.Decimal("sNaN")], [decimal.Decimal("sNaN")]),
        ((Hostile(4),), (Hostile(4),)),
        (tuple(range(1_000)), tuple(range(1, 1_001))),
    ],
)
def test_unlike_parameters_have_other_keys(one: Any, other: Any) -> None:
    assert key_of(one) != key_of(other)


def test_a_large_parameter_is_read_in_pieces_and_not_kept_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    class Blob(bytes):
        """Bytes of a host's own class, to which there can be weak references."""

    hashed: list[int] = []
    monkeypatch.setattr(parameters, "hash", lambda value: hashed.append(_size(value)) or 1, raising=False)
    blob = Blob(MEGABYTE)
    alive = weakref.ref(blob) if hasattr(blob, "__weakref__") else None
    key_of((blob, "x" * MEGABYTE))
    before = sys.getrefcount(blob)
    key_of((blob,))

    assert max(hashed) < 2_000
    assert sys.getrefcount(blob) == before
    del blob
    gc.collect()
    assert alive is None or alive() is None


def _size(value: Any) -> int:
    return (
        sum(map(_size, value))
        if isinstance(value, tuple)
        else len(value)
        if isinstance(value, (str, bytes))
        else 1
    )


def test_very_deep_values_end_somewhere() -> None:
    deep: list[Any] = []
    for _ in range(10_000):
        deep = [deep]
    assert isinstance(key_of((deep,)), int)


def test_kept_parameters_are_plain_short_and_few() -> None:
    given = (1, None, "x" * MEGABYTE, b"abc", datetime.date(2026, 1, 2), *range(1_000))

    assert kept(given)[:2] == [1, None]
    assert kept(given)[3:5] == ["<3 bytes>", "2026-01-02"]
    assert len(kept(given)[2]) == parameters.MAX_CHARS
    assert len(kept(given)) == parameters.MAX_VALUES
    assert kept({"a": 1}) == [1]
    assert kept(None) == []
    assert kept((Hostile(4), 2)) == ["<Hostile>", 2]


def test_values_of_mongodb_that_have_no_hash_are_told_apart() -> None:
    bson = pytest.importorskip("bson", reason="pymongo is not installed; runs in the MongoDB lanes")

    def values() -> list[Any]:
        return [
            bson.Decimal128("1.5"),
            bson.Decimal128("2.5"),
            bson.Regex("^a"),
            bson.Regex("^a" * MEGABYTE),
            bson.Code("a", {"b": 1}),
            bson.DBRef("a", 1, b=[1]),
        ]

    keys = [key_of_command("find", {"filter": {"a": value}}) for value in values()]
    assert keys == [key_of_command("find", {"filter": {"a": value}}) for value in values()]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("delete", {"deletes": [{"q": {"a": {"$in": 5}}}]}),
        ("update", {"updates": [{"q": {"a": {"$in": None}}, "u": {}}]}),
        ("aggregate", {"pipeline": [5, None, {"$match": {"a": 1}}]}),
    ],
)
def test_commands_that_the_server_refuses_have_keys_too(name: str, command: dict[str, Any]) -> None:
    assert key_of_command(name, command) == key_of_command(name, command)


@pytest.mark.parametrize(
    ("name", "command", "is_batch"),
    [
        ("find", {"filter": {"_id": 1}}, False),
        ("insert", {"documents": [{"_id": 1}]}, False),
        ("insert", {"documents": [{"_id": 1}, {"_id": 2}]}, True),
        ("update", {"updates": [{"q": {"_id": 1}, "u": {}}]}, False),
        ("delete", {"deletes": [{"q": {}}, {"q": {}}]}, True),
        ("aggregate", {"pipeline": [{"$match": {"a": 1}}]}, False),
        ("ping", {"ping": 1}, False),
        ("find", {"filter": {str(number): number for number in range(10_000)}}, False),
    ],
)
def test_commands_have_keys_by_their_values_and_batches_none(
    name: str, command: dict[str, Any], is_batch: bool
) -> None:
    key = key_of_command(name, command)
    assert (key is None) is is_batch
    assert key == key_of_command(name, command)


@pytest.mark.parametrize(
    ("name", "command", "expected"),
    [
        ("find", {"filter": {"_id": 1, "name": {"$in": ["a", "b"]}}, "limit": 5}, [1, "a", "b"]),
        ("find", {}, []),
        ("count", {"query": {"a": {"$gt": 1.5}}}, [1.5]),
        ("findAndModify", {"query": {"a": None}, "update": {"$set": {"a": 2}}}, [None]),
        ("aggregate", {"pipeline": [{"$match": {"a": 1}}, {"$limit": 2}]}, [1, 2]),
        ("insert", {"documents": [{"_id": 1, "text": "x" * MEGABYTE}]}, [1, "x" * parameters.MAX_CHARS]),
        ("update", {"updates": [{"q": {"_id": 1}, "u": {"$set": {"a": b"abc"}}}]}, [1, "<3 bytes>"]),
        ("ping", {"ping": 1}, []),
        (
            "find",
            {"filter": {str(number): number for number in range(10_000)}},
            list(range(parameters.MAX_VALUES)),
        ),
        ("find", {"filter": "no filter"}, []),
    ],
)
def test_kept_values_of_a_command_come_in_its_order_and_are_short_and_few(
    name: str, command: dict[str, Any], expected: list[Any]
) -> None:
    assert kept_of_command(name, command) == expected


def test_values_that_lie_too_deep_are_not_kept() -> None:
    deep: Any = "secret"
    for _ in range(10_000):
        deep = {"$not": deep}
    assert kept_of_command("find", {"filter": {"a": 1, "b": deep}}) == [1]
