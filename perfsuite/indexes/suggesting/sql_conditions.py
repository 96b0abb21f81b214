"""The conditions of a SELECT, and whose each column in them is. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from perfsuite.indexes.suggesting import needs
from perfsuite.indexes.suggesting.needs import UNKNOWN, Join, Statement
from perfsuite.indexes.suggesting.sql_clauses import (
    PATTERNS,
    Tokens,
    bare,
    clauses,
    closing,
    column,
    columns_in,
    is_query,
    operator,
    split,
    without_alias,
)
from perfsuite.indexes.suggesting.sql_clauses import value as value_of

# Which columns a table has, or None for one that is not known.
ColumnsOf = Callable[[str], "Collection[str] | None"]
_RANGES = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


class Scope(dict[str, int]):
    """The uses of a block by their aliases."""


class Conditions:
    """Collects what conditions ask of each use in ``statement``."""

    def __init__(self, columns_of: ColumnsOf) -> None:
        self.statement = Statement()
        self.columns_of = columns_of

    def query(self, tokens: Tokens, scopes: tuple[Scope, ...], role: str, parent: int) -> list[int]:
        """Read a query and return its blocks."""
        raise NotImplementedError

    def _resolve(self, named: tuple[str, str] | None, scopes: tuple[Scope, ...]) -> tuple[int, str] | None:
        """Return the use that a column is of, and its name; None if it is no table's."""
        if named is None:
            return None
        qualifier, name = named
        for scope in scopes:
            if qualifier:
                if qualifier in scope:
                    return scope[qualifier], name
                continue
            own = list(scope.values())
            known = [use for use in own if name in (self.columns_of(self.statement.uses[use].table) or ())]
            if len(known) == 1:
                return known[0], name
            if len(scope) == 1 and own and self.columns_of(self.statement.uses[own[0]].table) is None:
                return own[0], name
        return None

    def _mention(self, tokens: Tokens, scopes: tuple[Scope, ...], block: int) -> None:
        """Note the columns that an expression needs, and read the subqueries in it."""
        at = 0
        while at < len(tokens):
            if tokens[at].text == "(" and is_query(tokens[at + 1 : at + 2]):
                end = closing(tokens, at)
                before = tokens[at - 1].word if at else ""
                role = needs.SEMI if before == "EXISTS" else needs.SCALAR
                self.query(tokens[at + 1 : end], scopes, role, block)
                tokens = [*tokens[:at], *tokens[end + 1 :]]
            else:
                at += 1
        for named in columns_in(tokens):
            if found := self._resolve(named, scopes):
                self.statement.uses[found[0]].name(found[1])

    # Conditions

    def _condition(self, tokens: Tokens, scopes: tuple[Scope, ...], block: int, *, is_negated: bool) -> None:
        tokens = bare(tokens)
        if not tokens:
            return
        if not is_negated and len(parts := split(tokens, "AND")) > 1:
            for part in parts:
                self._condition(part, scopes, block, is_negated=False)
            return
        if tokens[0].word == "NOT":
            self._negated(tokens[1:], scopes, block)
        elif tokens[0].word == "EXISTS":
            self.query(tokens[1:], scopes, needs.ANTI if is_negated else needs.SEMI, block)
        elif len(parts := split(tokens, "OR")) > 1:
            self._any_of(parts, scopes, block)
        else:
            self._term(tokens, scopes, block)

    def _negated(self, tokens: Tokens, scopes: tuple[Scope, ...], block: int) -> None:
        tokens = bare(tokens)
        if tokens and tokens[0].word == "EXISTS":
            self._condition(tokens, scopes, block, is_negated=True)
        elif found := self._resolve(column(tokens), scopes):  # a boolean column
            self._compare(found, "=", False)
        else:
            self._unserved(tokens, scopes, block)

    def _any_of(self, parts: list[Tokens], scopes: tuple[Scope, ...], block: int) -> None:
        """Read conditions of which one must hold: the same column with several values is served like IN."""
        columns = []
        for part in parts:
            at = operator(bare(part))
            if at is None or bare(part)[at].text != "=":
                break
            columns.append(self._resolve(column(bare(part)[:at]), scopes))
        else:
            if len(set(columns)) == 1 and columns[0] is not None:
                self._among(columns[0], len(columns))
                return
        for part in parts:
            self._mention(part, scopes, block)
        owners = {
            each[0] for part in parts for named in columns_in(part) if (each := self._resolve(named, scopes))
        }
        if len(owners) == 1:
            use = self.statement.uses[owners.pop()]
            use.filters += 1
            use.patterns += [
                each[1]
                for part in parts
                for named in columns_in(part)
                if (each := self._resolve(named, scopes))
            ]

    def _term(self, tokens: Tokens, scopes: tuple[Scope, ...], block: int) -> None:
        """Read one comparison."""
        at = operator(tokens)
        if at is None:
            if found := self._resolve(column(tokens), scopes):
                self._compare(found, "=", True)
            else:
                self._mention(tokens, scopes, block)
            return
        left, sign, right = tokens[:at], tokens[at].word or tokens[at].text, tokens[at + 1 :]
        if left and left[-1].word == "NOT":
            self._not(left[:-1], sign, right, scopes, block)
        elif sign == "IN":
            self._in(left, right, scopes, block)
        elif sign == "BETWEEN":
            self._between(left, right, scopes, block)
        elif sign == "IS":
            self._is(left, right, scopes, block)
        elif sign in PATTERNS or sign in ("<>", "!="):
            self._unserved(tokens, scopes, block)
        else:
            self._comparison(left, sign, right, scopes, block)

    def _not(self, left: Tokens, sign: str, right: Tokens, scopes: tuple[Scope, ...], block: int) -> None:
        if sign == "IN" and is_query(bare(right)):
            self._in_query(left, right, scopes, block, needs.ANTI)
        else:
            self._unserved([*left, *right], scopes, block)

    def _comparison(
        self, left: Tokens, sign: str, right: Tokens, scopes: tuple[Scope, ...], block: int
    ) -> None:
        sign = "=" if sign == "==" else sign
        one, other = self._resolve(column(left), scopes), self._resolve(column(right), scopes)
        if one and other:
            self._equal_columns(one, sign, other)
        elif one and not self._names_columns(right, scopes):
            self._compare(one, sign, value_of(right))
            self._mention(right, scopes, block)
        elif other and not self._names_columns(left, scopes):
            self._compare(other, _RANGES.get(sign, sign), value_of(left))
            self._mention(left, scopes, block)
        elif one and is_query(bare(right)):
            self._mention(right if right[0].text == "(" else [], scopes, block)
            self._compare(one, sign, UNKNOWN)
            self.statement.uses[one[0]].asked.add(one[1])
        else:
            self._unserved([*left, *right], scopes, block)

    def _equal_columns(self, one: tuple[int, str], sign: str, other: tuple[int, str]) -> None:
        for use, name in (one, other):
            self.statement.uses[use].name(name)
        if sign == "=" and one[0] != other[0]:
            self.statement.joins.append(Join(one[0], one[1], other[0], other[1]))
        elif one[0] == other[0]:
            self.statement.uses[one[0]].filters += 1

    def _names_columns(self, tokens: Tokens, scopes: tuple[Scope, ...]) -> bool:
        return any(self._resolve(named, scopes) for named in columns_in(tokens))

    def _in(self, left: Tokens, right: Tokens, scopes: tuple[Scope, ...], block: int) -> None:
        if is_query(bare(right)):
            self._in_query(left, right, scopes, block, needs.SEMI)
            return
        found = self._resolve(column(left), scopes)
        values = split(bare(right), ",")
        if found is None or self._names_columns(right, scopes):
            self._unserved([*left, *right], scopes, block)
        elif len(values) == 1 and values[0] and values[0][0].text != "…":
            self._compare(found, "=", value_of(values[0]))
        else:
            self._among(found, None if values[0] and values[0][0].text == "…" else len(values))

    def _in_query(
        self, left: Tokens, right: Tokens, scopes: tuple[Scope, ...], block: int, role: str
    ) -> None:
        """Read ``IN (SELECT column ...)`` as a join with that column."""
        found = self._resolve(column(left), scopes)
        first = len(self.statement.uses)
        self.query(right, scopes, role, block)
        selected = split(clauses(bare(right)).get("select", ()), ",")
        inner = Scope({use.alias.lower(): at for at, use in enumerate(self.statement.uses) if at >= first})
        other = self._resolve(
            column([t for t in without_alias(selected[0]) if t.word != "DISTINCT"]), (inner,)
        )
        if found and other:
            self._equal_columns(found, "=", other)
        self._mention(left, scopes, block)

    def _between(self, left: Tokens, right: Tokens, scopes: tuple[Scope, ...], block: int) -> None:
        found = self._resolve(column(left), scopes)
        low, *high = split(right, "AND")
        if found is None or self._names_columns(right, scopes):
            self._unserved([*left, *right], scopes, block)
            return
        self._compare(found, ">=", value_of(low))
        self._compare(found, "<=", value_of(high[0]) if high else UNKNOWN)

    def _is(self, left: Tokens, right: Tokens, scopes: tuple[Scope, ...], block: int) -> None:
        found = self._resolve(column(left), scopes)
        words = [token.word for token in right]
        if found is None or words[:1] == ["NOT"] or words[:1] == ["DISTINCT"]:
            self._unserved([*left, *right], scopes, block)
        else:
            self._compare(found, "=", {"TRUE": True, "FALSE": False}.get(words[0] if words else ""))

    def _compare(self, found: tuple[int, str], sign: str, value: Any) -> None:
        use, name = self.statement.uses[found[0]], found[1]
        use.name(name)
        use.filters += 1
        if sign == "=":
            use.equals[name] = value
        elif sign in _RANGES:
            use.ranges.setdefault(name, []).append((sign, value))

    def _among(self, found: tuple[int, str], count: int | None) -> None:
        use = self.statement.uses[found[0]]
        use.name(found[1])
        use.filters += 1
        use.among[found[1]] = count

    def _unserved(self, tokens: Tokens, scopes: tuple[Scope, ...], block: int) -> None:
        """Note a condition that no index serves."""
        self._mention(tokens, scopes, block)
        owners = {found for named in columns_in(tokens) if (found := self._resolve(named, scopes))}
        if len({use for use, _ in owners}) == 1:
            for use, name in owners:
                self.statement.uses[use].patterns.append(name)
            self.statement.uses[use].filters += 1
