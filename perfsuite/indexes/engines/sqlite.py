"""SQLite. An index is made in one transaction: a build that is cut off leaves nothing, and writers wait while it lasts."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Mapping
from typing import Any, ClassVar, NamedTuple

import django.db

from perfsuite.indexes.canonical import canonical, split_columns
from perfsuite.indexes.compare import CONSTRAINT, Column, Definition, Present, Wanted
from perfsuite.indexes.engines.base import Figures, Say, TableInfo, refused, unsupported
from perfsuite.indexes.engines.sql import REHEARSAL, SQLEngine
from perfsuite.indexes.errors import DatabaseRefused
from perfsuite.indexes.resolve import Resolved
from perfsuite.indexes.spec import Index, Key

_PRESENT = """
    SELECT m.tbl_name, l.name, l."unique", l.origin, m.sql, x.cid, x.name, x."desc"
    FROM sqlite_master t
    JOIN pragma_index_list(t.name) l
    LEFT JOIN sqlite_master m ON m.type = 'index' AND m.name = l.name
    JOIN pragma_index_xinfo(l.name) x ON x.key = 1
    WHERE t.type = 'table' AND {where}
    ORDER BY t.name, l.name, x.seqno
"""
_TREES = (
    "SELECT name, SUM(pgsize), SUM(CASE pagetype WHEN 'leaf' THEN ncell ELSE 0 END) FROM dbstat GROUP BY name"
)
_TABLE_NAMES = (
    "SELECT name FROM sqlite_master WHERE type = 'table' AND substr(name, 1, 7) <> 'sqlite_' ORDER BY name"
)
_INDEX_NAMES = "SELECT name, tbl_name FROM sqlite_master WHERE type = 'index'"
_TABLES_AT_ONCE = 500
# Looking at each page of so large a file takes about half a second; nobody can commit meanwhile, unless its log is a WAL.
CHEAP_BYTES = 256 * 1024 * 1024
CHEAP_LOCKED_BYTES = CHEAP_BYTES // 8
_COLLATION = re.compile(r"\sCOLLATE\s+[\"`\[]?(\w+)", re.IGNORECASE)
_COLLATED = re.compile(r"\s+COLLATE\s+\S+|\s+(?:ASC|DESC)\s*$", re.IGNORECASE)


class _Tree(NamedTuple):
    """What a table or index takes in the file: its bytes, and its rows."""

    size: int
    rows: int


class SQLite(SQLEngine):
    """Reads ``sqlite_master`` and its pragmas; counts no uses, since SQLite does not."""

    label: ClassVar[str] = "SQLite"

    def __init__(self, alias: str) -> None:
        super().__init__(alias)
        self._read: dict[str, _Tree] | None = None

    def tables(self, names: Collection[str]) -> dict[str, TableInfo]:
        """Return those tables and views that are there, with their columns."""
        with self.session():
            found: dict[str, TableInfo] = {}
            for chunk, marks in _chunks(names):
                sql = f"SELECT name, type FROM sqlite_master WHERE type IN ('table', 'view') AND name IN ({marks})"  # noqa: S608
                for name, kind in self.rows(sql, chunk):
                    columns = [row[0] for row in self.rows("SELECT name FROM pragma_table_info(%s)", [name])]
                    found[name] = TableInfo(name, kind, tuple(columns))
            return found

    def present(self, names: Collection[str] | None = None, *, usage: bool = False) -> list[Present]:
        """Return the indexes; with ``usage`` their bytes where SQLite was built with dbstat, and what ANALYZE found."""
        self._read = None
        with self.session():
            if names is None:
                rows = self.rows(_PRESENT.format(where="1"))
            else:
                rows = []
                for chunk, marks in _chunks(names):
                    rows += self.rows(_PRESENT.format(where=f"t.name IN ({marks})"), chunk)
            sizes, notes = (self._trees(), self._statistics()) if usage else ({}, {})
            grouped: dict[str, list[tuple[Any, ...]]] = {}
            for row in rows:
                grouped.setdefault(row[1], []).append(row)
            return self.owned([_present(name, group, sizes, notes) for name, group in grouped.items()])

    def figures(self, names: Collection[str] | None = None) -> list[Figures]:
        """Return rows and bytes by the pages of each; without dbstat, the largest rowid for the rows. No uses are counted."""
        with self.session():
            trees = self._trees()
            of_table: dict[str, int] = {}
            for index, table in self.rows(_INDEX_NAMES):
                of_table[table] = of_table.get(table, 0) + (trees[index].size if index in trees else 0)
            return [
                self._of_table(name, trees.get(name), of_table.get(name, 0))
                for (name,) in self.rows(_TABLE_NAMES)
                if names is None or name in names
            ]

    def _of_table(self, name: str, tree: _Tree | None, index_size: int) -> Figures:
        if tree is None:
            return Figures(name, rows=self._largest_rowid(name))
        average = tree.size / tree.rows if tree.rows else None
        return Figures(name, tree.rows, tree.size, index_size, average)

    def _largest_rowid(self, name: str) -> int | None:
        """Return at least how many rows were ever there, which costs one look into the table; None for one without rowids."""
        try:
            ((largest,),) = self.rows(f"SELECT MAX(rowid) FROM {self.quoted(name)}")  # noqa: S608
        except django.db.Error:
            return None
        return largest or 0

    def _trees(self) -> dict[str, _Tree]:
        """Return pages and rows by the name of a table or index, where they can be had: each page of the file is looked at."""
        if self._read is None:
            self._read = {}
            ((pages,),) = self.rows("PRAGMA page_count")
            ((page_size,),) = self.rows("PRAGMA page_size")
            ((journal,),) = self.rows("PRAGMA journal_mode")
            most = CHEAP_BYTES if journal == "wal" else CHEAP_LOCKED_BYTES
            if not self.is_cheap or pages * page_size <= most:
                with contextlib.suppress(django.db.Error):  # not in every build
                    self._read = {name: _Tree(size, held) for name, size, held in self.rows(_TREES)}
        return self._read

    def _statistics(self) -> dict[str, str]:
        try:
            rows = self.rows("SELECT idx, stat FROM sqlite_stat1 WHERE idx IS NOT NULL")
        except django.db.Error:  # there before the first ANALYZE it is not
            return {}
        found = {}
        for name, stat in rows:
            numbers = [part for part in str(stat).split() if part.isdigit()]
            found[name] = f"{numbers[0]} rows, {numbers[-1]} to a key when last analyzed" if numbers else ""
        return found

    def translate(self, resolved: Resolved) -> Wanted:
        """Return the statement; what it would include is put behind the keys, which serves the same queries."""
        index, note = resolved.index, ""
        keys = [*index.keys, *(Key(field) for field in index.include)]
        collation = _collation(index)
        columns = tuple(Column(self.canonical_key(resolved, key), key.order) for key in keys)
        where = self.condition(resolved)
        definition = Definition(columns, index.unique, where=canonical(where), collation=collation)
        if reason := _cannot(index, collation):
            return unsupported(definition, resolved, reason)
        if index.include:
            note = "SQLite has no INCLUDE: these columns follow the keys"
        collate = f" COLLATE {self.quoted(collation)}" if collation else ""
        expressions = [self.expression(resolved, key) + collate for key in keys]
        ordered = [e + (" DESC" if k.order == "desc" else "") for e, k in zip(expressions, keys, strict=True)]
        create = f"CREATE {'UNIQUE ' if index.unique else ''}INDEX"
        keys_and_filter = f"({', '.join(ordered)}){f' WHERE {where}' if where else ''}"
        statement = f"{create} IF NOT EXISTS {self.quoted(resolved.name)} ON {self.quoted(resolved.table)} {keys_and_filter}"
        rehearsal = f"{create} temp.{REHEARSAL}_idx ON {REHEARSAL} {keys_and_filter}"
        recipe = {"expressions": expressions, "where": where, "rehearsal": rehearsal}
        return Wanted(
            resolved.table,
            resolved.name,
            definition,
            statement,
            "",
            note,
            resolved.source,
            resolved.app,
            recipe,
        )

    def rehearsal(self, wanted: Wanted) -> tuple[str, str]:
        """Return the statements for a temporary table."""
        copy = f"CREATE TEMP TABLE {REHEARSAL} AS SELECT * FROM {self.quoted(wanted.table)} WHERE 0"  # noqa: S608
        return copy, str(wanted.recipe["rehearsal"])

    def create(self, wanted: Wanted, found: Present | None, say: Say) -> None:
        """Run the statement; it does nothing if another run was faster."""
        with self.session():
            self.execute(wanted.statement)

    def drop(self, present: Present, say: Say) -> str:
        """Drop the index at once."""
        with self.session():
            self.execute(f"DROP INDEX IF EXISTS {self.quoted(present.name)}")
        return "dropped"

    def require_writable(self, tables: Collection[str]) -> None:
        """Ask the file for a write lock, and give it back."""
        with self.session():
            if self.connection.in_atomic_block:
                return
            with self.connection.cursor() as cursor:
                cursor.execute("BEGIN IMMEDIATE")
                cursor.execute("ROLLBACK")

    def refused(self, exc: django.db.Error) -> DatabaseRefused:
        """Return the error as one sentence, with what to do where SQLite's own words do not say it."""
        said = str(exc)
        advice = {
            "readonly database": "may only be read by this user; make its file and folder writable, or run this as its owner",
            "unable to open": "cannot be opened; check the path in DATABASES and who may read its folder",
            "is locked": "is locked by another writer; try again when it has finished",
        }
        for part, sentence in advice.items():
            if part in said:
                return DatabaseRefused(f"The database {self.alias!r} {sentence}.")
        return refused(self.alias, exc)


def _chunks(names: Collection[str]) -> list[tuple[list[str], str]]:
    """Return the names in groups that a statement takes, each with its placeholders."""
    every = sorted(names)
    groups = [every[i : i + _TABLES_AT_ONCE] for i in range(0, len(every), _TABLES_AT_ONCE)]
    return [(group, ", ".join(["%s"] * len(group))) for group in groups]


def _present(
    name: str, rows: list[tuple[Any, ...]], sizes: Mapping[str, _Tree], notes: Mapping[str, str]
) -> Present:
    table, _, unique, origin, sql, *_ = rows[0]
    expressions, where = split_columns(sql) if sql else ([], "")
    columns: list[Column] = []
    collations: set[str] = set()
    for position, row in enumerate(rows):
        cid, column, descends = row[5:8]
        if cid < 0 and expressions:  # an expression, or rowid
            column = canonical(_COLLATED.sub("", _COLLATED.sub("", expressions[position])))
        columns.append(Column(str(column), "desc" if descends else "asc"))
    # Those of the statement: a column's own collation is the one that an index without any has.
    collations.update(found[1].upper() for each in expressions if (found := _COLLATION.search(each)))
    collation = ",".join(sorted(collations))
    return Present(
        table=table or _table_of(name),
        name=name,
        definition=Definition(tuple(columns), bool(unique), where=canonical(where), collation=collation),
        owner="" if origin == "c" else CONSTRAINT,
        size=sizes[name].size if name in sizes else None,
        note=notes.get(name, ""),
    )


def _table_of(name: str) -> str:
    """Return the table of an index that SQLite made by itself, for which it keeps no statement."""
    matched = re.fullmatch(r"sqlite_autoindex_(.+)_\d+", name)
    return matched[1] if matched else ""


def _collation(index: Index) -> str:
    chosen = index.collation.get("sqlite", "") if isinstance(index.collation, Mapping) else index.collation
    return str(chosen).upper()


def _cannot(index: Index, collation: str) -> str:  # noqa: PLR0911 - one sentence each
    """Return what of the declaration SQLite does not have, or the empty string."""
    if index.kind == "text":
        return "SQLite has no text index; full text needs a table of its own with FTS5"
    if index.kind in ("hashed", "gin"):
        return f"SQLite has no {index.kind} index; an ordered one, without kind, serves equality too"
    if index.kind == "ttl":
        return "SQLite deletes no rows by their age; delete them with a job of your own"
    if index.include and index.unique:
        return "SQLite has no INCLUDE, and columns behind the keys would change what is unique"
    if isinstance(index.collation, Mapping) and index.collation and not collation:
        return "the collation is another database's; add 'sqlite' to it, such as {'sqlite': 'NOCASE'}"
    if collation and collation not in ("BINARY", "NOCASE", "RTRIM"):
        return f"SQLite has no collation {collation!r}; it has BINARY, NOCASE and RTRIM"
    if index.opclass:
        return "SQLite has no operator classes"
    return ""
