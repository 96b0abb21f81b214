"""SQL in a form that compares: what a server prints of an expression, and what was written, come out alike. Imports no Django."""

from __future__ import annotations

import re

_TOKENS = re.compile(r"'(?:[^']|'')*'|[^']+")
_CASTS = re.compile(
    r"::\s*(?:timestamp with(?:out)? time zone|time with(?:out)? time zone|character varying|double precision|bit varying"
    r"|\"[^\"]+\"|[a-z_]\w*)(?:\(\d+(?:,\s*\d+)?\))?(?:\[\])?",
    re.IGNORECASE,
)
_QUOTED_NUMBER = re.compile(r"'(-?\d+(?:\.\d+)?)'")


def canonical(sql: str) -> str:
    """Return ``sql`` without casts, parentheses, quotes around names and differences of case or space outside of strings."""
    parts = [
        token if token.startswith("'") else re.sub(r'[()\[\]"`]', " ", token).lower()
        for token in _TOKENS.findall(_CASTS.sub("", sql))
    ]
    text = _QUOTED_NUMBER.sub(r"\1", "".join(parts))
    text = text.replace("+00:00'", "+00'")  # a driver's UTC and the server's
    text = re.sub(r"\s*(<>|!=|>=|<=|=|<|>|,|\|\|)\s*", lambda found: f" {found[1]} ", text)
    return " ".join(text.replace(" != ", " <> ").split())


def split_columns(sql: str) -> tuple[list[str], str]:
    """Return the columns in the first parentheses of a CREATE INDEX statement that follow ON, and what stands after WHERE."""
    start = _after_on(sql)
    columns, depth, begin, quote = [], 0, start + 1, ""
    position = start
    for position in range(start, len(sql)):
        char = sql[position]
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"`":
            quote = char
        elif char == "(":
            depth += 1
        elif char == ")":
            depth -= 1
            if depth == 0:
                break
        elif char == "," and depth == 1:
            columns.append(sql[begin:position].strip())
            begin = position + 1
    columns.append(sql[begin:position].strip())
    where = re.match(r"\s*WHERE\s+(.*)", sql[position + 1 :], re.IGNORECASE | re.DOTALL)
    return columns, where[1].strip() if where else ""


def _after_on(sql: str) -> int:
    """Return where the parenthesis of the columns opens: the first that is outside of quotes."""
    quote = ""
    for position, char in enumerate(sql):
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"`":
            quote = char
        elif char == "(":
            return position
    return len(sql)
