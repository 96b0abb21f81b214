"""Which reading of SQL the database of an alias has: to MySQL ``"text"`` is a string, and in PostgreSQL comments nest.

The surprising rule: some differences are rare and make no other shape that anyone would miss. They are known to ``blank`` alone,
by which it is told what a statement may reach.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from django.db import connections

from perfsuite.queries import fingerprint
from perfsuite.queries.fingerprint import MAX_SQL_CHARS, Shape


class Dialect(NamedTuple):
    """How statements are read: into their shapes, with their values out of the text, and for who reads their structure.

    ``blank`` gives a whole statement with ``?`` for each value and no comments; None if it is too long, or read by nobody.
    """

    shape: Callable[[str], Shape]
    masked: Callable[[str], str]
    blank: Callable[[str], str | None]


# What MySQL and MariaDB run though it looks like a comment, some of it by their version; and ``--``, of which they make a comment
# only before a space: ``5--1`` is six. Its ``||`` is an OR, unless its SQL mode makes it join texts as elsewhere.
_RUN_BY_MYSQL = re.compile(r"/\*M?!")
_TWO_SIGNS = re.compile(r"--(?=[^\s\0-\x1f])")


def _blank_of_mysql(sql: str) -> str | None:
    if _RUN_BY_MYSQL.search(sql):
        return None
    blank = fingerprint.without_values(_TWO_SIGNS.sub("- -", sql), True)
    return blank if blank is None else blank.replace("||", " OR ").replace("&&", " AND ")


def _blank_of_postgresql(sql: str) -> str | None:
    text = fingerprint.without_nesting(sql)
    # No comment is looked for behind the longest text, and behind a nested one such a text is cut.
    if len(sql) > MAX_SQL_CHARS and (text is not sql or _has_comments_behind(sql)):
        return None
    return fingerprint.without_values(text.replace("\r", "\n"))  # either ends a comment that -- begins


def _has_comments_behind(sql: str) -> bool:
    return sql.count("/*") > 1 and sql.rfind("/*") > MAX_SQL_CHARS - len("/*")


STANDARD = Dialect(fingerprint.shape, fingerprint.masked, fingerprint.without_values)
MYSQL = Dialect(
    lambda sql: fingerprint.shape(sql, True), lambda sql: fingerprint.masked(sql, True), _blank_of_mysql
)
POSTGRESQL = Dialect(
    fingerprint.shape_with_nesting,
    lambda sql: fingerprint.masked(fingerprint.without_nesting(sql)),
    _blank_of_postgresql,
)
_BY_VENDOR = {"mysql": MYSQL, "postgresql": POSTGRESQL}
_known: dict[str, Dialect] = {}


def dialect_of(alias: str) -> Dialect:
    """Return the reading of an alias. Looked up once."""
    if alias not in _known:
        _known[alias] = _BY_VENDOR.get(connections[alias].vendor, STANDARD)
    return _known[alias]
