"""Reads the text of a statement as far as safety and advice need it: is it one SELECT, what are its placeholders, what does it filter.

Pure, and strict: what it does not understand it refuses. What is sent to the database is put together from what was read here, without
comments, so that the database cannot read anything else into it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from perfsuite.queries.explain.errors import refused

MAX_CHARS = 100_000

_TOKEN = re.compile(
    r"""
    (?P<comment> --[^\n]* )
  | (?P<opened> /\* )
  | (?P<string> [eE]'(?:[^'\\]|''|\\.)*' | (?:[bBxXnN]|[uU]&)?'(?:[^']|'')*' | \$(?P<tag>(?:[A-Za-z_]\w*)?)\$.*?\$(?P=tag)\$ )
  | (?P<name> (?:[uU]&)?"(?:[^"]|"")+" | `[^`]+` )
  | (?P<cast> ::\s*[A-Za-z_][\w.]*(?:\s+(?:varying|precision|with(?:out)?\s+time\s+zone))?(?:\(\s*\d+(?:\s*,\s*\d+)?\s*\))?(?:\[\])* )
  | (?P<value> %s | %\(\w+\)s | \?\d* | \$\d+ | (?<![\w:]):[A-Za-z_]\w* | … )
  | (?P<number> (?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)? )
  | (?P<word> [^\W\d][\w$]* )
  | (?P<space> \s+ )
  | (?P<other> <=|>=|<>|!=|!~~\*|!~~|!~\*|!~|~~\*|~~|~\*|\|\||%%|. )
    """,
    re.VERBOSE | re.DOTALL,
)
_WRITES = frozenset(["INSERT", "UPDATE", "DELETE", "MERGE", "TRUNCATE"])
_LOCKS = frozenset(["UPDATE", "SHARE", "NO", "KEY"])  # what follows FOR
# What follows a table's name without being its alias.
_NO_ALIAS = frozenset([
    "WHERE", "ON", "INNER", "LEFT", "RIGHT", "FULL", "CROSS", "NATURAL", "JOIN", "GROUP", "ORDER", "LIMIT", "UNION", "USING",
    "OFFSET", "FETCH", "HAVING", "WINDOW", "EXCEPT", "INTERSECT", "OUTER", "INDEXED", "NOT", "FOR", "TABLESAMPLE", "SET",
])  # fmt: skip
_SERVED = frozenset(["=", "<", ">", "<=", ">=", "IN", "BETWEEN", "IS"])
_PATTERNS = frozenset(["LIKE", "ILIKE", "GLOB", "REGEXP", "MATCH", "SIMILAR", "~", "~*", "~~", "~~*"])


class Token(NamedTuple):
    """A piece of a statement: ``kind`` is the name of a group above, ``lead`` the space before it, if there was any."""

    kind: str
    text: str
    lead: str = ""

    @property
    def bare(self) -> str:
        """The name without its quotes."""
        return self.text.lstrip("uU&")[1:-1].replace('""', '"') if self.kind == "name" else self.text

    @property
    def word(self) -> str:
        """The keyword, in capitals; the empty string for anything that is none."""
        return self.text.upper() if self.kind == "word" else ""


@dataclass
class Filters:
    """What a statement compares of one table, by name of the column.

    ``values``: with a value, so that an index would serve it. ``patterns``: by LIKE, a regular expression, or inside a function.
    ``joins``: with a column of another table.
    """

    values: list[str] = field(default_factory=list)
    patterns: list[str] = field(default_factory=list)
    joins: list[str] = field(default_factory=list)


def one_select(sql: str) -> list[Token]:
    """Return the pieces of a statement without its comments; raise ``NotExplainable`` unless it is one SELECT that only reads."""
    if len(sql) > MAX_CHARS:
        raise refused(f"it is longer than {MAX_CHARS:,} characters")
    if "\0" in sql:
        raise refused("it has a null byte in it")
    if sql.rstrip().endswith("…"):
        raise refused("it is so long that only its beginning was kept")
    tokens = list(_tokens(sql))
    while tokens and tokens[-1].text == ";":
        tokens.pop()
    if any(";" in token.text for token in tokens):
        raise refused("it has a semicolon inside, and only one statement at a time is explained")
    _refuse_what_writes([token for token in tokens if token.text != "("])
    return _with_placeholders_told(tokens)


def _refuse_what_writes(tokens: list[Token]) -> None:
    first = tokens[0].word if tokens else ""
    if first not in ("SELECT", "WITH"):
        raise refused(f"it is {_article(first)}, and only SELECT is")
    for before, token in zip([Token("other", ""), *tokens], tokens, strict=False):
        if before.word == "FOR" and token.word in _LOCKS:
            raise refused(f"it locks rows (FOR {token.word})")
        if token.word in _WRITES:
            raise refused(f"it writes ({token.word})")
        if token.word == "INTO":
            raise refused("it writes what it selects (INTO)")


def _article(word: str) -> str:
    return f"{'an' if word[:1] in 'AEIOU' else 'a'} {word}" if word else "no SELECT"


def _tokens(sql: str) -> Iterator[Token]:
    at, depth, lead = 0, 0, ""
    while at < len(sql):
        if depth:  # in a comment, which in PostgreSQL holds others
            end = re.compile(r"/\*|\*/").search(sql, at)
            if end is None:
                raise refused("a comment in it does not end")
            depth += 1 if end.group() == "/*" else -1
            at = end.end()
            continue
        match = _TOKEN.match(sql, at)
        assert match is not None  # noqa: S101 - the last alternative takes anything
        kind, text, at = match.lastgroup or "other", match.group(), match.end()
        if kind == "tag":  # a group inside that of strings
            kind = "string"
        if kind in ("space", "comment", "opened"):
            lead, depth = " ", int(kind == "opened")
        elif kind == "other" and text in ("'", '"', "`"):
            raise refused("a quote in it does not end")
        else:
            yield Token(kind, text, lead)
            lead = ""


def _with_placeholders_told(tokens: list[Token]) -> list[Token]:
    """Return the pieces with PostgreSQL's operator ``?``, which stands behind an operand, told from placeholders."""
    told: list[Token] = []
    for token in tokens:
        if token.text == "?" and told and (told[-1].kind in ("name", "value") or told[-1].text in (")", "]")):
            told.append(Token("other", "?", token.lead))
        else:
            told.append(token)
    return told


def count_values(tokens: list[Token]) -> int:
    """Return how many placeholders there are."""
    return sum(token.kind == "value" for token in tokens)


def joined(tokens: list[Token], style: str) -> str:
    """Return the statement with its placeholders as ``?``, as ``$1`` ... (``$``) or as Django's ``%s``."""
    is_django = any(token.kind == "value" and token.text.startswith("%") for token in tokens)
    parts, number = [], 0
    for token in tokens:
        text = token.text
        if token.kind == "value":
            number += 1
            text = {"?": "?", "$": f"${number}", "%s": "%s"}[style]
        else:
            text = text.replace("%%", "%") if is_django else text
            text = text.replace("%", "%%") if style == "%s" else text
        parts.append(token.lead + text)
    return "".join(parts).strip()


def tables_of(tokens: list[Token]) -> dict[str, str]:
    """Return the table of each alias, in small letters; a table without one is its own. Common table expressions are among them."""
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
        if tokens[at].word not in ("ASC", "DESC", "NULLS", "FIRST", "LAST") and (column := _column_at(tokens, at)):
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


_ENDS_CONDITION = frozenset([
    "SELECT", "FROM", "GROUP", "ORDER", "LIMIT", "UNION", "JOIN", "INNER", "LEFT", "HAVING",
])  # fmt: skip
_NO_FUNCTION = frozenset([
    "AND", "OR", "NOT", "WHERE", "ON", "IN", "EXISTS", "ANY", "ALL", "SOME", "WHEN", "THEN", "ELSE", "LIKE", "BETWEEN", "IS", "BY",
    "HAVING", "SELECT", "AS",
])  # fmt: skip


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
        other = _column_at(tokens, at + 1) if at + 1 < len(tokens) and operator != "IS" else None
        is_join = other is not None and other[0] != "" and other[0] != alias
        (_add(found, alias).joins if is_join else _add(found, alias).values).append(name)


def _operator_before(tokens: list[Token], column: tuple[str, str, int]) -> str:
    start = column[2] - (3 if column[0] else 1)
    return (tokens[start - 1].word or tokens[start - 1].text) if start else ""


def _add(found: dict[str, Filters], alias: str) -> Filters:
    return found.setdefault(alias.lower(), Filters())
