"""What the conditions of a statement say of its tables, and which of them are thereby held to one tenant.

A *node* is a column of one occurrence of a table. Conditions make nodes *bound* (equal to a value) or join them; a condition
only says something of the occurrences that it can leave rows of out, which of a LEFT JOIN's ON are those to its right. Pure: no
Django.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from perfsuite.queries.tenant_guard.schema import Owned, Schema

# An occurrence of a table, and the column.
Node = tuple[int, str]
# Several, where a column comes from each branch of a UNION: all of them.
Nodes = tuple[Node, ...]
# The occurrences that a condition can leave rows of out.
Restricted = set[int]


@dataclass
class Facts:
    """The occurrences of a statement's tables, and what is known of them."""

    schema: Schema
    tables: list[str] = field(default_factory=list)
    bound: list[tuple[Node, Restricted]] = field(default_factory=list)
    joined: list[tuple[Nodes, Node, Restricted]] = field(default_factory=list)

    def occurrence(self, table: str) -> int:
        """Return the number of one more occurrence of a table."""
        self.tables.append(table)
        return len(self.tables) - 1

    def bind(self, nodes: Nodes, restricted: Restricted) -> None:
        """Note that a column is equal to a value, or to one of several."""
        self.bound += [(node, restricted) for node in nodes]

    def join(self, left: Nodes, right: Nodes, restricted: Restricted) -> None:
        """Note that two columns are equal."""
        if left and right:
            self.joined += [(left, node, restricted) for node in right]
            self.joined += [(right, node, restricted) for node in left]

    def unscoped(self) -> tuple[Owned, ...]:
        """Return the declared tables an occurrence of which is not held to one tenant."""
        scoped = self._scoped()
        owned = self.schema.owned
        return tuple(
            dict.fromkeys(
                owned[table]
                for number, table in enumerate(self.tables)
                if table in owned and number not in scoped
            )
        )

    def _scoped(self) -> set[int]:
        bound = {node for node, restricted in self.bound if node[0] in restricted}
        edges = [(sources, node) for sources, node, restricted in self.joined if node[0] in restricted]
        scoped: set[int] = set()
        while True:
            known = len(bound), len(scoped)
            for sources, node in edges:
                if bound.issuperset(sources):
                    bound.add(node)
                if all(self._leads(source, node, scoped) for source in sources):
                    scoped.add(node[0])
            self._follow(bound, scoped)
            if known == (len(bound), len(scoped)):
                return scoped

    def _follow(self, bound: set[Node], scoped: set[int]) -> None:
        """Add which tables the bound columns hold to a tenant, and which columns are thereby bound."""
        schema, tables = self.schema, self.tables
        for number, table in enumerate(tables):
            owned = schema.owned.get(table)
            if owned is not None and owned.column:
                if number in scoped:
                    bound.add((number, owned.column))
                elif (number, owned.column) in bound:
                    scoped.add(number)
            elif any((number, column) in bound for column in schema.tenants.get(table, ())):
                scoped.add(number)
        for number in scoped:
            if tables[number] in schema.tenants:
                bound.update((number, key) for key in schema.keys_of(tables[number]))

    def _leads(self, source: Node, node: Node, scoped: set[int]) -> bool:
        """Tell whether rows of the one table, held to a tenant, name the rows of the other or are named by them.

        A row that belongs to a tenant's row is the tenant's, and so is a row of a declared table that a tenant's row names. A row
        of another table that it names, such as a country, is everybody's; and two rows that only have a value in common, such as
        a status, have no more to do with each other.
        """
        if source[0] not in scoped:
            return False
        schema, here, there = self.schema, self.tables[source[0]], self.tables[node[0]]
        is_declared = there in schema.owned
        if is_declared and node[1] in schema.keys_of(there):
            return True
        if source[1] not in schema.keys_of(here):
            return False
        # A declared table has one column that says whose a row is; another that names a tenant says something else.
        return not (is_declared and schema.owned[there].column and here in schema.tenants)


def common(branches: Iterable[Facts], facts: Facts) -> None:
    """Add to ``facts`` what each of several branches says, of which one holds."""
    first, *others = branches
    for node, restricted in first.bound:
        if all(any(node == each for each, _ in other.bound) for other in others):
            facts.bound.append((node, restricted))
    for sources, node, restricted in first.joined:
        if all(any((sources, node) == each[:2] for each in other.joined) for other in others):
            facts.joined.append((sources, node, restricted))
