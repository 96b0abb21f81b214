"""Fingerprints: statements that differ only in their values get the same text, and no value is left in it.

Imports no Django, and parses nothing: one regular expression finds what is a value, a comment or an identifier. What the text
alone does not tell is read as the standard says: SQLite takes ``"text"`` for a string where no column has that name.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

# Longer statements are cut before they are looked at, longer fingerprints after.
MAX_SQL_CHARS = 16_384
MAX_FINGERPRINT_CHARS = 2_000
# Statements up to this length are remembered, at most this many.
MAX_CACHED_CHARS = 4_096
MAX_CACHED = 1_000

OPERATIONS = frozenset([
    "SELECT", "INSERT", "UPDATE", "DELETE", "REPLACE", "MERGE", "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE",
    "CALL", "CREATE", "ALTER", "DROP", "TRUNCATE", "EXPLAIN", "PRAGMA", "SET", "SHOW", "DECLARE", "FETCH", "CLOSE", "COPY",
    "LOCK",
])  # fmt: skip

_PARTS = r"""
    (?P<comment> /\*.*?(?:\*/|\Z) | --[^\n]* {comment} )
  | (?P<name> {name} )
  | (?P<value>
        {string}
      | \$(?P<tag>\w*)\$.*?(?:\$(?P=tag)\$|\Z)          # PostgreSQL's dollar quoting
      | %s | %\(\w+\)s | %(?:\(\w*\)?)?\Z | \?\d*       # placeholders, one that is cut off too
      | (?<![\w.$:]):[A-Za-z_]\w* | (?<!\w)\$\d+
      | (?:(?<![\w"`')\]])[-+] | (?<![\w$]))\.?\d[\w.]*(?:(?<=[eE])[-+]?\d+)?
    )
"""
# Each of these matches to its end from wherever it begins, so that no text makes the search go back: a string that is cut off
# is still one, even behind a backslash. Outside MySQL a backslash is a plain character, but after E.
_ANSI_STRING = r"""
        (?<!\w)[eE]'[^'\\]*(?:(?:''|\\.|\\\Z)[^'\\]*)*(?:'|\Z)
      | '[^']*(?:''[^']*)*(?:'|\Z)
      | "[^"]*(?:""[^"]*)*(?:"|\Z) | `[^`]*(?:`|\Z)     # no name, see below
"""
_MYSQL_STRING = r"""
        '[^'\\]*(?:(?:''|\\.|\\\Z)[^'\\]*)*(?:'|\Z)
      | "[^"\\]*(?:(?:""|\\.|\\\Z)[^"\\]*)*(?:"|\Z)
      | `[^`]*(?:`|\Z)
"""
# What is quoted like a name is one if it ends and no string can have slipped in.
_BACKTICKS = r"`[^`']*`"
_ANSI_NAME = rf"""\"[^"']*"(?!") | {_BACKTICKS}"""


def _compile(string: str, name: str, comment: str = "") -> re.Pattern[str]:
    pattern = _PARTS.replace("{string}", string).replace("{name}", name).replace("{comment}", comment)
    return re.compile(pattern, re.VERBOSE | re.DOTALL)


_ANSI = _compile(_ANSI_STRING, _ANSI_NAME)
_MYSQL = _compile(_MYSQL_STRING, _BACKTICKS, r"| \#[^\n]*")

# What Django itself writes is mostly so plain: no string, comment, sign or other quote in it. There, a split at the quotes tells
# names from all else, and no expression has to. Each branch of the numbers begins with a character of its own, which has the
# search skip all others many times faster.
_PLAIN = re.compile(r"""[\w\s"(),=<>%.*!;]*+\Z""", re.ASCII)
_PLAIN_NUMBERS = re.compile(
    r"\.(?<![\w$]\.)\d[\w.]*|" + "|".join(rf"{digit}(?<![\w$]{digit})[\w.]*" for digit in range(10))
)
_NAME = "\0"  # stands for a name meanwhile; no plain text has one
_NUMBERS_IN = re.compile(r"\bIN \(\d+(?:, ?\d+)+")

# What Django itself writes, folded before the search for values, which takes twenty times as long.
_DJANGO_IN = re.compile(r"\bIN \(%s(?:, %s)+")
_DJANGO_ROWS = re.compile(r"(\(%s(?:, %s)*\))(?:, \1)+")
_ITEM = r"\?(?:::\w+)?"
_TUPLE = rf"\( ?{_ITEM}(?: ?, ?{_ITEM})* ?\)"
_LIST = rf"(?:{_ITEM}|{_TUPLE})(?: ?, ?(?:{_ITEM}|{_TUPLE}))*"
_IN = re.compile(rf"\b(IN ?\(|ARRAY ?\[) ?{_LIST} ?(?:,? ?(?:\([?, ]*)?\Z|([)\]]))", re.IGNORECASE)
_ROW = r"\([^()]*(?:\([^()]*\)[^()]*)*"
_ROWS = re.compile(rf"(\bVALUES ?{_ROW}\))(?: ?(?:,|VALUES) ?{_ROW}(?:\)|\Z))+", re.IGNORECASE)
_COMMENT_MARKS = re.compile(r"/\*|\*/")
_SAVEPOINT = re.compile(r"\A((?:RELEASE |ROLLBACK TO )?SAVEPOINT) .*", re.IGNORECASE)
_SET = re.compile(r"\A(SET [\w.@ ]+?(?: ?= ?| TO )).*", re.IGNORECASE)
_CURSOR = re.compile(r'"_django_curs_[^"]*"')
_FIRST_WORD = re.compile(r"[\s(]*([A-Za-z]+)")
_COMMAND = re.compile(r"[^\s{(\[]+\.([A-Za-z]+)(?![^\s{(\[])")
_VERB = re.compile(r"""[()]|(?<![\w"`.])(?:SELECT|INSERT|UPDATE|DELETE|MERGE)\b""", re.IGNORECASE)


class Shape(NamedTuple):
    """A statement without its values, and what it does (``SELECT``, ``INSERT``, ... or ``OTHER``)."""

    fingerprint: str
    operation: str


def shape(sql: str, double_quotes_are_strings: bool = False) -> Shape:
    """Return the shape of a statement. Cheap when the same text came before.

    ``double_quotes_are_strings`` is MySQL's reading of ``"..."``; elsewhere that is an identifier.
    """
    if len(sql) <= MAX_CACHED_CHARS:
        return _remembered_of_mysql(sql) if double_quotes_are_strings else _remembered(sql)
    return _shape(sql, double_quotes_are_strings)


def shape_with_nesting(sql: str) -> Shape:
    """Return the shape of a statement as PostgreSQL reads it, where a comment may hold others. Cheap when it came before."""
    if len(sql) <= MAX_CACHED_CHARS:
        return _remembered_of_postgresql(sql)
    return _shape(without_nesting(sql), False)


def without_nesting(sql: str) -> str:
    """Return a statement without those comments that hold others, as PostgreSQL reads them.

    All else reads a comment to its first end. What follows there would be taken for text here, or for a string there.
    """
    if sql.count("/*") < 2:
        return sql
    text, parts, kept_to, at = sql[:MAX_SQL_CHARS], [], 0, 0
    while found := _ANSI.search(text, at):
        at = found.end()
        if text.startswith("/*", found.start()) and text.find("/*", found.start() + 2, at) > 0:
            parts += [text[kept_to : found.start()], " "]
            kept_to = at = _end_of_comment(text, found.start())
    return "".join([*parts, text[kept_to:]]) if parts else sql


def _end_of_comment(text: str, start: int) -> int:
    """Return where a comment ends that may hold others: the end of the text, if it never does."""
    depth = 0
    for found in _COMMENT_MARKS.finditer(text, start):
        depth += 1 if found.group() == "/*" else -1
        if not depth:
            return found.end()
    return len(text)


def without_values(sql: str, double_quotes_are_strings: bool = False) -> str | None:
    """Return a whole statement with ``?`` for each value and no comments, for who reads its structure; None if it is too long."""
    text = _DJANGO_ROWS.sub(r"\1", _DJANGO_IN.sub("IN (%s", sql))
    if len(text) > MAX_SQL_CHARS:
        return None
    return (_MYSQL if double_quotes_are_strings else _ANSI).sub(_replace, text)


def _shape(sql: str, double_quotes_are_strings: bool) -> Shape:
    # The longest lists first, so that all else has less to look through. To look for a word costs a tenth of what an expression
    # costs that finds none.
    text = sql[:MAX_SQL_CHARS]
    if "IN (" in text:
        text = _DJANGO_IN.sub("IN (%s", _NUMBERS_IN.sub("IN (0", text))
    if "), (%s" in text:
        text = _DJANGO_ROWS.sub(r"\1", text)
    plain = "" if double_quotes_are_strings or len(sql) > MAX_SQL_CHARS else _without_plain_strings(text)
    if (
        plain
        and "%(" not in plain
        and plain[-1:] != "%"
        and '""' not in plain
        and plain.count('"') % 2 == 0
        and _PLAIN.match(plain)
    ):
        text = _without_plain_values(plain)
    else:
        text = (_MYSQL if double_quotes_are_strings else _ANSI).sub(_replace, text)
    text = " ".join(text.split()).strip(" ;")
    lower = text.lower()
    if "in (" in lower or "in(" in lower or "array" in lower:
        text = _IN.sub(r"\1…\2", text)
    if "values" in lower:
        text = _ROWS.sub(r"\1", text)
    text = text.rstrip(", ")  # a comma stands there after a cut
    # Django numbers its savepoints and server-side cursors; what SET gives may be a bare word.
    if lower.startswith(("savepoint", "release", "rollback", "set")):
        text = _SET.sub(r"\1?", _SAVEPOINT.sub(r"\1 ?", text))
    if "_django_curs_" in text:
        text = _CURSOR.sub("?", text)
    operation = _operation(text)
    if len(text) > MAX_FINGERPRINT_CHARS:
        text = text[: MAX_FINGERPRINT_CHARS - 1] + "…"
    return Shape(text, operation)


def masked(sql: str, double_quotes_are_strings: bool = False) -> str:
    """Return a statement with its placeholders as they are and ``?`` for each value that stands in its text."""
    return (_MYSQL if double_quotes_are_strings else _ANSI).sub(_mask, sql[:MAX_SQL_CHARS])


def _mask(match: re.Match[str]) -> str:
    text = match.group()
    return (
        text
        if text[:1] in "%?$:" and not match.group("tag") and match.lastgroup != "comment"
        else _replace(match)
    )


def operation_of(fingerprint: str) -> str:
    """Return what a recorded statement does: ``SELECT``, ``INSERT``, ..., of MongoDB's the command, ``find``, else ``OTHER``."""
    operation = _operation(fingerprint)
    if operation == "OTHER" and (command := _COMMAND.match(fingerprint)):
        return command[1]
    return operation


def _operation(text: str) -> str:
    first = _FIRST_WORD.match(text)
    word = first.group(1).upper() if first else ""
    if word == "WITH":
        word = _verb_after_with(text)
    return word if word in OPERATIONS else "OTHER"


def _verb_after_with(text: str) -> str:
    """Return the first verb outside the parentheses of the common table expressions."""
    depth = 0
    for match in _VERB.finditer(text):
        found = match.group()
        if found in "()":
            depth += 1 if found == "(" else -1
        elif depth == 0:
            return found.upper()
    return "SELECT"


# One for each reading: a cache of one argument needs no tuple for its key, and is twice as quick.
@lru_cache(maxsize=MAX_CACHED)
def _remembered(sql: str) -> Shape:
    return _shape(sql, False)


@lru_cache(maxsize=MAX_CACHED)
def _remembered_of_postgresql(sql: str) -> Shape:
    return _shape(without_nesting(sql), False)


@lru_cache(maxsize=MAX_CACHED)
def _remembered_of_mysql(sql: str) -> Shape:
    return _shape(sql, True)


def _without_plain_strings(text: str) -> str:
    """Return a text with ``%s`` for each string.

    Return "" where that may be wrong: a quote may be in a name or stands twice, PostgreSQL reads escapes, or a word follows.
    """
    if "'" not in text:
        return text
    if "''" in text or text.count("'") % 2:
        return ""
    outside = text.split("'")[::2]
    if any(each.count('"') % 2 for each in outside) or any(
        each.endswith(("e", "E")) for each in outside[:-1]
    ):
        return ""
    if any(each[:1].isalnum() or each.startswith((".", "_")) for each in outside[1:]):
        return ""
    return "%s".join(outside)


def _without_plain_values(text: str) -> str:
    """Return a plain text with ``?`` for each value: what stands between two quotes is a name, and has none."""
    parts = text.split('"')
    rest = _PLAIN_NUMBERS.sub("?", _NAME.join(parts[::2])).replace("%s", "?")
    parts[::2] = rest.split(_NAME)
    return '"'.join(parts)


def _replace(match: re.Match[str]) -> str:
    if match.lastgroup == "comment":
        return " "
    return match.group() if match.lastgroup == "name" else "?"
