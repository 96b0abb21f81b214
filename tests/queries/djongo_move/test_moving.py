"""``manage.py copy_from_djongo`` and ``compare_databases`` between two databases of a real server."""

from __future__ import annotations

import copy
import json
import os
import uuid
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection

from tests.testapp.models import Author, Book

if os.environ.get("TEST_DATABASE") != "mongodb":
    pytest.skip("about django-mongodb-backend; runs in its lane", allow_module_level=True)

import pymongo

from tests.queries.djongo_move import shapes

URL = os.environ["TEST_MONGODB_URL"]
OLD = f"{URL}old_of_djongo"


@pytest.fixture
def old(transactional_db: None) -> Iterator[Any]:
    """Return a database as djongo leaves it; the new one is the default alias, as `migrate` leaves it."""
    with pymongo.MongoClient(URL) as client:
        client.drop_database("old_of_djongo")
        database = client["old_of_djongo"]
        for name, documents in shapes.DOCUMENTS.items():
            database[name].insert_many(copy.deepcopy(documents))
        database["__schema__"].insert_one({"name": "auth_user", "auto": {"field_names": ["id"], "seq": 7}})
        yield database
        client.drop_database("old_of_djongo")


def run(command: str, **options: Any) -> tuple[int, list[str], str]:
    out, err = StringIO(), StringIO()
    code = 0
    try:
        call_command(command, stdout=out, stderr=err, **options)
    except SystemExit as exc:
        code = int(str(exc.code))
    return code, out.getvalue().splitlines(), err.getvalue()


def copied(**options: Any) -> tuple[int, list[str], str]:
    return run("copy_from_djongo", source=OLD, apply=True, **options)


def compared(**options: Any) -> tuple[int, list[str], str]:
    return run("compare_databases", source=OLD, target="default", moved=True, **options)


def test_without_apply_nothing_is_written(old: Any) -> None:
    code, lines, err = run("copy_from_djongo", source=OLD)
    assert code == 0
    assert "auth_user: 1 documents" in lines
    assert "Nothing was copied; type it again with --apply." in err
    assert not User.objects.exists()


def test_django_reads_what_was_copied_and_the_relations_hold(old: Any) -> None:
    code, lines, _ = copied()
    assert (code, lines) == (0, sorted(lines))
    user = User.objects.get(username="grace")
    assert user.pk == shapes.USER["_id"]
    assert user.has_perm("auth.view_user")
    assert user.date_joined.replace(tzinfo=None) == shapes.WHEN
    entry = LogEntry.objects.get()
    assert (entry.user, entry.get_edited_object()) == (user, user)
    book = Book.objects.select_related("author").get()
    assert (book.author.name, book.pages) == ("Ada", 3)
    assert book.author.pk == uuid.UUID(bytes=bytes(range(16)))
    assert list(Author.objects.filter(books__title="T")) == [book.author]
    user.first_name = "Amazing"
    user.save()
    Book.objects.create(author=book.author, title="Another")
    assert (User.objects.get().first_name, Book.objects.count()) == ("Amazing", 2)


def test_after_the_copy_both_sides_are_equal_and_afterwards_a_change_is_named(old: Any) -> None:
    copied()
    code, lines, err = compared()
    assert code == 0, lines
    assert "auth_user: equal, 1 documents, " in "\n".join(lines)
    assert f"All {len(lines)} collections are equal." in err
    User.objects.update(first_name="Other")
    Author.objects.create(name="New")
    code, lines, err = compared()
    different = {line.partition(":")[0]: line for line in lines if "DIFFERENT" in line}
    assert code == 2
    assert list(different) == ["auth_user", "testapp_author"]
    assert f"_id {shapes.USER['_id']} for one" in different["auth_user"]
    assert "1 and 2 documents" in different["testapp_author"]
    assert "2 of" in err


def test_json_says_the_same(old: Any) -> None:
    records = [json.loads(line) for line in copied(format="json")[1]]
    assert {
        "collection": "auth_user",
        "documents": 1,
        "dropped": 0,
        "left_behind": [],
        "dangling": {},
    } in records
    answers = [json.loads(line) for line in compared(format="json")[1]]
    assert [each["collection"] for each in answers] == [each["collection"] for each in records]
    assert {each["equal"] for each in answers} == {True}


def test_a_database_that_is_filled_is_refused_and_replaced_on_request(old: Any) -> None:
    copied()
    with pytest.raises(CommandError, match=r"auth_user.*; add --replace to delete them\."):
        copied()
    old.auth_user.update_one({}, {"$set": {"first_name": "Changed"}})
    assert copied(replace=True)[0] == 0
    assert User.objects.get().first_name == "Changed"


def test_references_that_lead_nowhere_stop_the_copy_until_they_may_be_dropped(old: Any) -> None:
    old.auth_user_user_permissions.update_one({}, {"$set": {"permission_id": 99}})
    old.django_admin_log.update_one({}, {"$set": {"content_type_id": 98}})
    code, lines, err = copied()
    (link,) = (line for line in lines if line.startswith("auth_user_user_permissions"))
    assert code == 2
    assert link == (
        "auth_user_user_permissions: 1 documents; permission_id of 1 leads nowhere, "
        f"of {shapes.LINK['_id']} for one; 1 of them are left out"
    )
    assert "type it again with --drop-dangling" in err
    assert not User.objects.exists()

    assert copied(drop_dangling=True)[0] == 0
    assert not User.objects.get().user_permissions.exists()
    assert LogEntry.objects.get().content_type is None
    assert compared()[0] == 0


def test_what_is_not_copied_is_told(old: Any) -> None:
    old.auth_user.update_one({}, {"$set": {"nickname": "G"}})
    old.notes.insert_one({"text": "written with pymongo"})
    _, lines, err = copied()
    assert "auth_user: 1 documents; no field has nickname, which is left behind" in lines
    assert "notes: no model has this collection; it is not copied." in err
    assert "__schema__" not in err
    assert "Sessions and perfsuite's own numbers are not copied" in err


@pytest.mark.parametrize(
    ("source", "target", "words"),
    [
        (
            "nowhere",
            "default",
            "'nowhere' is neither an alias of DATABASES nor an address; type one of default",
        ),
        (URL, "default", "names no database; type mongodb://host:27017/name"),
        ("mongodb://a:b:c/x", "default", "is no address of a MongoDB database"),
        (OLD, "other", "The alias 'other' is not on django-mongodb-backend"),
    ],
)
def test_a_place_that_is_none_is_told(old: Any, source: str, target: str, words: str) -> None:
    with pytest.raises(CommandError) as raised:
        run("copy_from_djongo", source=source, target=target)
    assert words in str(raised.value)


def test_one_database_for_both_is_refused(old: Any) -> None:
    here = f"{URL}{connection.settings_dict['NAME']}"
    with pytest.raises(CommandError, match="are one database"):
        run("copy_from_djongo", source=here, apply=True, replace=True)


def test_a_misspelt_name_does_not_empty_the_new_database(old: Any) -> None:
    copied()
    with pytest.raises(CommandError, match=r"'old_of_jango' has none of the models' collections"):
        run("copy_from_djongo", source=f"{URL}old_of_jango", apply=True, replace=True)
    assert User.objects.exists()


def test_a_server_that_is_away_is_told(old: Any) -> None:
    with pytest.raises(CommandError, match="MongoDB refused"):
        run("compare_databases", source="mongodb://127.0.0.1:1/x", target="default")


def test_two_databases_are_compared_document_by_document_without_moved(old: Any) -> None:
    with pymongo.MongoClient(URL) as client:
        other = client["copy_of_old"]
        for name in old.list_collection_names():
            other[name].insert_many(list(old[name].find().sort("_id", -1)))
        assert run("compare_databases", source=OLD, target=f"{URL}copy_of_old")[0] == 0
        other.extra.insert_one({"_id": 1})
        code, lines, _ = run("compare_databases", source=OLD, target=f"{URL}copy_of_old")
        client.drop_database("copy_of_old")
    assert code == 2
    assert next(line for line in lines if "DIFFERENT" in line).startswith(
        "extra: DIFFERENT, 0 and 1 documents"
    )
