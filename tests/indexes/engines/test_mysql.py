"""MySQL's dialect, on a MariaDB server of its own beside the lane's database."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pymysql
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connections

from perfsuite.indexes import Index, register
from tests.indexes.engines.own_mysql import OwnMySQL

pymysql.install_as_MySQLdb()

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)
Run = Callable[..., tuple[int, str, str]]
# MariaDB keeps the order of columns from 10.8 on.
TABLE = """
    CREATE TABLE lead_ (
        id INT PRIMARY KEY AUTO_INCREMENT, tenant_id INT, email VARCHAR(80), title VARCHAR(4000), body TEXT, created_at DATETIME
    )
"""


@pytest.fixture(scope="module")
def server() -> Iterator[OwnMySQL]:
    with OwnMySQL() as made:
        yield made


@pytest.fixture
def mysql(server: OwnMySQL, django_db_blocker: Any) -> Iterator[Callable[..., list[Any]]]:
    """Return a function that runs a statement on an empty database with a table of leads."""
    connections.databases["mysql"] = {**connections.databases["default"], **server.setting}
    connections.databases["mysql"]["OPTIONS"] = {}
    with django_db_blocker.unblock():
        with (
            pymysql.connect(host="127.0.0.1", port=server.port, user="root") as admin,
            admin.cursor() as cursor,
        ):
            cursor.execute("CREATE OR REPLACE DATABASE ix_own")

        def execute(sql: str, *params: Any) -> list[Any]:
            with connections["mysql"].cursor() as cursor:
                cursor.execute(sql, params or None)
                return list(cursor.fetchall()) if cursor.description else []

        execute(TABLE)
        yield execute
        connections["mysql"].close()
    del connections["mysql"]
    del connections.databases["mysql"]


def declare(*indexes: Index, table: str = "lead_") -> None:
    register(table, *indexes, database="mysql")


def test_the_first_run_makes_what_the_server_has_and_the_second_changes_nothing(mysql: Any, run: Run) -> None:
    declare(
        Index("tenant_id", "-created_at"),
        Index("tenant_id", "email", unique=True, name="ix_email"),
        Index("body", kind="text", name="ix_body"),
    )

    _, plan, _ = run("setup_indexes", "--database", "mysql")
    assert plan.count("mysql create ") == 3
    assert mysql("SHOW INDEX FROM lead_ WHERE Key_name <> 'PRIMARY'") == []
    _, _, said = run("setup_indexes", "--database", "mysql", "--apply")
    assert "mysql: 3 created" in said
    _, _, said = run("setup_indexes", "--database", "mysql", "--apply")
    assert "mysql: 3 keep" in said
    assert run("check_indexes", "--database", "mysql")[0] == 0

    kinds = {row[2]: (row[1], row[10]) for row in mysql("SHOW INDEX FROM lead_")}
    assert kinds["ix_email"] == (0, "BTREE")
    assert kinds["ix_body"] == (1, "FULLTEXT")
    _, listed, _ = run("list_indexes", "--database", "mysql")
    assert "mysql constraint lead_ PRIMARY unique (id) " in listed
    assert "mysql declared lead_ ix_body fulltext (body)" in listed


def test_what_it_does_not_have_is_said_in_the_plan(mysql: Any, run: Run) -> None:
    declare(
        Index("tenant_id", where={"email": {"$exists": True}}, name="a"),
        Index("tenant_id", include=["email"], name="b"),
        Index("created_at", expire_after_s=60, name="c"),
        Index({"email": "hashed"}, name="d"),
        Index("lower(email)", name="e"),
        Index("email", collation="utf8mb4_bin", name="f"),
    )

    _, plan, _ = run("setup_indexes", "--database", "mysql", "--apply")

    assert plan.count("mysql unsupported ") == 6
    assert "MySQL has no partial index" in plan
    assert len(mysql("SHOW INDEX FROM lead_")) == 1


def test_a_text_field_is_told_to_have_no_ordered_index(mysql: Any, run: Run) -> None:
    mysql("CREATE TABLE corpus_rows_article (id INT, body LONGTEXT)")
    register("corpus_rows.Article", Index("body", name="ix_text"), database="mysql")
    _, plan, _ = run("setup_indexes", "--database", "mysql")
    assert "MySQL indexes a longtext only up to a length; use a CharField" in plan


def test_it_is_said_that_no_indexes_are_suggested(mysql: Any) -> None:
    said = io.StringIO()
    with pytest.raises(CommandError, match="No statement"):
        call_command("suggest_indexes", "--database", "mysql", stderr=said)
    assert "None are suggested for mysql" in said.getvalue()


def test_the_rows_that_stand_in_the_way_of_a_unique_index_are_counted(mysql: Any, run: Run) -> None:
    mysql("INSERT INTO lead_ (tenant_id, email) VALUES (1, 'a@b.c'), (1, 'a@b.c'), (1, NULL), (1, NULL)")
    declare(Index("tenant_id", "email", unique=True))

    with pytest.raises(CommandError, match="1 key") as raised:
        run("setup_indexes", "--database", "mysql", "--apply")

    assert "a@b.c" not in str(raised.value)
    assert len(mysql("SHOW INDEX FROM lead_")) == 1


@pytest.mark.parametrize(
    ("table", "index", "said"),
    [
        ("lead_", Index("body", name="ix_body"), "up to a length"),
        (
            "lead_",
            Index("email", "title", name="ix_title"),
            "The index ix_title on lead_, .* cannot be: .* too long",
        ),
        ("nowhere", Index("a"), "nowhere"),
        ("views", Index("tenant_id"), "view"),
        ("lead_", Index("nothing"), "nothing"),
    ],
)
def test_mistakes_are_one_sentence_and_nothing_is_made(
    mysql: Any, run: Run, table: str, index: Index, said: str
) -> None:
    mysql("CREATE VIEW views AS SELECT tenant_id FROM lead_")
    declare(index, table=table)

    with pytest.raises(CommandError, match=said) as raised:
        run("setup_indexes", "--database", "mysql", "--apply")

    assert str(raised.value).strip().splitlines()[1:] in ([], ["Nothing was created."])
    assert len(mysql("SHOW INDEX FROM lead_")) == 1


def test_foreign_keys_prefixes_and_what_nobody_declared_are_told_apart(mysql: Any, run: Run) -> None:
    mysql(
        "CREATE TABLE note (id INT PRIMARY KEY, lead_id INT, FOREIGN KEY fk_lead (lead_id) REFERENCES lead_ (id))"
    )
    mysql("CREATE INDEX ix_begin ON lead_ (body(10))")
    mysql("CREATE INDEX ix_tenant ON lead_ (tenant_id)")
    declare(Index("tenant_id", "email"))

    run("setup_indexes", "--database", "mysql", "--apply")
    _, listed, _ = run("list_indexes", "--database", "mysql")

    assert "mysql constraint note fk_lead (lead_id)" in listed
    assert "mysql foreign lead_ ix_begin (body(10))" in listed
    _, offered, _ = run("setup_indexes", "--database", "mysql", "--drop-unused")
    assert "ix_tenant (tenant_id) (lead__tenant_id_email_idx begins with the same columns): may go" in offered
    run("setup_indexes", "--database", "mysql", "--drop-unused", "ix_tenant", "--apply", "--yes")
    assert mysql("SHOW INDEX FROM lead_ WHERE Key_name = 'ix_tenant'") == []
    mysql("DROP TABLE note")


def test_two_runs_at_once_end_well_with_one_index(mysql: Any, run: Run, server: OwnMySQL) -> None:
    declare(Index("tenant_id", "email", name="ix_one"))
    ended: list[int] = []

    def work() -> None:
        ended.append(run("setup_indexes", "--database", "mysql", "--apply")[0])
        connections["mysql"].close()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert ended == [0, 0, 0]
    assert len(mysql("SHOW INDEX FROM lead_ WHERE Key_name = 'ix_one'")) == 2  # a row for each column


def test_a_server_that_takes_no_writes_and_one_that_is_away_are_one_sentence(
    mysql: Any, run: Run, server: OwnMySQL
) -> None:
    declare(Index("tenant_id"))
    mysql("SET GLOBAL read_only = 1")
    try:
        with pytest.raises(CommandError, match="is read-only"):
            run("setup_indexes", "--database", "mysql", "--apply")
    finally:
        mysql("SET GLOBAL read_only = 0")
    connections["mysql"].close()
    connections["mysql"].settings_dict["PORT"] = "1"
    with pytest.raises(CommandError, match=r"^The database 'mysql' refused: .*\.$"):
        run("setup_indexes", "--database", "mysql")


def test_tables_are_analyzed(mysql: Any, run: Run) -> None:
    mysql("INSERT INTO lead_ (tenant_id) VALUES (1), (2), (3)")
    mysql("ANALYZE TABLE lead_")
    _, said, _ = run("analyze_collections", "lead_", "--database", "mysql")
    assert "lead_" in said
    assert "3 rows" in said
