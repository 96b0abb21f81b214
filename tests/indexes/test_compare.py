"""What is declared against what is there, without a database."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from perfsuite.indexes.compare import (
    Change,
    Column,
    Definition,
    Present,
    Rules,
    Wanted,
    compare,
    duplicates,
    redundant,
)

pytestmark = pytest.mark.hypothesis
SQL = Rules()
MONGODB = Rules(names_per_table=True, one_text=True, keys_identify=True)


def definition(columns: str, **options: Any) -> Definition:
    """Return an index on ``a``, ``-a``, ``a:text`` ..., separated by spaces."""
    found = []
    for column in columns.split():
        name, _, order = column.partition(":")
        found.append(Column(name.lstrip("-"), "desc" if name.startswith("-") else order or "asc"))
    return Definition(tuple(found), **options)


def want(name: str, columns: str, table: str = "t", unsupported: str = "", **options: Any) -> Wanted:
    return Wanted(table, name, definition(columns, **options), unsupported=unsupported)


def there(name: str, columns: str, table: str = "t", **options: Any) -> Present:
    state = {key: options.pop(key) for key in ("owner", "valid", "hidden") if key in options}
    return Present(table, name, definition(columns, **options), **state)


def actions(changes: list[Change]) -> list[tuple[str, str]]:
    return [(change.action, change.name) for change in changes]


@pytest.mark.parametrize(
    ("present", "action", "reason"),
    [
        ([], "create", ""),
        ([there("i", "a b")], "keep", ""),
        ([there("other", "a b")], "keep", "it is there as other"),
        ([there("d", "a b", owner="django")], "keep", "it is there as d, which a migration made"),
        ([there("c", "a b", owner="constraint")], "keep", "it is there as c, which belongs to a constraint"),
        ([there("u", "a b", unique=True)], "keep", "it is there as u and is unique"),
        ([there("other", "a b"), there("i", "a b")], "keep", ""),
        ([there("i", "a")], "conflict", "t has an index of this name with other keys or options: (a)"),
        ([there("i", "a -b")], "conflict", "with other keys or options: (a, b desc)"),
        ([there("i", "a b", where="c = 1")], "conflict", "(a, b) where c = 1"),
        ([there("i", "a b", table="other")], "conflict", "other has an index of this name"),
        (
            [there("i", "a b", valid=False)],
            "create",
            "what a build that was cut off has left is dropped first",
        ),
        ([there("other", "a b", valid=False)], "create", ""),
        ([there("i", "a b", hidden=True)], "create", "it is there and hidden; it will be shown again"),
    ],
)
def test_a_declared_index_is_judged_by_what_is_there(
    present: list[Present], action: str, reason: str
) -> None:
    change = compare([want("i", "a b")], present, SQL)[0]

    assert (change.action, change.name) == (action, "i")
    assert reason in change.reason
    assert bool(reason) == bool(change.reason)


def test_a_plain_index_does_not_serve_where_a_unique_one_is_declared() -> None:
    changes = compare([want("u", "a", unique=True)], [there("i", "a")], SQL)
    assert actions(changes) == [("create", "u"), ("foreign", "i")]


def test_what_the_database_cannot_have_is_never_made() -> None:
    (change,) = compare([want("i", "a", unsupported="it has none")], [], SQL)
    assert (change.action, change.reason) == ("unsupported", "it has none")


def test_the_same_definition_declared_twice_is_made_once() -> None:
    assert actions(compare([want("i", "a"), want("j", "a")], [], SQL)) == [("create", "i")]


def test_what_nobody_declared_is_foreign_unless_django_made_it() -> None:
    present = [there("f", "x"), there("d", "y", owner="django"), there("c", "z", owner="constraint")]
    assert actions(compare([], present, SQL)) == [("foreign", "f")]


def test_a_collection_has_one_text_index() -> None:
    changes = compare([want("i", "b:text")], [there("old", "a:text")], MONGODB)
    assert actions(changes) == [("conflict", "i"), ("foreign", "old")]
    assert "t has a text index already, and can have only one: (a text)" in changes[0].reason

    declared = compare([want("i", "a:text"), want("j", "b:text")], [], MONGODB)
    assert actions(declared) == [("create", "i"), ("conflict", "j")]
    assert "another declaration for t has a text index" in declared[1].reason


def test_the_same_keys_with_other_options_conflict_where_keys_identify_an_index() -> None:
    options = (("expire_after_s", "60"),)
    present = [there("old", "a", options=(("expire_after_s", "30"),))]

    (mongodb, _) = compare([want("i", "a", options=options)], present, MONGODB)
    (sql, _) = compare([want("i", "a", options=options)], present, SQL)

    assert mongodb.action == "conflict"
    assert "t has these keys already with other options: (a) expire_after_s=30" in mongodb.reason
    assert sql.action == "create"


def test_a_name_on_another_table_is_free_where_names_are_the_tables_own() -> None:
    assert compare([want("i", "a")], [there("i", "b", table="other")], MONGODB)[0].action == "create"


def test_the_plan_has_one_order_whatever_the_order_of_the_declarations() -> None:
    wanted = [want("z", "a"), want("m", "b"), want("a", "c", unsupported="no"), want("k", "d")]
    present = [there("k", "d"), there("y", "q"), there("x", "r")]

    changes = compare(wanted, present, SQL)

    assert actions(changes) == actions(compare(wanted[::-1], present[::-1], SQL))
    assert [action for action, _ in actions(changes)] == [
        "create",
        "create",
        "keep",
        "unsupported",
        "foreign",
        "foreign",
    ]


def test_of_duplicates_the_one_that_must_stay_is_the_one_to_keep() -> None:
    present = [
        there("a", "x"),
        there("z", "x", owner="constraint"),
        there("b", "y"),
        there("c", "y"),
        there("d", "y -z"),
    ]
    assert duplicates(present) == {("t", "a"): "z", ("t", "c"): "b"}


@pytest.mark.parametrize(
    ("short", "long", "is_redundant"),
    [
        (there("s", "a"), there("l", "a b"), True),
        (there("s", "-a"), there("l", "a b"), True),
        (there("s", "a -b"), there("l", "-a b c"), True),
        (there("s", "a -b"), there("l", "a b c"), False),
        (there("s", "b"), there("l", "a b"), False),
        (there("s", "a b"), there("l", "a b"), False),
        (there("s", "a", unique=True), there("l", "a b"), False),
        (there("s", "a"), there("l", "a b", unique=True), True),
        (there("s", "a", where="x"), there("l", "a b"), False),
        (there("s", "a"), there("l", "a b", where="x"), False),
        (there("s", "a", method="hash"), there("l", "a b"), False),
        (there("s", "a", options=(("expire_after_s", "5"),)), there("l", "a b"), False),
        (there("s", "a", collation="C"), there("l", "a b"), False),
        (there("s", "a", include=("c",)), there("l", "a b"), False),
        (there("s", "a"), there("l", "a b:text"), True),
        (there("s", "a"), there("l", "a:text b"), False),
        (there("s", "a"), there("l", "a b", hidden=True), False),
        (there("s", "a"), there("l", "a b", valid=False), False),
    ],
)
def test_an_index_is_redundant_if_a_longer_one_begins_with_it(
    short: Present, long: Present, is_redundant: bool
) -> None:
    assert redundant([short, long]) == ({("t", "s"): "l"} if is_redundant else {})


DEFINITIONS = st.lists(st.sampled_from("abc"), min_size=1, max_size=3, unique=True).flatmap(
    lambda names: st.builds(lambda unique: definition(" ".join(names), unique=unique), st.booleans())
)


@given(st.lists(DEFINITIONS, max_size=8), st.lists(DEFINITIONS, max_size=8), st.sampled_from([SQL, MONGODB]))
def test_once_the_plan_is_carried_out_nothing_is_left_to_do(
    wanted: list[Definition], present: list[Definition], rules: Rules
) -> None:
    declared = [Wanted("t", f"w{number}", each) for number, each in enumerate(wanted)]
    now = [Present("t", f"p{number}", each) for number, each in enumerate(present)]

    made = [c for c in compare(declared, now, rules) if c.action == "create"]
    after = compare(declared, [*now, *(Present(c.table, c.name, c.definition) for c in made)], rules)

    assert {c.action for c in after} <= {"keep", "foreign"}
    for each in wanted:
        serving = (each, replace(each, unique=True))
        assert any(
            there.definition in serving
            for there in [*now, *(Present("t", c.name, c.definition) for c in made)]
        )
