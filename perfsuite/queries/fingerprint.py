"""Fingerprints: statements that differ only in their values get the same text, and no value is left in it.

Imports no Django, and parses nothing: one regular expression finds what is a value, a comment or an identifier.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

# Longer statements are cut before they are looked at, longer fingerprints after.
MAX_SQL_CHARS = 16_384
MAX_FINGERPRINT_CHARS = 2_000
# Statements up to this length are remembered, at most this many: 4 MB at the very most.
MAX_CACHED_CHARS = 4_096
MAX_CACHED = 1_000

OPERATIONS = frozenset(
    {"SELECT", "INSERT", "UPDATE", "DELETE", "REPLACE", "MERGE", "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "CALL"}
    | {"CREATE", "ALTER", "DROP", "TRUNCATE", "EXPLAIN", "PRAGMA", "SET", "SHOW", "DECLARE", "FETCH", "CLOSE", "COPY", "LOCK"}
)

_TOKEN = r"""
    (?P<comment> /\*.*?(?:\*/|\Z) | --[^\n]* {comment} )
  | (?P<value>
        {string}
      | \$(?P<tag>\w*)\$.*?(?:\$(?P=tag)\$|\Z)          # PostgreSQL's dollar quoting
      | %s | %\(\w+\)s | \?                             # placeholders
      | (?<![\w.$:]):[A-Za-z_]\w* | (?<!\w)\$\d+
      | (?<![\w"`$])[-+]?(?:0[xX][0-9a-fA-F]+|\d+(?:\.\d*)?(?:[eE][-+]?\d+)?|\.\d+)(?![\w"`])
    )
  | (?P<name> {name} )
"""
# A string that is cut off at the end of the text is still one. Outside MySQL a backslash is a plain character, but after E.
_ANSI_STRING = r"""(?<!\w)[eE]'(?:[^'\\]|''|\\.)*(?:'|\Z) | '(?:[^']|'')*(?:'|\Z)"""
_MYSQL_STRING = r"""'(?:[^'\\]|''|\\.)*(?:'|\Z) | "(?:[^"\\]|""|\\.)*(?:"|\Z)"""
_BACKTICKS = r"`[^`]*(?:`|\Z)"
_ANSI_NAME = r'"(?:[^"]|"")*(?:"|\Z) | ' + _BACKTICKS


def _compile(string: str, name: str, comment: str = "") -> re.Pattern[str]:
    pattern = _TOKEN.replace("{string}", string).replace("{name}", name).replace("{comment}", comment)
    return re.compile(pattern, re.VERBOSE | re.DOTALL)


_ANSI = _compile(_ANSI_STRING, _ANSI_NAME)
_MYSQL = _compile(_MYSQL_STRING, _BACKTICKS, r"| \#[^\n]*")

_SPACE = re.compile(r"\s+")
_IN = re.compile(r"\b(IN ?\(|ARRAY ?\[) ?\?(?: ?, ?\?)* ?(?:,? ?\Z|([)\]]))", re.IGNORECASE)
_ROW = r"\((?:[^()]|\([^()]*\))*"
_ROWS = re.compile(rf"(\bVALUES ?{_ROW}\))(?: ?, ?{_ROW}(?:\)|\Z))+", re.IGNORECASE)
_SAVEPOINT = re.compile(r"""\bSAVEPOINT +["`]?[\w-]+["`]?""", re.IGNORECASE)
_CURSOR = re.compile(r'"_django_curs_[^"]*"')
_FIRST_WORD = re.compile(r"[\s(]*([A-Za-z]+)")


class Shape(NamedTuple):
    """A statement without its values, and what it does (``SELECT``, ``INSERT``, ... or ``OTHER``)."""

    fingerprint: str
    operation: str


def shape(sql: str, double_quotes_are_strings: bool = False) -> Shape:
    """Return the shape of a statement. Cheap when the same text came before.

    ``double_quotes_are_strings`` is MySQL's reading of ``"..."``; elsewhere that is an identifier.
    """
    if len(sql) <= MAX_CACHED_CHARS:
        return _remembered(sql, double_quotes_are_strings)
    return _shape(sql, double_quotes_are_strings)


def _shape(sql: str, double_quotes_are_strings: bool) -> Shape:
    text = (_MYSQL if double_quotes_are_strings else _ANSI).sub(_replace, sql[:MAX_SQL_CHARS])
    text = _SPACE.sub(" ", text).strip(" ;")
    text = _IN.sub(r"\1…\2", text)
    text = _ROWS.sub(r"\1", text)
    # Django numbers its savepoints and server-side cursors.
    text = _CURSOR.sub("?", _SAVEPOINT.sub("SAVEPOINT ?", text))
    first = _FIRST_WORD.match(text)
    operation = first.group(1).upper() if first else ""
    if operation == "WITH":
        operation = "SELECT"
    if len(text) > MAX_FINGERPRINT_CHARS:
        text = text[: MAX_FINGERPRINT_CHARS - 1] + "…"
    return Shape(text, operation if operation in OPERATIONS else "OTHER")


_remembered = lru_cache(maxsize=MAX_CACHED)(_shape)


def _replace(match: re.Match[str]) -> str:
    if match.lastgroup == "comment":
        return " "
    return match.group() if match.lastgroup == "name" else "?"
