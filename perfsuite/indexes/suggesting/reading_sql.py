"""Reads a statement of SQL as what it asks of each table. Pure; what it does not understand it leaves out.

A text without its values, as a fingerprint is, reads as well as one with them; then less is known of how many rows are meant.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from perfsuite.indexes.suggesting import needs
from perfsuite.indexes.suggesting.needs import Block, Statement, Use
from perfsuite.indexes.suggesting.sql_clauses import (
    GIVEN,
    Tokens,
    alias_in,
    bare,
    clauses,
    closing,
    column,
    depths,
    is_query,
    sources,
    split,
)
from perfsuite.indexes.suggesting.sql_conditions import ColumnsOf, Conditions, Scope
from perfsuite.queries.explain.sql_text import Token, one_select

MAX_USES = 12

_LOCKS = re.compile(r"\sFOR (?:NO KEY )?UPDATE\b.*\Z|\sFOR (?:KEY )?SHARE\b.*\Z", re.IGNORECASE | re.DOTALL)
_WRITES = re.compile(
    r"""\A\s*(?:DELETE\s+FROM|UPDATE)\s+(?P<table>"[^"]+"|`[^`]+`|[\w.]+)(?P<rest>.*)\Z""",
    re.IGNORECASE | re.DOTALL,
)
_WITH = frozenset(["RECURSIVE", "AS", "MATERIALIZED", "NOT"])
_AGGREGATES = frozenset(
    ["COUNT", "SUM", "AVG", "MIN", "MAX", "ARRAY_AGG", "STRING_AGG", "TOTAL", "STDDEV_POP"]
)


def read_sql(sql: str, params: Sequence[Any] | None = None, columns_of: ColumnsOf | None = None) -> Statement:
    """Return what a SELECT, an UPDATE or a DELETE asks of its tables; raise ``NotExplainable`` for any other text.

    ``params`` are the values of its placeholders. ``columns_of`` tells whose a column is that stands without its table.
    """
    text, writes = _as_select(sql)
    tokens = one_select(_LOCKS.sub("", text))
    places = [at for at, token in enumerate(tokens) if token.kind == "value" and token.text != "…"]
    if params is not None and len(params) == len(places):
        for at, value in zip(places, params, strict=True):
            tokens[at] = Token(GIVEN, "?" if value is None else str(value), tokens[at].lead)
    reader = _Reader(columns_of or (lambda table: None))
    reader.query(tokens, (), needs.MAIN, -1)
    reader.statement.writes = writes
    return reader.statement


def _as_select(sql: str) -> tuple[str, bool]:
    """Return an UPDATE or a DELETE as the SELECT of the rows that it changes."""
    match = _WRITES.match(sql)
    if match is None:
        return sql, False
    # Strings of what is set stand before the condition; a subquery's WHERE is inside parentheses.
    rest, depth = match["rest"], 0
    for found in re.finditer(r"'(?:[^']|'')*'|\"[^\"]*\"|[()]|\bWHERE\b", rest, re.IGNORECASE):
        depth += {"(": 1, ")": -1}.get(found.group(), 0)
        if not depth and found.group().upper() == "WHERE":
            return f"SELECT * FROM {match['table']} {rest[found.start() :]}", True  # noqa: S608 - it is read, and run nowhere
    return f"SELECT * FROM {match['table']}", True  # noqa: S608 - it is read, and run nowhere


class _Reader(Conditions):
    def __init__(self, columns_of: ColumnsOf) -> None:
        super().__init__(columns_of)
        self.named: dict[str, int] = {}  # the blocks of common table expressions

    def query(self, tokens: Tokens, scopes: tuple[Scope, ...], role: str, parent: int) -> list[int]:
        """Read a query and return its blocks: one for each SELECT between UNION and the like."""
        tokens = bare(tokens)
        if tokens and tokens[0].word == "WITH":
            tokens = self._with(tokens, scopes)
        found = []
        for each in split(tokens, "UNION", "INTERSECT", "EXCEPT"):
            part = bare(each[1:] if each and each[0].word in ("ALL", "DISTINCT") else each)
            if is_query(part):
                found.append(self._select(part, scopes, role, parent))
        return found

    def _with(self, tokens: Tokens, scopes: tuple[Scope, ...]) -> Tokens:
        """Read the common table expressions, and return what follows them."""
        at, name = 1, ""
        while at < len(tokens) and tokens[at].word != "SELECT":
            if tokens[at].kind in ("name", "word") and tokens[at].word not in _WITH:
                name = tokens[at].bare.lower()
                self.named[name] = -1
            if tokens[at].text == "(":
                end = closing(tokens, at)
                inside = tokens[at + 1 : end]
                if is_query(inside) and (made := self.query(inside, scopes, needs.DERIVED, -1)):
                    self.named[name] = made[0]
                at = end
            at += 1
        return tokens[at:]

    def _select(self, tokens: Tokens, outer: tuple[Scope, ...], role: str, parent: int) -> int:
        block = Block(role, parent)
        number = len(self.statement.blocks)
        self.statement.blocks.append(block)
        parts = clauses(tokens)
        scope = Scope()
        scopes = (scope, *outer)
        ons = [
            on
            for how, table, on in sources(parts.get("from", ()))
            if self._source(how, table, scope, scopes, number) and on
        ]
        for condition in [*ons, parts.get("where", ())]:
            self._condition(condition, scopes, number, is_negated=False)
        self._selected(parts.get("select", ()), scopes, block, number)
        for name in ("group", "having", "order"):
            self._mention(parts.get(name, ()), scopes, number)
        block.has_limit = "limit" in parts
        block.is_grouped = "group" in parts or block.is_grouped
        self._grouped(parts.get("group", ()), scopes, block)
        self._ordered(parts.get("order", ()), scopes, block)
        return number

    # Tables

    def _source(self, how: str, tokens: Tokens, scope: Scope, scopes: tuple[Scope, ...], block: int) -> bool:
        """Read a table of FROM with its alias; return True, so that its condition is read."""
        if tokens and tokens[0].word == "LATERAL":
            tokens = tokens[1:]
        if not tokens:
            return True
        if tokens[0].text == "(":
            end = closing(tokens, 0)
            inside = tokens[1:end]
            if is_query(inside):
                made = self.query(inside, scopes[1:], needs.DERIVED, block)
                self._pseudo(alias_in(tokens[end + 1 :]), scope, block, made[0] if made else -1)
            else:  # joins in parentheses
                for each, joined, on in sources(inside):
                    self._source(each, joined, scope, scopes, block)
                    self._condition(on, scopes, block, is_negated=False)
            return True
        at = 1
        while at + 1 < len(tokens) and tokens[at].text == ".":
            at += 2
        table = tokens[at - 1].bare
        alias = alias_in(tokens[at:]) or table
        if table.lower() in self.named or (at < len(tokens) and tokens[at].text == "("):
            self._pseudo(alias, scope, block, self.named.get(table.lower(), -1))
        else:
            scope[alias.lower()] = len(self.statement.uses)
            self.statement.uses.append(Use(table, alias, block, is_optional=how in ("LEFT", "FULL")))
        return True

    def _pseudo(self, alias: str, scope: Scope, block: int, source: int) -> None:
        """Note what is read like a table without being one."""
        scope[alias.lower()] = len(self.statement.uses)
        self.statement.uses.append(Use("", alias, block, source=source))

    # What is selected, and in which order

    def _selected(self, tokens: Tokens, scopes: tuple[Scope, ...], block: Block, number: int) -> None:
        if tokens and tokens[0].word == "DISTINCT":
            tokens, block.is_grouped = tokens[1:], True
        items = split(tokens, ",")
        block.width = len(items)
        for item in items:
            if item and item[-1].text == "*" and len(item) in (1, 3):
                for use in scopes[0].values():
                    if len(item) == 1 or scopes[0].get(item[0].bare.lower()) == use:
                        self.statement.uses[use].columns = None
                block.width = 8
            if any(
                t.word in _AGGREGATES and item[at + 1 : at + 2] and item[at + 1].text == "("
                for at, t, d in depths(item)
                if not d
            ):
                block.is_grouped = True
        self._mention(tokens, scopes, number)
        if (
            len(items) == 1
            and len(items[0]) > 3
            and items[0][0].word in ("MIN", "MAX")
            and items[0][1].text == "("
        ):
            block.extreme = self._resolve(column(items[0][2 : closing(items[0], 1)]), scopes[:1])

    def _grouped(self, tokens: Tokens, scopes: tuple[Scope, ...], block: Block) -> None:
        for item in split(tokens, ",") if tokens else ():
            if found := self._resolve(column(item), scopes[:1]):
                block.group.append(found)

    def _ordered(self, tokens: Tokens, scopes: tuple[Scope, ...], block: Block) -> None:
        for item in split(tokens, ",") if tokens else ():
            words = [token.word for token in item]
            plain = [token for token in item if token.word not in ("ASC", "DESC", "NULLS", "FIRST", "LAST")]
            found = self._resolve(column(plain), scopes[:1])
            if found is None:
                block.is_ordered_otherwise = True
                return
            block.order.append((*found, "DESC" in words))
