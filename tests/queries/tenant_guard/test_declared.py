"""What the host declares, and what it is told of declarations that cannot be meant."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import override_settings

from perfsuite.queries.checks import check_tenant_guard
from perfsuite.queries.tenant_guard.declared import read_declaration
from perfsuite.queries.tenant_guard.schema import Owned
from tests.testapp.models import Author, Book, PaperBook

WRONG: list[tuple[dict[str, Any], str, str, str]] = [
    ({"testapp.Bok": "author"}, "E010", "names a model that does not exist", "Did you mean 'testapp.Book'?"),
    ({"nothing.Xyzzyq": "author"}, "E010", "names a model that does not exist", "Known are"),
    ({"a.b.c": "author"}, "E010", "names a model that does not exist", ""),
    ({"testapp.Book": "auhtor"}, "E010", "testapp.Book has no field 'auhtor'", "Did you mean 'author'?"),
    ({"testapp.Author": "books"}, "E010", "is no column", "a column of the model's table"),
    ({"testapp.Book": 5}, "E010", "not the name of a field", "or None"),
    ({"testapp.Book": ""}, "E010", "not the name of a field", "or None"),
    ({"testapp_bok": "author_id"}, "W010", "names a table of no model", "Did you mean 'testapp_book'?"),
]


@pytest.mark.parametrize(("owned", "number", "message", "hint"), WRONG)
def test_a_declaration_that_cannot_be_meant_is_a_check(
    owned: dict[str, Any], number: str, message: str, hint: str
) -> None:
    with override_settings(PERFSUITE={"QUERIES": {"TENANT_OWNED": owned}}):
        (found,) = check_tenant_guard()
    assert found.id == f"perfsuite_queries.{number}"
    assert message in found.msg
    assert hint in (found.hint or "")


def test_a_mode_that_there_is_not_is_a_check() -> None:
    with override_settings(PERFSUITE={"QUERIES": {"TENANT_GUARD": "rise"}}):
        (found,) = check_tenant_guard()
    assert found.id == "perfsuite_queries.E011"
    assert "'raise'" in (found.hint or "")


@pytest.mark.parametrize(
    "owned",
    [{}, {"testapp.Book": "author"}, {"testapp.book": "author_id"}, {"leads_archive": "tenant_id"}, {"testapp.Author": "pk"},
     {"testapp.Book": "author__name"}, {"testapp.Book": None}],
)  # fmt: skip
def test_what_can_be_meant_is_no_check(owned: dict[str, Any]) -> None:
    with override_settings(PERFSUITE={"QUERIES": {"TENANT_OWNED": owned, "TENANT_GUARD": "off"}}):
        assert check_tenant_guard() == []


def test_a_model_is_declared_by_the_name_of_its_field_and_a_table_by_its_column() -> None:
    declared = read_declaration({"testapp.Book": "author", "Archive": "Tenant_ID"})
    assert declared.schema.owned == {
        "testapp_book": Owned("testapp_book", "author_id", "author_id"),
        "archive": Owned("archive", "tenant_id", "Tenant_ID"),
    }
    key = Author._meta.pk.column
    assert declared.schema.tenants == {"testapp_author": frozenset([key])}
    assert declared.schema.keys_of("testapp_author") == frozenset([key])
    assert declared.attributes == {Book: "author_id"}


def test_a_path_says_that_a_row_belongs_to_a_tenant_through_another() -> None:
    declared = read_declaration({"testapp.Book": "author__name"})
    assert declared.schema.owned == {"testapp_book": Owned("testapp_book", "", "author__name")}
    assert declared.attributes == {Book: ""}


def test_a_proxy_is_its_model() -> None:
    assert read_declaration({"testapp.PaperBook": "author"}).attributes == {Book: "author_id"}
    assert PaperBook._meta.concrete_model is Book


def test_a_model_may_say_it_itself_and_be_taken_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Book, "perfsuite_tenant", "author", raising=False)
    assert read_declaration({}).attributes == {Book: "author_id"}
    assert read_declaration({"testapp.Book": None}).attributes == {}
    monkeypatch.setattr(Book, "perfsuite_tenant", "auhtor")
    (problem,) = read_declaration({}).problems
    assert "testapp.Book.perfsuite_tenant is 'auhtor'" in problem.message
