"""The levels of a statement, one for each SELECT, and what a column's name means at each. Pure: no Django."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from perfsuite.queries.tenant_guard.facts import Facts, Nodes, Restricted
from perfsuite.queries.tenant_guard.tokens import Token, Tokens, is_name, is_word, unwrapped

# Words that are values though they look like columns.
_VALUES = frozenset([
    "true", "false", "null", "current_user", "session_user", "user", "current_date", "current_time", "current_timestamp",
    "localtimestamp", "default",
])  # fmt: skip
_TYPE_WORDS = frozenset(["varying", "precision", "with", "without", "time", "zone", "unsigned", "signed"])


@dataclass
class Outputs:
    """What a query gives to the one around it: its columns by name or place, and the occurrences that conditions there reach."""

    by_name: Callable[[str], Nodes] = lambda name: ()
    by_place: Callable[[int], Nodes] = lambda place: ()
    reached: Restricted = field(default_factory=set)
    # The places of the columns that have a name; empty where a star stands among them.
    places: Mapping[str, int] = field(default_factory=dict)

    def renamed(self, columns: list[str]) -> Outputs:
        """Return the same with names given by place, as in ``AS x(a, b)``."""
        places = {name: place for place, name in enumerate(columns)}
        return Outputs(
            lambda name: self.by_place(places[name]) if name in places else (),
            self.by_place,
            self.reached,
            places,
        )


@dataclass(frozen=True)
class Source:
    """What a FROM names: an occurrence of a table, or a query."""

    number: int = -1
    table: str = ""
    outputs: Outputs | None = None

    def column(self, name: str) -> Nodes:
        """Return what a column of it is a column of."""
        if self.outputs is not None:
            return self.outputs.by_name(name)
        return ((self.number, name),) if self.number >= 0 else ()


# Reads the body of a common table expression for one more reference to it.
Body = Callable[[], Outputs]


@dataclass
class Level:
    """One SELECT, UPDATE or DELETE."""

    facts: Facts
    parent: Level | None = None
    bodies: Mapping[str, Body] = field(default_factory=dict)
    sources: dict[str, Source] = field(default_factory=dict)
    # What a condition of the WHERE can leave rows of out.
    restricted: Restricted = field(default_factory=set)

    def resolve(self, names: list[str]) -> Nodes:
        """Return the columns of occurrences that ``alias.column`` or ``column`` is, or nothing where that is not known."""
        column = names[-1]
        if len(names) == 1:
            return self._bare(column)
        level: Level | None = self
        while level is not None:
            if (source := level.sources.get(names[-2])) is not None:
                return source.column(column)
            level = level.parent
        return ()

    def _bare(self, column: str) -> Nodes:
        if len(self.sources) == 1:
            return next(iter(self.sources.values())).column(column)
        owned = self.facts.schema.owned
        having = [
            nodes
            for source in self.sources.values()
            if (nodes := source.column(column))
            and (table := owned.get(self.facts.tables[nodes[0][0]])) is not None
            and table.column == column
        ]
        return having[0] if len(having) == 1 else ()


def names_of(tokens: Tokens) -> list[str] | None:
    """Return the parts of a column's name if that is what the tokens are, in parentheses or with a cast or not."""
    tokens = _without_cast(unwrapped(tokens))
    tokens = unwrapped(tokens)
    if len(tokens) % 2 == 0 or not all(is_name(token) for token in tokens[::2]):
        return None
    if any(token.text != "." or token.kind != "symbol" for token in tokens[1::2]):
        return None
    if len(tokens) == 1 and is_word(tokens[0], *_VALUES):
        return None
    return [token.text for token in tokens[::2]]


def _without_cast(tokens: Tokens) -> Tokens:
    for i, token in enumerate(tokens):
        if token.text == "::" and token.kind == "symbol":
            return tokens[:i] if i and _is_type(tokens[i + 1 :]) else tokens
    return tokens


def _is_type(tokens: Tokens) -> bool:
    return all(is_name(token) or token.kind == "group" for token in tokens) and 0 < len(tokens) <= 3


def is_constant(tokens: Tokens) -> bool:
    """Tell whether an expression holds no column and no query: the same value for each row."""
    for i, token in enumerate(tokens):
        if token.kind == "group":
            if not is_constant(token.inside):
                return False
        elif (
            token.kind == "quoted"
            or (token.kind == "word" and not _is_no_column(tokens, i, token))
            or (token.kind == "symbol" and token.text in "*;")
        ):
            return False
    return True


def _is_no_column(tokens: Tokens, i: int, token: Token) -> bool:
    if token.text in _VALUES or token.text in _TYPE_WORDS:
        return True
    if token.text in ("select", "with", "table", "values", "from"):
        return False
    after = tokens[i + 1] if i + 1 < len(tokens) else None
    if after is not None and (after.kind in ("group", "value") or after.text == "as"):
        return after.kind != "word"  # a function, or a type before its value
    if after is not None and after.text == "." and tokens[i + 3 : i + 4] and tokens[i + 3].kind == "group":
        return True  # the schema of a function
    before = tokens[i - 1] if i else None
    return before is not None and (
        (before.kind == "symbol" and before.text == "::")
        or is_word(before, "as", "collate")
        or token.text == "as"
    )
