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
    """Return ``sql`` without casts, quotes around names, parentheses that only group, and differences of case or space.

    Strings stay as they are. The parentheses of a function's arguments stay too, so that the text can be read.
    """
    parts: list[str] = []
    calls: list[bool] = []
    for token in _TOKENS.findall(_CASTS.sub("", sql)):
        if token.startswith("'"):
            parts.append(token.replace("+00:00'", "+00'"))  # a driver's UTC and the server's
        else:
            parts.append(_spaced(_without_groups(token, calls)).lower())
    text = _QUOTED_NUMBER.sub(r"\1", "".join(parts)).strip()
    return text.replace(" != ", " <> ")


def _without_groups(token: str, calls: list[bool]) -> str:
    """Blank the parentheses that follow no name; ``calls`` are those that are open, and whether they do."""
    found: list[str] = []
    for char in re.sub(r"[\[\]]", " ", re.sub(r'["`]', "", token)):
        if char == "(":
            calls.append(bool(found) and (found[-1].isalnum() or found[-1] == "_"))
            found.append("(" if calls[-1] else " ")
        elif char == ")":
            found.append(")" if calls and calls.pop() else " ")
        else:
            found.append(char)
    return "".join(found)


def _spaced(token: str) -> str:
    """Put one space around operators, one behind a comma, and none inside of parentheses."""
    spaced = re.sub(r"\s*(<>|!=|>=|<=|=|<|>|\|\|)\s*", lambda found: f" {found[1]} ", token)
    spaced = re.sub(r"\s*,\s*", ", ", spaced)
    return re.sub(r"\(\s+|\s+(?=\))", lambda found: found[0].strip(), re.sub(r"\s+", " ", spaced))


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
