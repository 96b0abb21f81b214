"""The statement that another one runs: a cursor's, the one that fills a new table, the one that is timed for its plan."""

from __future__ import annotations

from perfsuite.queries.tenant_guard.tokens import (
    QUERIES,
    NotUnderstood,
    Token,
    Tokens,
    at_comma,
    is_name,
    is_query,
    is_word,
    split,
)

_CHANGES = frozenset(["insert", "replace", "update", "delete"])
# What PostgreSQL plans too; behind ANALYZE alone some of these words are names.
_PLANNED = QUERIES | _CHANGES | {"create", "declare", "merge", "execute"}
_ANALYZED = _CHANGES | {"select", "with"}


def run_by(tokens: Tokens) -> Tokens:
    """Return the statement that a statement runs, nothing where it runs none that reads or changes rows."""
    first = tokens[0]
    if is_word(first, "declare"):
        at = next((i for i, token in enumerate(tokens) if is_word(token, "for")), len(tokens))
        if at + 1 >= len(tokens):
            raise NotUnderstood
        return tokens[at + 1 :]
    if is_word(first, "create") and any(is_word(token, "table") for token in tokens[1:5]):
        return _filled_by(tokens)
    if is_word(first, "analyze"):  # MariaDB's; PostgreSQL and MySQL gather figures by it
        at = 4 if len(tokens) > 1 and is_word(tokens[1], "format") else 1
        return tokens[at:] if at + 1 < len(tokens) and is_word(tokens[at], *_ANALYZED) else ()
    if is_word(first, "explain", "describe", "desc"):
        return _timed_by(tokens)
    return ()


def _filled_by(tokens: Tokens) -> Tokens:
    """Return the query that a CREATE TABLE is filled by. MySQL needs no AS before it."""
    if [token.text for token in tokens[-3:]] == ["with", "no", "data"]:
        return ()
    if [token.text for token in tokens[-2:]] == ["with", "data"]:
        tokens = tokens[:-2]
    for i in range(2, len(tokens)):
        after = tokens[i + 1] if i + 1 < len(tokens) else Token("symbol", "")
        if is_word(tokens[i], "select") or (is_word(tokens[i], "with") and is_name(after)):
            return tokens[i:]
        if is_query(tokens[i]):
            return tokens[i : i + 1]
        if is_word(tokens[i], "as") and (after.kind == "group" or is_word(after, *QUERIES)):
            return tokens[i + 1 :]
    return ()


def _timed_by(tokens: Tokens) -> Tokens:
    """Return the statement that is run for its plan, if it is run."""
    at = next(
        (i for i in range(1, len(tokens)) if is_word(tokens[i], *_PLANNED) or is_query(tokens[i])),
        len(tokens),
    )
    parts = [part for group in tokens[1:at] for part in split(group.inside, at_comma) if part]
    is_run = any(is_word(token, "analyze", "analyse") for token in tokens[1:at]) or any(
        is_word(part[0], "analyze", "analyse") and not is_word(part[-1], "false", "off") for part in parts
    )
    return tokens[at:] if is_run else ()
