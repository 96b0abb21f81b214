"""Where declarations come from, and what their fields mean."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings

from perfsuite.indexes import DeclarationError, Index, Table, register, registry
from perfsuite.indexes.resolve import Resolved, Terms, resolve
from tests.testapp.models import Author, Book, PaperBook

SQL = Terms()
DOCUMENTS = Terms(documents=True, names_per_table=True)


def resolved(terms: Terms = SQL, app: str = "", alias: str = "default") -> list[Resolved]:
    return resolve(registry.declarations(), alias, terms, app)


@pytest.mark.parametrize("target", ["testapp.Book", "testapp.book", Book])
@pytest.mark.parametrize("field", ["author", "author_id"])
def test_a_foreign_key_is_meant_by_its_name_or_its_columns(target: Any, field: str) -> None:
    register(target, Index(field, "-pages"))

    (found,) = resolved()

    assert found.table == "testapp_book"
    assert found.columns[field] == "author_id"
    assert found.name == "testapp_book_author_id_pages_desc_idx"
    assert found.app == "testapp"


def test_pk_is_the_key_whatever_it_is_called() -> None:
    register("testapp.Book", Index("pk", "title"))
    assert resolved()[0].columns == {"pk": Book._meta.pk.column, "title": "title"}


def test_a_proxy_has_the_table_of_its_model() -> None:
    register(PaperBook, Index("title"))
    assert resolved()[0].table == "testapp_book"


def test_one_declaration_says_as_much_as_the_forms_in_which_it_is_written() -> None:
    register("testapp.Book", "title", {"pages": -1}, ("author", "title"), Index("pages"))
    assert [str(each.index) for each in resolved()] == ["title", "-pages", "author, title", "pages"]


def test_declarations_come_from_the_settings_too() -> None:
    declare = {
        "testapp.Book": [("author", "-pages"), {"title": 1}, Index("pages", name="pages")],
        "raw_events": ["at"],
    }
    with override_settings(PERFSUITE={"INDEXES": {"DECLARE": declare}}):
        found = resolved()
    assert [(each.table, str(each.index)) for each in found] == [
        ("testapp_book", "author, -pages"),
        ("testapp_book", "title"),
        ("testapp_book", "pages"),
        ("raw_events", "at"),
    ]


@pytest.mark.parametrize(
    ("declare", "sentence"),
    [
        ({"testapp.Book": "title"}, "is one index; write a list of them."),
        ({"testapp.Book": [{"title": 5}]}, "gives 'title' the direction 5"),
        ({"testapp.Book": [7]}, "7 is no index"),
    ],
)
def test_what_is_wrong_in_the_settings_is_said_with_its_place(declare: dict[str, Any], sentence: str) -> None:
    with (
        override_settings(PERFSUITE={"INDEXES": {"DECLARE": declare}}),
        pytest.raises(DeclarationError) as raised,
    ):
        registry.declarations()
    assert str(raised.value).startswith('PERFSUITE["INDEXES"]["DECLARE"][\'testapp.Book\']')
    assert sentence in str(raised.value)


@pytest.mark.parametrize(
    ("target", "index", "sentence"),
    [
        ("testapp.Bok", Index("title"), "registers 'testapp.Bok', which is no model; did you mean 'testapp.Book'?"),
        ("tstapp.Book", Index("title"), "registers 'tstapp.Book', which is no model; did you mean 'testapp.Book'?"),
        ("Book", Index("title"), "which is a model's name without its app; write 'testapp.Book', or Table('Book')"),
        ("testapp.Book", Index("titel"), "an index on 'titel' of testapp.Book, which has no such field; did you mean 'title'?"),
        ("testapp.Book", Index("auhtor"), "did you mean 'author'?"),
        ("testapp.Book", Index("title", include=["pagse"]), "on 'pagse' of testapp.Book, which has no such field; did you mean"),
        ("testapp.Book", Index("title", where={"zzzzz": 1}), "has no such field; known are author, author_id, id, pages, title."),
        ("testapp.Author", Index("books"), "declares an index on 'books' of testapp.Author, which has no such field"),
        ("testapp.Book", Index("title.de"), "a path into documents, which only MongoDB has"),
    ],
)  # fmt: skip
def test_an_unknown_model_or_field_is_said_with_the_one_that_was_meant(
    target: str, index: Index, sentence: str
) -> None:
    register(target, index)
    with pytest.raises(DeclarationError) as raised:
        resolved()
    assert sentence in str(raised.value)
    assert "\n" not in str(raised.value)


def test_all_mistakes_are_said_at_once_each_in_a_line() -> None:
    register("testapp.Book", Index("titel"), Index("pagse"))
    register("testapp.Bok", Index("title"))
    with pytest.raises(DeclarationError) as raised:
        resolved()
    assert len(str(raised.value).split("\n")) == 3


def test_paths_into_documents_are_taken_where_there_are_documents() -> None:
    register("testapp.Book", Index("title.de"))
    assert resolved(DOCUMENTS)[0].columns == {"title.de": "title.de"}


def test_a_name_with_a_dot_is_a_collections_if_it_is_said_to_be() -> None:
    register(Table("events.raw"), Index("at"))
    assert resolved()[0].table == "events.raw"


@pytest.mark.parametrize("target", [7, None, "", Index("a"), str])
def test_what_is_no_target_is_refused_where_it_is_registered(target: Any) -> None:
    with pytest.raises(DeclarationError, match="is for no model and no table"):
        register(target, Index("a"))


def test_no_index_is_refused_where_it_is_registered() -> None:
    with pytest.raises(DeclarationError, match="names no index; add Index"):
        register("testapp.Book")


def test_one_name_for_two_indexes_is_refused() -> None:
    register("testapp.Book", Index("title", name="one"), Index("pages", name="one"))
    with pytest.raises(
        DeclarationError,
        match=r"with the name 'one', \(title\) on testapp_book .* and \(pages\) on testapp_book",
    ):
        resolved()


def test_one_name_on_two_tables_is_refused_where_names_are_the_databases() -> None:
    register("testapp.Book", Index("title", name="one"))
    register("testapp.Author", Index("name", name="one"))
    with pytest.raises(DeclarationError, match="with the name 'one'"):
        resolved()
    assert len(resolved(DOCUMENTS)) == 2


def test_a_name_over_the_limit_is_shortened_and_stays_the_same() -> None:
    register("testapp.Book", Index("title", name="x" * 80))
    first, again = (resolved(Terms(name_limit=63))[0].name for _ in range(2))
    assert first == again
    assert len(first) == 63


def test_a_declaration_for_one_database_is_for_no_other() -> None:
    register("testapp.Book", Index("title"), database="other")
    with pytest.raises(DeclarationError, match="for the database 'other', which there is not"):
        resolved()
    with override_settings(PERFSUITE={"INDEXES": {"CLIENTS": {"other": "mongodb://127.0.0.1/x"}}}):
        assert resolved() == []
        assert len(resolved(alias="other")) == 1


def test_only_the_indexes_of_one_app_are_given_if_asked_for() -> None:
    register("testapp.Book", Index("title"))
    register("auth.Group", Index("name"))
    assert [each.table for each in resolved(app="auth")] == ["auth_group"]


def test_nothing_is_for_the_database_of_the_metrics_but_what_is_theirs() -> None:
    register(Author, Index("name"))
    assert resolved(alias="default")


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file ``indexes.py`` of an app that can be installed."""
    package = tmp_path / "indexed_shop"
    package.mkdir()
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    yield package / "indexes.py"
    for name in [name for name in sys.modules if name.startswith("indexed_shop")]:
        del sys.modules[name]


def test_the_indexes_module_of_each_app_is_found(shop: Path) -> None:
    shop.write_text(
        "from perfsuite.indexes import Index, register\nregister('shop_orders', Index('customer'))\n"
    )
    with override_settings(INSTALLED_APPS=["tests.testapp", "perfsuite.indexes", "indexed_shop"]):
        (found,) = resolved()
        assert (found.table, found.source, found.app) == (
            "shop_orders",
            "indexed_shop.indexes",
            "indexed_shop",
        )
        assert resolved(app="indexed_shop") == [found]


def test_one_that_was_imported_before_declares_nothing_twice(shop: Path) -> None:
    shop.write_text(
        "from perfsuite.indexes import Index, register\nregister('shop_orders', Index('customer'))\n"
    )
    with override_settings(INSTALLED_APPS=["tests.testapp", "indexed_shop"]):
        importlib.import_module("indexed_shop.indexes")
        (found,) = resolved(app="indexed_shop")
    assert found.table == "shop_orders"


def test_a_mistake_in_it_is_said_with_its_name_and_again_the_next_time(shop: Path) -> None:
    shop.write_text(
        "from perfsuite.indexes import Index, register\nregister('shop_orders', Index('customer', kind='txt'))\n"
    )
    with override_settings(INSTALLED_APPS=["tests.testapp", "indexed_shop"]):
        for _ in range(2):
            with pytest.raises(
                DeclarationError, match=r"indexed_shop\.indexes: Index\('customer'\) has the unknown kind"
            ):
                registry.declarations()
