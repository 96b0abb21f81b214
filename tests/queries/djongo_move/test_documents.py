"""What becomes of a document: pure rules, with keys from a dict."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

import pytest

from perfsuite.queries.djongo_move import documents
from perfsuite.queries.djongo_move.documents import Collection, GenericReference, Reference

IDS = {("author", 1): "id-of-author-1", ("book", 7): "id-of-book-7"}
SOME = uuid.UUID("00112233445566778899aabbccddeeff")


class Keys:
    def object_id(self, collection: str, old: Any) -> Any:
        return IDS.get((collection, old))

    def collection_of_content_type(self, old: Any) -> str | None:
        return {1: "author", 2: "book"}.get(old)


BOOK = Collection(
    "book",
    frozenset({"title", "author_id", "editor_id", "code"}),
    {"code": documents.uuid_as_hex},
    {"author_id": Reference("author", nullable=False), "editor_id": Reference("author", nullable=True)},
)


def test_a_document_keeps_its_object_id_and_refers_to_others_by_theirs() -> None:
    old = {"_id": "A", "id": 7, "title": "T", "author_id": 1, "editor_id": None, "code": SOME.bytes}
    new = {"_id": "A", "title": "T", "author_id": "id-of-author-1", "editor_id": None, "code": SOME.hex}
    assert BOOK.moved(old, Keys()) == (new, [])


def test_a_reference_that_leads_nowhere_is_null_and_told() -> None:
    old = {"_id": "A", "id": 7, "title": "T", "author_id": 99, "editor_id": 98}
    new, dangling = BOOK.moved(old, Keys())
    assert (new["author_id"], new["editor_id"], dangling) == (None, None, ["author_id", "editor_id"])


def test_what_no_field_has_is_left_behind_and_told() -> None:
    old = {"_id": "A", "id": 7, "title": "T", "formerly": 1}
    assert BOOK.moved(old, Keys())[0] == {"_id": "A", "title": "T"}
    assert BOOK.left_behind(old) == {"formerly"}


@pytest.mark.parametrize(
    ("content_type", "object_id", "as_text", "expected"),
    [
        (2, 7, False, "id-of-book-7"),
        (2, "7", True, "id-of-book-7"),
        (2, "8", True, "8"),  # deleted since, as the admin's log often says
        (3, "7", True, "7"),  # of a model that is gone
        (None, None, True, None),
        (2, "a-slug", True, "a-slug"),
    ],
)
def test_a_generic_reference_follows_its_content_type(
    content_type: int | None, object_id: object, as_text: bool, expected: object
) -> None:
    generic = (GenericReference("content_type_id", "object_id", as_text),)
    log = Collection("log", frozenset({"content_type_id", "object_id"}), generic=generic)
    old = {"_id": "A", "content_type_id": content_type, "object_id": object_id}
    assert log.moved(old, Keys())[0]["object_id"] == expected


@pytest.mark.parametrize(
    ("convert", "old", "new"),
    [
        (documents.uuid_as_hex, SOME.bytes, SOME.hex),
        (documents.uuid_as_hex, SOME, SOME.hex),
        (documents.uuid_as_hex, str(SOME), SOME.hex),
        (documents.milliseconds, 1_500_000, 1_500),
        (documents.time_of_day, datetime(1900, 1, 1, 9, 30), datetime(1, 1, 1, 9, 30)),
        (documents.time_of_day, "09:30", "09:30"),
    ],
)
def test_values_that_both_store_differently(convert: Any, old: object, new: object) -> None:
    assert convert(old) == new
