"""MySQL and MariaDB: the catalog is ``information_schema``, and statements run through Django's schema editor.

InnoDB builds a secondary index while rows are written, and takes back what was cut off by itself, so nothing invalid is left.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from itertools import groupby
from typing import Any, ClassVar

import django.db

from perfsuite.indexes.compare import CONSTRAINT, Column, Definition, Present, Rules, Wanted
from perfsuite.indexes.conf import IndexSettings
from perfsuite.indexes.engines.base import Figures, Say, TableInfo, refused, unsupported
from perfsuite.indexes.engines.sql import REHEARSAL, SQLEngine
from perfsuite.indexes.errors import DatabaseRefused
from perfsuite.indexes.resolve import Resolved, Terms

# ``{where}`` limits the tables, all of which are otherwise read.
_TABLES = """
    SELECT t.TABLE_NAME, t.TABLE_TYPE, c.COLUMN_NAME
    FROM information_schema.TABLES t
    JOIN information_schema.COLUMNS c ON c.TABLE_SCHEMA = t.TABLE_SCHEMA AND c.TABLE_NAME = t.TABLE_NAME
    WHERE t.TABLE_SCHEMA = DATABASE() AND t.TABLE_NAME IN ({marks})
    ORDER BY t.TABLE_NAME, c.ORDINAL_POSITION
"""
_PRESENT = """
    SELECT TABLE_NAME, INDEX_NAME, NON_UNIQUE, INDEX_TYPE, COLUMN_NAME, COLLATION, SUB_PART
    FROM information_schema.STATISTICS
    WHERE TABLE_SCHEMA = DATABASE() {where}
    ORDER BY TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX
"""
# InnoDB has an index for each foreign key, by its name where Django made it.
_FOREIGN_KEYS = """
    SELECT DISTINCT TABLE_NAME, CONSTRAINT_NAME FROM information_schema.KEY_COLUMN_USAGE
    WHERE TABLE_SCHEMA = DATABASE() AND REFERENCED_TABLE_NAME IS NOT NULL
"""
_SIZES = """
    SELECT table_name, index_name, stat_value * @@innodb_page_size FROM mysql.innodb_index_stats
    WHERE database_name = DATABASE() AND stat_name = 'size'
"""
_FIGURES = """
    SELECT TABLE_NAME, TABLE_ROWS, DATA_LENGTH, INDEX_LENGTH FROM information_schema.TABLES
    WHERE TABLE_SCHEMA = DATABASE() AND TABLE_TYPE = 'BASE TABLE' {where}
"""
_LOCK = "perfsuite_indexes"
_EXISTS, _DENIED = 1061, 1044


class MySQL(SQLEngine):
    """Makes ordered, unique and full-text indexes; uses are not read, since most servers do not count them."""

    label: ClassVar[str] = "MySQL"
    terms: ClassVar[Terms] = Terms(name_limit=64, names_per_table=True)
    rules: ClassVar[Rules] = Rules(names_per_table=True)

    def tables(self, names: Collection[str]) -> dict[str, TableInfo]:
        """Return those tables and views that are there, with their columns."""
        if not names:
            return {}
        found: dict[str, TableInfo] = {}
        with self.session():
            rows = self.rows(_TABLES.format(marks=_marks(names)), list(names))
        for (name, kind), columns in groupby(rows, key=lambda row: (row[0], row[1])):
            found[name] = TableInfo(
                name, "view" if "VIEW" in kind else "table", tuple(row[2] for row in columns)
            )
        return found

    def present(self, names: Collection[str] | None = None, *, usage: bool = False) -> list[Present]:
        """Return the indexes; with ``usage`` their bytes, where this user may read the server's statistics."""
        if names is not None and not names:
            return []
        with self.session():
            where, params = _only(names)
            rows = self.rows(_PRESENT.format(where=where), params)
            of_keys = set(self.rows(_FOREIGN_KEYS))
            sizes: dict[tuple[str, str], int] = {}
            if usage:
                with contextlib.suppress(django.db.Error):
                    sizes = {(table, name): int(size) for table, name, size in self.rows(_SIZES)}
        found = []
        for place, group in groupby(rows, key=lambda row: (row[0], row[1])):
            is_constraint = place[1] == "PRIMARY" or place in of_keys
            definition = _definition(list(group))
            owner = CONSTRAINT if is_constraint else ""
            found.append(Present(*place, definition, owner, size=sizes.get(place)))
        return self.owned(found)

    def figures(self, names: Collection[str] | None = None) -> list[Figures]:
        """Return InnoDB's estimate of the rows, and the bytes of tables and indexes."""
        if names is not None and not names:
            return []
        with self.session():
            where, params = _only(names)
            rows = self.rows(_FIGURES.format(where=where), params)
        return [
            Figures(name, n, data, index, data / n if n and data else None) for name, n, data, index in rows
        ]

    def translate(self, resolved: Resolved) -> Wanted:
        """Return the statement, or why this server cannot have the index."""
        index, ordered, note = resolved.index, self._has_orders(), ""
        is_text = index.kind == "text"
        if any(key.order == "desc" for key in index.keys) and not ordered:
            note = "this server keeps all columns ascending, and reads them backwards"
        columns = tuple(
            Column(resolved.columns[key.field], "desc" if key.order == "desc" and ordered else "asc")
            for key in index.keys
        )
        definition = Definition(columns, index.unique, "fulltext" if is_text else "btree")
        if reason := self._cannot(resolved):
            return unsupported(definition, resolved, reason)
        quoted = [self.quoted(column.name) for column in columns]
        keys = [
            q + (" DESC" if column.order == "desc" else "") for q, column in zip(quoted, columns, strict=True)
        ]
        kind = "FULLTEXT " if is_text else "UNIQUE " if index.unique else ""
        listed = ", ".join(keys)
        statement = (
            f"CREATE {kind}INDEX {self.quoted(resolved.name)} ON {self.quoted(resolved.table)} ({listed})"
        )
        rehearsal = f"CREATE {kind}INDEX {REHEARSAL}_idx ON {REHEARSAL} ({listed})"
        recipe = {"expressions": quoted, "where": "", "rehearsal": rehearsal}
        return Wanted(
            resolved.table, resolved.name, definition, statement, "", note, resolved.source, resolved.app, recipe
        )  # fmt: skip

    def _cannot(self, resolved: Resolved) -> str:  # noqa: PLR0911 - one sentence each
        index = resolved.index
        if index.kind in ("hashed", "gin"):
            return f"MySQL has no {index.kind} index; an ordered one, without kind, serves equality too"
        if index.kind == "ttl":
            return "MySQL deletes no rows by their age; delete them with a job of your own"
        if index.where or index.sparse:
            return "MySQL has no partial index; leave the condition out, or make its column the first of the index"
        if index.include:
            return "MySQL has no INCLUDE; name these columns last, which serves the same queries"
        if index.collation or index.opclass:
            return "in MySQL a collation is the column's, and there are no operator classes"
        if any(key.function for key in index.keys):
            return (
                "perfsuite makes no index on an expression in MySQL; declare it in Meta.indexes of the model"
            )
        limited = set(getattr(self.connection, "_limited_data_types", ()))
        for key in index.keys:
            field = resolved.fields.get(key.field)
            kind = str((field and field.db_type(self.connection)) or "").lower()
            if kind in limited and index.kind != "text":
                return (
                    f"MySQL indexes a {kind} only up to a length; use a CharField, or an index of kind='text'"
                )
        return ""

    def _has_orders(self) -> bool:
        return bool(self.connection.features.supports_index_column_ordering)

    def require_writable(self, tables: Collection[str]) -> None:
        """Ask the server whether it takes writes."""
        with self.session():
            ((read_only,),) = self.rows("SELECT @@global.read_only")
        if read_only:
            raise DatabaseRefused(
                f"The database {self.alias!r} is read-only, a replica perhaps; name the primary."
            )

    def rehearse(self, wanted: Wanted) -> None:
        """Make the index on a temporary table of its columns: of a long text, a server may index the beginning without a word.

        A user who may make no temporary tables has no rehearsal, and none is to be had of a full-text index.
        """
        if wanted.definition.method != "btree":
            return
        columns = ", ".join(wanted.recipe["expressions"])
        with self.session():
            try:
                self.execute(
                    f"CREATE TEMPORARY TABLE {REHEARSAL} SELECT {columns} FROM {self.quoted(wanted.table)} LIMIT 0"  # noqa: S608
                )
            except django.db.Error as exc:
                if exc.args[:1] == (_DENIED,):
                    return
                raise
            try:
                self.execute(wanted.recipe["rehearsal"])
                cut = [row[4] for row in self.rows(f"SHOW INDEX FROM {REHEARSAL}") if row[7]]
            except django.db.Error as exc:
                said = str(exc.args[-1]).rstrip(". ")
                raise DatabaseRefused(
                    f"The index {wanted.name} on {wanted.table}, declared in {wanted.source}, cannot be: {said}."
                ) from exc
            finally:
                self.execute(f"DROP TEMPORARY TABLE {REHEARSAL}")
        if cut:
            raise DatabaseRefused(
                f"MySQL indexes {wanted.table}.{cut[0]} only up to a length; use a shorter CharField, or an index of kind='text'."
            )

    @contextmanager
    def alone(self, say: Say) -> Iterator[None]:
        """Hold the server's lock of that name; another run waits for it."""
        with self.session():
            if self.rows("SELECT GET_LOCK(%s, 0)", [_LOCK]) != [(1,)]:
                say(f"{self.alias}: another setup_indexes is at work; waiting for it.")
                self.rows("SELECT GET_LOCK(%s, 86400)", [_LOCK])
        try:
            yield
        finally:
            with self.session():
                self.rows("SELECT RELEASE_LOCK(%s)", [_LOCK])

    def create(self, wanted: Wanted, found: Present | None, say: Say) -> None:
        """Run the statement through the schema editor; one that another run was faster with is there as well."""
        with self.session():
            self._wait_for_locks()
            try:
                self._run(wanted.statement)
            except django.db.Error as exc:
                if exc.args[:1] != (_EXISTS,):
                    raise

    def drop(self, present: Present, say: Say) -> str:
        """Drop the index at once."""
        with self.session():
            self._wait_for_locks()
            self._run(f"DROP INDEX {self.quoted(present.name)} ON {self.quoted(present.table)}")
        return "dropped"

    def _run(self, statement: str) -> None:
        with self.connection.schema_editor(atomic=False) as editor:
            editor.execute(statement, None)

    def _wait_for_locks(self) -> None:
        """Say how long a statement may wait for transactions that hold the table."""
        seconds = int(IndexSettings.get().lock_timeout_s) or 31_536_000
        self.execute(f"SET SESSION lock_wait_timeout = {max(1, seconds)}")

    def refused(self, exc: django.db.Error) -> DatabaseRefused:
        """Return the error as one sentence: what the server said, without its number."""
        said = [part for part in exc.args if isinstance(part, str)]
        return refused(self.alias, type(exc)(said[0]) if said else exc)


def _definition(rows: list[tuple[Any, ...]]) -> Definition:
    """Return what the columns of one index come to, in their order."""
    _, index, non_unique, kind, *_ = rows[0]
    columns = []
    for *_, column, order, length in rows:
        # What the expression is, MariaDB has no column for; none is taken for another's twin.
        name = f"an expression of {index}" if column is None else f"{column}({length})" if length else column
        columns.append(Column(name, "desc" if order == "D" else "asc"))
    return Definition(tuple(columns), not non_unique, kind.lower())


def _marks(names: Collection[str]) -> str:
    return ", ".join(["%s"] * len(names))


def _only(names: Collection[str] | None) -> tuple[str, list[str]]:
    return ("", []) if names is None else (f"AND TABLE_NAME IN ({_marks(names)})", list(names))
