"""Reads FROM: the tables, the queries in it, and what ON and USING say. Pure: no Django."""

from __future__ import annotations

from perfsuite.queries.tenant_guard.conditions import Conditions, ReadQuery
from perfsuite.queries.tenant_guard.facts import Restricted
from perfsuite.queries.tenant_guard.levels import Level, Source
from perfsuite.queries.tenant_guard.tokens import (
    NotUnderstood,
    Token,
    Tokens,
    at_comma,
    is_name,
    is_query,
    is_word,
    keyword,
    split,
)

_JOIN_WORDS = frozenset(
    ["join", "straight_join", "inner", "left", "right", "full", "cross", "natural", "outer"]
)
_NO_ALIAS = frozenset([
    "on", "using", "use", "force", "ignore", "indexed", "not", "tablesample", "with", "set", "as", "partition", "where",
])  # fmt: skip


class From:
    """Reads what stands behind FROM, USING, UPDATE and DELETE FROM into a level."""

    def __init__(self, conditions: Conditions, read_query: ReadQuery) -> None:
        self._conditions = conditions
        self._read_query = read_query

    def read(self, tokens: Tokens, level: Level) -> Restricted:
        """Add the tables to the level, and return their occurrences."""
        read: Restricted = set()
        for chain in split(tokens, at_comma):
            if chain:
                read |= self._read_chain(chain, level)
        level.restricted |= read
        return read

    def _read_chain(self, tokens: Tokens, level: Level) -> Restricted:
        left: Restricted = set()
        for words, segment in _segments(tokens):
            source, condition = _at_condition(segment)
            before = list(level.sources)
            right = self._read_source(source, level)
            level.restricted |= right
            if "full" in words:
                restricted: Restricted = set()
            elif "left" in words:
                restricted = set(right)
            elif "right" in words:
                restricted = set(left)
            else:
                restricted = left | right
            if "natural" in words:
                columns = {owned.column for owned in level.facts.schema.owned.values() if owned.column}
                self._read_using(columns, before, level, restricted)
            elif condition and is_word(condition[0], "using"):
                columns = {token.text for token in condition[1].inside if is_name(token)}
                self._read_using(columns, before, level, restricted)
            elif condition:
                # What a query in it names is its own.
                self._conditions.read(condition[1:], level, restricted)
            left |= right
        return left

    def _read_using(self, columns: set[str], before: list[str], level: Level, restricted: Restricted) -> None:
        new = [name for name in level.sources if name not in before]
        for column in columns:
            for name in new:
                for other in before:
                    ours, theirs = level.sources[name].column(column), level.sources[other].column(column)
                    level.facts.join(ours, theirs, restricted)

    def _read_source(self, tokens: Tokens, level: Level) -> Restricted:
        while tokens and is_word(tokens[0], "lateral", "only"):
            tokens = tokens[1:]
        if not tokens:
            raise NotUnderstood
        first = tokens[0]
        if first.kind == "group":
            if not is_query(first):
                return self.read(first.inside, level)
            outputs = self._read_query(first.inside, level, None)
            name, columns = _alias(tokens[1:], f"?{len(level.sources)}")
            level.sources[name] = Source(outputs=outputs.renamed(columns) if columns else outputs)
            return set(outputs.reached)
        path, rest = _path(tokens)
        if rest and rest[0].kind == "group":  # a function
            self._conditions.scan(rest[:1], level)
            level.sources[_alias(rest[1:], path[-1])[0]] = Source()
            return set()
        name, columns = _alias(rest, path[-1])
        body = level.bodies.get(path[0]) if len(path) == 1 else None
        if body is not None:
            outputs = body()
            level.sources[name] = Source(outputs=outputs.renamed(columns) if columns else outputs)
            return set(outputs.reached)
        number = level.facts.occurrence(path[-1])
        level.sources[name] = Source(number, path[-1])
        return {number}


def _segments(tokens: Tokens) -> list[tuple[set[str], Tokens]]:
    """Split a FROM at its joins; each comes with the words of its join."""
    segments: list[tuple[set[str], list[Token]]] = [(set(), [])]
    words: set[str] = set()
    for i, token in enumerate(tokens):
        if keyword(tokens, i, _JOIN_WORDS) and not (
            i + 1 < len(tokens) and tokens[i + 1].kind == "group" and token.text in ("left", "right")
        ):
            words.add(token.text)
            if token.text in ("join", "straight_join"):
                segments.append((words, []))
                words = set()
        elif words:
            raise NotUnderstood
        else:
            segments[-1][1].append(token)
    if words:
        raise NotUnderstood
    return list(segments)


def _at_condition(tokens: Tokens) -> tuple[Tokens, Tokens]:
    for i in range(1, len(tokens)):
        if keyword(tokens, i, frozenset(["on"])):
            return tokens[:i], tokens[i:]
        if keyword(tokens, i, frozenset(["using"])) and i + 1 < len(tokens) and tokens[i + 1].kind == "group":
            return tokens[:i], tokens[i:]
    return tokens, ()


def _path(tokens: Tokens) -> tuple[list[str], Tokens]:
    """Return the parts of a table's name, and what follows."""
    if not is_name(tokens[0]):
        raise NotUnderstood
    path, i = [tokens[0].text], 1
    while (
        i + 1 < len(tokens)
        and tokens[i].text == "."
        and tokens[i].kind == "symbol"
        and is_name(tokens[i + 1])
    ):
        path.append(tokens[i + 1].text)
        i += 2
    return path, tokens[i:]


def _alias(tokens: Tokens, name: str) -> tuple[str, list[str]]:
    """Return the alias in front of all that may follow a table, else ``name``, and the names of columns behind it."""
    if tokens and is_word(tokens[0], "as"):
        tokens = tokens[1:]
    elif tokens and is_word(tokens[0], *_NO_ALIAS):
        return name, []
    if not tokens or not is_name(tokens[0]):
        return name, []
    columns = tokens[1].inside if len(tokens) > 1 and tokens[1].kind == "group" else ()
    return tokens[0].text, [token.text for token in columns if is_name(token)]
