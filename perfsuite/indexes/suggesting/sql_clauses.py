"""Cuts the tokens of a SELECT into its clauses, its conditions and its tables. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from perfsuite.indexes.suggesting.needs import UNKNOWN
from perfsuite.queries.explain.sql_text import Token

Tokens = Sequence[Token]
# The kind of a token that stands for a placeholder's value.
GIVEN = "given"

_STARTS = {
    "SELECT": "select",
    "FROM": "from",
    "WHERE": "where",
    "GROUP": "group",
    "HAVING": "having",
    "WINDOW": "window",
    "ORDER": "order",
    "LIMIT": "limit",
    "FETCH": "limit",
    "OFFSET": "offset",
}
# What stands among columns without being one.
_NO_COLUMNS = frozenset([
    "AS", "ASC", "DESC", "NULLS", "FIRST", "LAST", "NULL", "TRUE", "FALSE", "AND", "OR", "NOT", "IN", "IS", "LIKE", "ILIKE",
    "BETWEEN", "CASE", "WHEN", "THEN", "ELSE", "END", "DISTINCT", "ESCAPE", "DATE", "TIMESTAMP", "INTERVAL", "FROM", "EXISTS",
    "OVER", "PARTITION", "BY", "ROWS", "RANGE", "UNBOUNDED", "PRECEDING", "FOLLOWING", "CURRENT", "ROW", "FILTER", "WHERE",
    "AT", "TIME", "ZONE", "COLLATE", "CURRENT_DATE", "CURRENT_TIMESTAMP", "YEAR", "MONTH", "DAY", "HOUR", "UTC", "ANY", "ALL",
])  # fmt: skip
_JOINS = frozenset(["JOIN", "INNER", "LEFT", "RIGHT", "FULL", "CROSS", "NATURAL", "OUTER"])


def depths(tokens: Tokens) -> Iterator[tuple[int, Token, int]]:
    """Yield each token with its place and depth; parentheses have the depth of what is around them."""
    depth = 0
    for at, token in enumerate(tokens):
        if token.text == ")":
            depth -= 1
        yield at, token, depth
        if token.text == "(":
            depth += 1


def clauses(tokens: Tokens) -> dict[str, Tokens]:
    """Return the clauses of one SELECT by their names in small letters, without the words that begin them."""
    found: dict[str, Tokens] = {}
    name, start = "", 0
    for at, token, depth in depths(tokens):
        if depth or token.word not in _STARTS or (at and tokens[at - 1].text == "."):
            continue
        # "IS DISTINCT FROM" begins no clause.
        if token.word == "FROM" and at and tokens[at - 1].word == "DISTINCT":
            continue
        if name:
            found.setdefault(name, tokens[start:at])
        name = _STARTS[token.word]
        start = at + (2 if token.word in ("GROUP", "ORDER") else 1)
    if name:
        found.setdefault(name, tokens[start:])
    return found


def split(tokens: Tokens, *separators: str) -> list[Tokens]:
    """Return what stands between words or signs on the outermost level. The AND of a BETWEEN separates nothing."""
    parts: list[Tokens] = []
    start, in_between, cases = 0, False, 0
    for at, token, depth in depths(tokens):
        if depth:
            continue
        cases += {"CASE": 1, "END": -1}.get(token.word, 0)
        if token.word == "BETWEEN":
            in_between = True
        elif token.word == "AND" and in_between:
            in_between = False
        elif (token.word or token.text) in separators and not cases:
            parts.append(tokens[start:at])
            start = at + 1
    return [*parts, tokens[start:]]


def bare(tokens: Tokens) -> Tokens:
    """Return tokens without the parentheses around all of them, and without casts at their end."""
    while tokens:
        if tokens[-1].kind == "cast":
            tokens = tokens[:-1]
        elif tokens[0].text == "(" and closing(tokens, 0) == len(tokens) - 1:
            tokens = tokens[1:-1]
        else:
            break
    return tokens


def closing(tokens: Tokens, at: int) -> int:
    """Return where the parenthesis closes that opens at ``at``."""
    depth = 0
    for here in range(at, len(tokens)):
        depth += {"(": 1, ")": -1}.get(tokens[here].text, 0)
        if depth == 0:
            return here
    return len(tokens) - 1


def is_query(tokens: Tokens) -> bool:
    """Tell whether tokens are a SELECT."""
    return bool(tokens) and tokens[0].word in ("SELECT", "WITH")


def column(tokens: Tokens) -> tuple[str, str] | None:
    """Return the qualifier, or an empty string, and the name, if the tokens are one column and nothing else."""
    tokens = bare(tokens)
    names = [token for token in tokens if token.text != "."]
    if not names or len(tokens) != 2 * len(names) - 1 or len(names) > 3:
        return None
    if any(token.kind not in ("name", "word") for token in names):
        return None
    if len(names) == 1 and names[0].word in _NO_COLUMNS:
        return None
    return (names[-2].bare.lower() if len(names) > 1 else "", names[-1].bare)


def columns_in(tokens: Tokens) -> Iterator[tuple[str, str]]:
    """Yield each column that is named on any level, as ``column`` gives it. Those of subqueries are among them."""
    at = 0
    while at < len(tokens):
        token = tokens[at]
        after = tokens[at + 1].text if at + 1 < len(tokens) else ""
        if token.kind not in ("name", "word"):
            at += 1
        elif after == "." and at + 2 < len(tokens):
            yield token.bare.lower(), tokens[at + 2].bare
            at += 3
        else:
            if after != "(" and token.word not in _NO_COLUMNS and not (at and tokens[at - 1].word == "AS"):
                yield "", token.bare
            at += 1


def sources(tokens: Tokens) -> Iterator[tuple[str, Tokens, Tokens]]:
    """Yield how each table is joined (``,``, ``LEFT`` ...), the table with its alias, and the condition of the join."""
    how, start, on, words = ",", 0, -1, [""]
    for at, token, depth in depths(tokens):
        if depth or not (token.text == "," or token.word in _JOINS or token.word == "ON"):
            continue
        if token.word == "ON":
            on = at
        elif token.word in _JOINS - {"JOIN"}:
            if words == [""]:
                yield how, tokens[start : on if on >= 0 else at], tokens[on + 1 : at] if on >= 0 else ()
            words.append(token.word)
            start, on = at + 1, -1
        else:  # a comma, or JOIN
            if words == [""]:
                yield how, tokens[start : on if on >= 0 else at], tokens[on + 1 : at] if on >= 0 else ()
            how = next((word for word in words if word in ("LEFT", "RIGHT", "FULL")), token.word or ",")
            words, start, on = [""], at + 1, -1
    yield how, tokens[start : on if on >= 0 else len(tokens)], tokens[on + 1 :] if on >= 0 else ()


_COMPARES = frozenset(["<", "<=", ">", ">=", "=", "==", "<>", "!="])
_WORDS = frozenset(["LIKE", "ILIKE", "GLOB", "REGEXP", "IN", "BETWEEN", "IS", "SIMILAR"])
PATTERNS = frozenset(["LIKE", "ILIKE", "GLOB", "REGEXP", "SIMILAR", "~", "~*", "~~", "~~*"])
_NO_ALIAS = frozenset(["WHERE", "ON", "USING", "GROUP", "ORDER", "LIMIT", "INDEXED", "NOT"])


def operator(tokens: Tokens) -> int | None:
    """Return where the comparison of a condition stands."""
    for at, token, depth in depths(tokens):
        if not depth and (token.text in _COMPARES or token.word in _WORDS or token.text in PATTERNS):
            return at
    return None


def alias_in(tokens: Tokens) -> str:
    """Return the alias that stands behind a table, or the empty string."""
    tokens = tokens[1:] if tokens and tokens[0].word == "AS" else tokens
    if tokens and tokens[0].kind in ("name", "word") and tokens[0].word not in _NO_ALIAS:
        return tokens[0].bare
    return ""


def without_alias(tokens: Tokens) -> Tokens:
    """Return what is selected without its name."""
    return next(
        (tokens[:at] for at, token, depth in depths(tokens) if token.word == "AS" and not depth), tokens
    )


def value(tokens: Tokens) -> Any:
    """Return a value, or ``UNKNOWN``."""
    tokens = [token for token in bare(tokens) if token.word not in ("DATE", "TIMESTAMP")]
    sign = 1
    if len(tokens) == 2 and tokens[0].text == "-":
        sign, tokens = -1, tokens[1:]
    if len(tokens) != 1:
        return UNKNOWN
    token = tokens[0]
    if token.kind == "string":
        return token.text[1:-1].replace("''", "'")
    if token.kind == "number":
        return sign * float(token.text.replace("_", ""))
    if token.kind == GIVEN:
        return token.text
    return {"TRUE": True, "FALSE": False, "NULL": None}.get(token.word, UNKNOWN)
