"""What the SQL engines share: conditions as text, statements, the rows in the way of a unique index, and the driver's errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import django.db
from django.db import connections, transaction

from perfsuite.indexes.canonical import canonical
from perfsuite.indexes.compare import Present, Wanted
from perfsuite.indexes.engines.base import Duplicates, Engine, refused
from perfsuite.indexes.errors import DatabaseRefused, DeclarationError
from perfsuite.indexes.ownership import owner_of
from perfsuite.indexes.resolve import Resolved
from perfsuite.indexes.spec import Condition, Key
from perfsuite.metrics.request import suppress

EXAMPLES = 3
REHEARSAL = "perfsuite_rehearsal"
_COMPARED = {"$eq": "=", "$ne": "<>", "$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}


class SQLEngine(Engine):
    """The base of the SQL engines; they add how the catalog is read and what of a declaration they can do."""

    @property
    def connection(self) -> Any:
        """Django's connection of the alias, in this thread."""
        return connections[self.alias]

    def quoted(self, name: str) -> str:
        """Return a table's, column's or index's name as SQL takes it."""
        return str(self.connection.ops.quote_name(name))

    def rows(self, sql: str, params: list[Any] | None = None) -> list[tuple[Any, ...]]:
        """Return all rows of a query."""
        with self.connection.cursor() as cursor:
            cursor.execute(sql, params)
            return list(cursor.fetchall())

    def execute(self, sql: str) -> None:
        """Run a statement."""
        with self.connection.cursor() as cursor:
            cursor.execute(sql)

    @contextmanager
    def session(self) -> Iterator[None]:
        """Record nothing that runs inside, and turn Django's database errors into ``DatabaseRefused``."""
        try:
            with suppress():
                yield
        except django.db.Error as exc:
            raise self.refused(exc) from exc

    def refused(self, exc: django.db.Error) -> DatabaseRefused:
        """Return the error as one sentence."""
        return refused(self.alias, exc)

    def owned(self, found: list[Present]) -> list[Present]:
        """Return the indexes with those marked that a migration makes."""
        return owner_of(found)

    def condition(self, resolved: Resolved) -> str:
        """Return the filter of a partial or sparse index as SQL, or the empty string."""
        index = resolved.index
        if index.sparse:
            columns = dict.fromkeys(resolved.columns[key.field] for key in index.keys)
            return " OR ".join(f"{self.quoted(column)} IS NOT NULL" for column in columns)
        return " AND ".join(self._test(resolved, each) for each in index.where)

    def _test(self, resolved: Resolved, condition: Condition) -> str:
        column, value = self.quoted(resolved.columns[condition.field]), condition.value
        if condition.operator == "$exists" or value is None:
            is_null = condition.operator == "$eq" or (condition.operator == "$exists" and not value)
            return f"{column} IS NULL" if is_null else f"{column} IS NOT NULL"
        if condition.operator == "$in":
            literals = ", ".join(self.literal(resolved, condition.field, each) for each in value)
            return self.is_one_of(column, literals)
        return f"{column} {_COMPARED[condition.operator]} {self.literal(resolved, condition.field, value)}"

    def is_one_of(self, column: str, literals: str) -> str:
        """Return the test for membership as the server prints it."""
        return f"{column} IN ({literals})"

    def literal(self, resolved: Resolved, name: str, value: Any) -> str:
        """Return a value as SQL, as Django would store it in the field. Raises ``DeclarationError`` for one that cannot be."""
        field = resolved.fields.get(name)
        try:
            if field is not None:
                field = field.target_field if field.is_relation else field
                value = field.get_db_prep_value(field.to_python(value), self.connection)
            return str(self.connection.schema_editor().quote_value(value))
        except Exception as exc:
            raise DeclarationError(
                f"{resolved.source} compares {name!r} in where with {value!r}, which is no value of it: {exc}."
            ) from exc

    def expression(self, resolved: Resolved, key: Key) -> str:
        """Return a key's column, with the function around it if it has one."""
        column = self.quoted(resolved.columns[key.field])
        return f"{key.function}({column})" if key.function else column

    def canonical_key(self, resolved: Resolved, key: Key) -> str:
        """Return the key in the form in which it compares: a column's bare name, or an expression."""
        column = resolved.columns[key.field]
        return canonical(self.expression(resolved, key)) if key.function else column

    def rehearse(self, wanted: Wanted) -> None:
        """Make the index on an empty copy of the table, temporary: an unknown function is found before anything is made."""
        copy, statement = self.rehearsal(wanted)
        with self.session(), transaction.atomic(using=self.alias):
            self.execute(copy)
            try:
                self.execute(statement)
            except django.db.Error as exc:
                said = str(exc).strip().split("\n")[0].rstrip(".")
                raise DatabaseRefused(
                    f"The index {wanted.name} on {wanted.table}, declared in {wanted.source}, cannot be: {said}."
                ) from exc
            transaction.set_rollback(True, using=self.alias)

    def rehearsal(self, wanted: Wanted) -> tuple[str, str]:
        """Return the statement that copies the table without its rows, and the one that makes the index on the copy."""
        raise NotImplementedError

    def duplicates(self, wanted: Wanted) -> Duplicates | None:
        """Count the keys that are there more than once, leaving out those with a NULL, which no unique index refuses."""
        expressions, where = wanted.recipe["expressions"], wanted.recipe["where"]
        keys = ", ".join(expressions)
        conditions = [f"{each} IS NOT NULL" for each in expressions] + ([f"({where})"] if where else [])
        grouped = f"FROM {self.quoted(wanted.table)} WHERE {' AND '.join(conditions)} GROUP BY {keys} HAVING COUNT(*) > 1"
        examples = self.rows(
            f"SELECT {keys}, COUNT(*) {grouped} ORDER BY COUNT(*) DESC, {keys} LIMIT {EXAMPLES}"
        )
        if not examples:
            return None
        ((count,),) = self.rows(f"SELECT COUNT(*) FROM (SELECT 1 AS one {grouped}) AS keys_twice")  # noqa: S608
        return Duplicates(count, tuple((tuple(row[:-1]), row[-1]) for row in examples))
