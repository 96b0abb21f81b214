"""Reads the text of a statement as far as safety needs it: whether it is one SELECT, and what its placeholders are.

Pure, and strict: what it does not understand it refuses. What is sent to the database is put together from what was read here,
without comments, so that the database cannot read anything else into it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from perfsuite.queries.explain.errors import refused

MAX_CHARS = 100_000

_TOKEN = re.compile(
    r"""
    (?P<comment> --[^\n]* )
  | (?P<opened> /\* )
  | (?P<string> [eE]'(?:[^'\\]|''|\\.)*' | (?:[bBxXnN]|[uU]&)?'(?:[^']|'')*' | \$(?P<tag>(?:[A-Za-z_]\w*)?)\$.*?\$(?P=tag)\$ )
  | (?P<name> (?:[uU]&)?"(?:[^"]|"")+" | `[^`]+` )
  | (?P<cast> ::\s*[A-Za-z_][\w.]*
        (?:\s+(?:varying|precision|with(?:out)?\s+time\s+zone))?(?:\(\s*\d+(?:\s*,\s*\d+)?\s*\))?(?:\[\])* )
  | (?P<value> %s | %\(\w+\)s | \?\d* | \$\d+ | (?<![\w:]):[A-Za-z_]\w* | … )
  | (?P<number> (?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)? )
  | (?P<word> (?![eE]')[^\W\d][\w$]* )
  | (?P<space> \s+ )
  | (?P<other> <=|>=|<>|!=|!~~\*|!~~|!~\*|!~|~~\*|~~|~\*|\|\||%%|. )
    """,
    re.VERBOSE | re.DOTALL,
)
_WRITES = frozenset(["INSERT", "UPDATE", "DELETE", "MERGE", "TRUNCATE"])
_LOCKS = frozenset(["UPDATE", "SHARE", "NO", "KEY"])  # what follows FOR


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
        elif kind == "other" and text in ("'", '"', "`", "e", "E"):
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
