"""What a SELECT compares and sorts, by alias: what an index would have to serve. Pure; a guess where the SQL is not Django's."""

from __future__ import annotations

from dataclasses import dataclass, field

from perfsuite.queries.explain.sql_text import Token

# What follows a table's name without being its alias.
_NO_ALIAS = frozenset([
    "WHERE", "ON", "INNER", "LEFT", "RIGHT", "FULL", "CROSS", "NATURAL", "JOIN", "GROUP", "ORDER", "LIMIT", "UNION", "USING",
    "OFFSET", "FETCH", "HAVING", "WINDOW", "EXCEPT", "INTERSECT", "OUTER", "INDEXED", "NOT", "FOR", "TABLESAMPLE", "SET",
])  # fmt: skip
_SERVED = frozenset(["=", "<", ">", "<=", ">=", "IN", "BETWEEN", "IS"])
_PATTERNS = frozenset(["LIKE", "ILIKE", "GLOB", "REGEXP", "MATCH", "SIMILAR", "~", "~*", "~~", "~~*"])
_ENDS_CONDITION = frozenset([
    "SELECT", "FROM", "GROUP", "ORDER", "LIMIT", "UNION", "JOIN", "INNER", "LEFT", "HAVING",
])  # fmt: skip
_NO_FUNCTION = frozenset([
    "AND", "OR", "NOT", "WHERE", "ON", "IN", "EXISTS", "ANY", "ALL", "SOME", "WHEN", "THEN", "ELSE", "LIKE", "BETWEEN", "IS",
    "BY", "HAVING", "SELECT", "AS",
])  # fmt: skip


@dataclass
class Filters:
    """What a statement compares of one table, by name of the column.

    ``values``: with a value, so that an index would serve it. ``patterns``: by LIKE, a regular expression, or inside a function.
    ``joins``: with a column of another table.
    """

    values: list[str] = field(default_factory=list)
    patterns: list[str] = field(default_factory=list)
    joins: list[str] = field(default_factory=list)


def tables_of(tokens: list[Token]) -> dict[str, str]:
    """Return the table of each alias, in small letters; a table without one is its own. Subqueries are among them."""
    found: dict[str, str] = {}
    for at, token in enumerate(tokens):
        if token.word in ("FROM", "JOIN"):
            here = at + 1
            while here:
                here = _table_at(tokens, here, found)
    return found


def _table_at(tokens: list[Token], at: int, found: dict[str, str]) -> int:
    """Read a table and its alias; return where another one follows behind a comma, or 0."""
    if at >= len(tokens) or tokens[at].kind not in ("name", "word") or tokens[at].word == "SELECT":
        return 0
    table = tokens[at].bare
    at += 1
    while at + 1 < len(tokens) and tokens[at].text == ".":
        table = tokens[at + 1].bare
        at += 2
    alias = table
    if at < len(tokens) and tokens[at].word == "AS":
        at += 1
    if at < len(tokens) and tokens[at].kind in ("name", "word") and tokens[at].word not in _NO_ALIAS:
        alias = tokens[at].bare
        at += 1
    found.setdefault(alias.lower(), table)
    return at + 1 if at < len(tokens) and tokens[at].text == "," else 0


def order_of(tokens: list[Token]) -> list[tuple[str, str]]:
    """Return the alias and the name of each column that the whole statement is ordered by."""
    starts = [
        at
        for at, token in enumerate(tokens[:-1])
        if token.word == "ORDER" and tokens[at + 1].word == "BY" and _depth_at(tokens, at) == 0
    ]
    found = []
    for at in range(starts[-1] + 2, len(tokens)) if starts else ():
        if tokens[at].word in ("LIMIT", "OFFSET", "FETCH"):
            break
        if tokens[at].word not in ("ASC", "DESC", "NULLS", "FIRST", "LAST") and (
            column := _column_at(tokens, at)
        ):
            found.append(column[:2])
    return found


def _depth_at(tokens: list[Token], at: int) -> int:
    return sum({"(": 1, ")": -1}.get(token.text, 0) for token in tokens[:at])


def filters_of(tokens: list[Token]) -> dict[str, Filters]:
    """Return what is compared in conditions, by the alias in small letters that it is qualified with, ``""`` where it is not.

    What is negated is left out: no index serves that.
    """
    found: dict[str, Filters] = {}
    states: list[tuple[bool, bool, bool]] = []  # whether in a condition, negated, and inside a function
    is_condition = is_negated = is_function = False
    for at, token in enumerate(tokens):
        if token.text == "(":
            before = tokens[at - 1].word if at else ""
            states.append((is_condition, is_negated, is_function))
            is_negated = is_negated or before in ("NOT", "FILTER")
            is_function = is_function or bool(before and before not in _NO_FUNCTION)
        elif token.text == ")" and states:
            is_condition, is_negated, is_function = states.pop()
        elif token.word in ("WHERE", "ON"):
            is_condition = True
        elif token.word in _ENDS_CONDITION:
            is_condition = False
            is_function = is_function and token.word != "SELECT"
        elif is_condition and not is_negated and (column := _column_at(tokens, at)):
            _compared(tokens, column, is_function, found)
    return found


def _column_at(tokens: list[Token], at: int) -> tuple[str, str, int] | None:
    """Return the alias, the name and the end of a column that is read here, or None."""
    token = tokens[at]
    if token.kind not in ("name", "word") or (at and tokens[at - 1].text == "."):
        return None
    after = tokens[at + 1].text if at + 1 < len(tokens) else ""
    if after == "." and at + 2 < len(tokens):
        return token.bare, tokens[at + 2].bare, at + 3
    if after == "(" or token.word in _NO_FUNCTION or token.word in _PATTERNS:
        return None
    return "", token.bare, at + 1


def _compared(
    tokens: list[Token], column: tuple[str, str, int], in_function: bool, found: dict[str, Filters]
) -> None:
    """Put a column where it belongs, if it is compared with something."""
    alias, name, at = column
    while at < len(tokens) and (tokens[at].kind == "cast" or tokens[at].text == ")"):
        at += 1
    operator = (tokens[at].word or tokens[at].text) if at < len(tokens) else ""
    behind = _operator_before(tokens, column)
    if operator not in _SERVED | _PATTERNS and behind in _SERVED and not in_function:
        if alias:  # the right side of a join; a value on the left is rare
            _add(found, alias).joins.append(name)
        return
    if operator in _PATTERNS or (in_function and operator in _SERVED):
        _add(found, alias).patterns.append(name)
    elif operator in _SERVED:
        if operator == "IS" and at + 1 < len(tokens) and tokens[at + 1].word == "NOT":
            return
        right = at + 2 if at + 1 < len(tokens) and tokens[at + 1].text == "(" else at + 1
        other = _column_at(tokens, right) if right < len(tokens) and operator != "IS" else None
        is_join = other is not None and other[0] != "" and other[0] != alias
        (_add(found, alias).joins if is_join else _add(found, alias).values).append(name)


def _operator_before(tokens: list[Token], column: tuple[str, str, int]) -> str:
    start = column[2] - (3 if column[0] else 1)
    while start and tokens[start - 1].text == "(":
        start -= 1
    return (tokens[start - 1].word or tokens[start - 1].text) if start else ""


def _add(found: dict[str, Filters], alias: str) -> Filters:
    return found.setdefault(alias.lower(), Filters())
