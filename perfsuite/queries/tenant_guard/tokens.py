"""The tokens of a statement without its values, nested by its parentheses. Pure: no Django."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

MAX_TOKENS = 8_000
MAX_DEPTH = 60

_TOKEN = re.compile(
    r"""\s+
  | (?P<quoted> "[^"]*" | `[^`]*` )
  | (?P<word> [^\W\d][\w$]* )
  | (?P<value> \? | … )
  | (?P<symbol> :: | <=> | <> | [!<>=]= | ->> | -> | \|\| | . )
    """,
    re.VERBOSE | re.DOTALL,
)


class NotUnderstood(Exception):
    """The statement is nothing that the guard can read."""


class Token(NamedTuple):
    """A word (in lower case), a quoted name (too), a value, a symbol, or a group: what stands in parentheses."""

    kind: str
    text: str
    inside: Tokens = ()


Tokens = Sequence[Token]


def nested(text: str) -> list[Token]:
    """Return the tokens of a text without values; raise NotUnderstood if it has no end, or nests too deeply."""
    stack: list[tuple[str, list[Token]]] = [("", [])]
    for count, match in enumerate(_TOKEN.finditer(text)):
        if count >= MAX_TOKENS:
            raise NotUnderstood
        kind, found = match.lastgroup, match.group()
        if kind is None:
            continue
        if kind == "symbol" and found in "([":
            if len(stack) >= MAX_DEPTH:
                raise NotUnderstood
            stack.append((found, []))
        elif kind == "symbol" and found in ")]":
            opened, inside = stack.pop()
            if not stack or opened != {")": "(", "]": "["}[found]:
                raise NotUnderstood
            stack[-1][1].append(Token("group", opened, inside))
        elif kind == "quoted":
            stack[-1][1].append(Token(kind, found[1:-1].lower()))
        else:
            stack[-1][1].append(Token(kind, found.lower()))
    if len(stack) != 1:
        raise NotUnderstood
    return stack[0][1]


def is_word(token: Token, *words: str) -> bool:
    """Tell whether a token is one of these words, unquoted."""
    return token.kind == "word" and token.text in words


def is_name(token: Token) -> bool:
    """Tell whether a token may be the name of something."""
    return token.kind in ("word", "quoted")


def split(tokens: Tokens, at: Callable[[Tokens, int], bool]) -> list[Tokens]:
    """Split tokens at those of which ``at(tokens, i)`` is true."""
    places = [i for i in range(len(tokens)) if at(tokens, i)]
    return [
        tokens[start:end]
        for start, end in zip([0, *(i + 1 for i in places)], [*places, len(tokens)], strict=True)
    ]


def at_comma(tokens: Tokens, i: int) -> bool:
    """Tell whether there is a comma, for ``split``."""
    return tokens[i] == ("symbol", ",", ())


def keyword(tokens: Tokens, i: int, words: frozenset[str]) -> bool:
    """Tell whether there is one of the words as a keyword, and not as the name of a column or as an alias."""
    token = tokens[i]
    if token.kind != "word" or token.text not in words:
        return False
    before = tokens[i - 1] if i else None
    if before is not None and (before.text == "." or is_word(before, "as")):
        return False
    return not (i + 1 < len(tokens) and tokens[i + 1].text == "." and tokens[i + 1].kind == "symbol")


def unwrapped(tokens: Tokens) -> Tokens:
    """Return what stands in parentheses around all of it, however many."""
    while len(tokens) == 1 and tokens[0].kind == "group" and tokens[0].text == "(":
        tokens = tokens[0].inside
    return tokens


# What a query begins with, but for a parenthesis.
QUERIES = frozenset(["select", "with", "values", "table"])


def is_query(token: Token) -> bool:
    """Tell whether a group is a query."""
    if token.kind != "group" or token.text != "(" or not token.inside:
        return False
    first = token.inside[0]
    return is_word(first, *QUERIES) or (is_query(first) and _joins_queries(token.inside))


def _joins_queries(tokens: Tokens) -> bool:
    """Tell ``((SELECT ...) UNION ...)`` from ``((SELECT ...) + 1)`` and from ``((SELECT ...) x JOIN ...)``."""
    return len(tokens) == 1 or is_word(tokens[1], "union", "intersect", "except", "order", "limit", "offset")
