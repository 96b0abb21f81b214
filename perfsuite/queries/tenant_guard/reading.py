"""Reads a statement: its tables at each level, and through ``Conditions`` what holds them to a tenant. Pure: no Django.

This is no parser: what it does not need it passes over, and what it cannot place is ``NotUnderstood``.
"""

from __future__ import annotations

from collections.abc import Mapping

from perfsuite.queries.tenant_guard.conditions import Conditions
from perfsuite.queries.tenant_guard.facts import Facts, Nodes, Restricted
from perfsuite.queries.tenant_guard.froms import From
from perfsuite.queries.tenant_guard.inner import run_by
from perfsuite.queries.tenant_guard.levels import Body, Level, Outputs, Source, names_of
from perfsuite.queries.tenant_guard.schema import FINE, NOT_UNDERSTOOD, Schema, Verdict
from perfsuite.queries.tenant_guard.tokens import (
    QUERIES,
    NotUnderstood,
    Token,
    Tokens,
    at_comma,
    is_name,
    is_word,
    keyword,
    nested,
    split,
)

# A query that is read again for each reference to it must have an end.
MAX_LEVELS = 300

# Say nothing about rows, or only add some.
_HARMLESS = frozenset([
    "begin", "start", "commit", "rollback", "savepoint", "release", "set", "reset", "show", "pragma", "use", "create", "alter",
    "drop", "comment", "grant", "revoke", "lock", "unlock", "analyze", "vacuum", "reindex", "explain", "describe", "desc",
    "close", "fetch", "move", "deallocate", "discard", "listen", "unlisten", "notify", "attach", "detach", "abort", "end",
    "cluster", "refresh", "optimize", "kill", "flush", "checkpoint",
])  # fmt: skip
_SET_OPERATIONS = frozenset(["union", "intersect", "except"])
_AFTER_FROM = frozenset([
    "where", "group", "having", "order", "limit", "offset", "fetch", "window", "for", "qualify", "returning", "into",
])  # fmt: skip


def verdict_of(text: str, schema: Schema) -> Verdict:
    """Return what a text without values comes to. Never raises."""
    try:
        tokens = nested(text)
        reader = Reader(schema)
        for statement in split(tokens, lambda all_, i: all_[i] == Token("symbol", ";")):
            if statement:
                reader.read_statement(statement, {})
    except (NotUnderstood, RecursionError):
        return NOT_UNDERSTOOD
    return Verdict(unscoped) if (unscoped := reader.facts.unscoped()) else FINE


class Reader:
    """Reads the statements of one text into one set of facts."""

    def __init__(self, schema: Schema) -> None:
        self.facts = Facts(schema)
        self.conditions = Conditions(self._read_below)
        self.froms = From(self.conditions, self._read_below)
        self._levels = 0

    def read_statement(self, tokens: Tokens, bodies: Mapping[str, Body]) -> None:
        """Read a statement of any kind."""
        first = tokens[0]
        if first.kind == "group" or is_word(first, "select", "values", "table"):
            self._read_query(tokens, Level(self.facts, None, bodies), None)
        elif is_word(first, "with"):
            self._read_with(tokens, Level(self.facts, None, bodies), None)
        elif is_word(first, "insert", "replace"):
            self._read_insert(tokens, self._level(bodies))
        elif is_word(first, "update"):
            self._read_update(tokens, self._level(bodies))
        elif is_word(first, "delete"):
            self._read_delete(tokens, self._level(bodies))
        elif is_word(first, "truncate"):
            self._read_truncate(tokens[1:])
        elif run := run_by(tokens):
            self.read_statement(run, bodies)
        elif not is_word(first, *_HARMLESS):
            raise NotUnderstood

    def _read_truncate(self, tokens: Tokens) -> None:
        names = [token for token in tokens if not is_word(token, "table", "only")]
        for part in split(names, at_comma):
            self.facts.occurrence(part[0].text if part else "")

    def _level(self, bodies: Mapping[str, Body], parent: Level | None = None) -> Level:
        self._levels += 1
        if self._levels > MAX_LEVELS:
            raise NotUnderstood
        return Level(self.facts, parent, bodies)

    def _read_below(self, tokens: Tokens, parent: Level, restricted: Restricted | None) -> Outputs:
        return self._read_query(tokens, parent, restricted)

    def _read_query(self, tokens: Tokens, parent: Level, restricted: Restricted | None) -> Outputs:
        """Read a query below ``parent``; where its conditions hold for each row there, ``restricted`` is what they restrict."""
        if tokens and is_word(tokens[0], "with"):
            return self._read_with(tokens, parent, restricted)
        branches = _branches(tokens)
        if len(branches) == 1:
            return self._read_branch(branches[0], parent, restricted)
        outputs = [self._read_branch(branch, parent, None) for branch in branches]
        union = _union(outputs)
        if restricted is not None:
            restricted |= union.reached
        return union

    def _read_branch(self, tokens: Tokens, parent: Level, restricted: Restricted | None) -> Outputs:
        if not tokens:
            raise NotUnderstood
        if tokens[0].kind == "group":
            return self._read_query(tokens[0].inside, parent, restricted)
        if is_word(tokens[0], "select"):
            return self._read_select(tokens[1:], parent, restricted)
        level = self._level(parent.bodies, parent)
        if is_word(tokens[0], "values"):
            self.conditions.scan(tokens, level)
            return Outputs()
        if is_word(tokens[0], "table"):
            self.froms.read(tokens[1:2], level)
            return Outputs(lambda name: level.resolve([name]), reached=level.restricted)
        raise NotUnderstood

    def _read_select(self, tokens: Tokens, parent: Level, restricted: Restricted | None) -> Outputs:
        level = self._level(parent.bodies, parent)
        items, from_, where, rest = _clauses(tokens)
        self.froms.read(from_, level)
        if restricted is not None:
            # Its conditions restrict what is around it too, and the other way round.
            restricted |= level.restricted
            level.restricted = restricted
        self.conditions.read(where, level, level.restricted)
        self.conditions.scan(items, level)
        self.conditions.scan(rest, level)
        return _outputs(items, level)

    def _read_with(self, tokens: Tokens, parent: Level, restricted: Restricted | None) -> Outputs:
        bodies = dict(parent.bodies)
        i = 2 if len(tokens) > 1 and is_word(tokens[1], "recursive") else 1
        unread: dict[str, Body] = {}
        while True:
            name, columns, body, i = _table_expression(tokens, i)
            bodies[name] = unread[name] = self._body(name, columns, body, parent, bodies, unread)
            if i < len(tokens) and tokens[i].text == "," and tokens[i].kind == "symbol":
                i += 1
                continue
            break
        rest = tokens[i:]
        level = Level(self.facts, parent.parent, bodies, parent.sources, parent.restricted)
        if not rest:
            raise NotUnderstood
        if rest[0].kind == "group" or is_word(rest[0], *QUERIES):
            outputs = self._read_query(rest, level, restricted)
        else:
            outputs = Outputs()
            self.read_statement(rest, bodies)
        for unreferred in list(unread.values()):  # what nothing refers to is run all the same
            unreferred()
        return outputs

    def _body(
        self,
        name: str,
        columns: list[str],
        tokens: Tokens,
        parent: Level,
        bodies: Mapping[str, Body],
        unread: dict[str, Body],
    ) -> Body:
        """Return what reads a table expression once more, so that each reference to it has occurrences of its own."""
        before = dict(bodies)

        def read() -> Outputs:
            unread.pop(name, None)
            within = dict(before)
            level = Level(self.facts, parent.parent, within, parent.sources, set())
            if not tokens or not (tokens[0].kind == "group" or is_word(tokens[0], *QUERIES)):
                if tokens:
                    self.read_statement(tokens, within)
                return Outputs()
            if is_word(tokens[0], "with"):
                return self._read_query(tokens, level, None)
            first, *others = _branches(tokens)
            done = [self._read_branch(first, level, None)]
            # In a recursive one, its own name is what has come so far; the rows of the first branch carry it through.
            within[name] = lambda: done[0].renamed(columns) if columns else done[0]
            done += [self._read_branch(branch, level, None) for branch in others]
            outputs = _union(done)
            return outputs.renamed(columns) if columns else outputs

        return read

    def _read_insert(self, tokens: Tokens, level: Level) -> None:
        """Read what is selected; rows that are given are nobody's yet."""
        for i, token in enumerate(tokens):
            if (
                is_word(token, "on")
                and i + 1 < len(tokens)
                and is_word(tokens[i + 1], "conflict", "duplicate")
            ):
                self.conditions.scan(tokens[i:], level)
                tokens = tokens[:i]
                break
        for i, token in enumerate(tokens):
            if is_word(token, "select", "with") and i > 1:
                self._read_query(tokens[i:], level, None)
                return
        self.conditions.scan(tokens, level)

    def _read_update(self, tokens: Tokens, level: Level) -> None:
        at = next((i for i in range(1, len(tokens)) if keyword(tokens, i, frozenset(["set"]))), None)
        if at is None:
            raise NotUnderstood
        target = tokens[1:at]
        if target and is_word(target[0], "or"):  # SQLite's UPDATE OR IGNORE
            target = target[2:]
        while target and is_word(target[0], "low_priority", "ignore"):
            target = target[1:]
        self.froms.read(target, level)
        settings, from_, where, rest = _clauses(tokens[at + 1 :])
        self._read_change(settings, from_, where, rest, level)

    def _read_delete(self, tokens: Tokens, level: Level) -> None:
        start = next((i for i, token in enumerate(tokens) if is_word(token, "from")), 0) + 1
        _, target, where, rest = _clauses([Token("word", "from"), *tokens[start:]])
        using = next((i for i in range(len(target)) if is_word(target[i], "using")), None)
        if using is not None and not any(is_word(token, "join") for token in target):
            self.froms.read(target[:using], level)
            self._read_change((), target[using + 1 :], where, rest, level)
        else:
            self._read_change((), target, where, rest, level)

    def _read_change(
        self, settings: Tokens, from_: Tokens, where: Tokens, rest: Tokens, level: Level
    ) -> None:
        self.froms.read(from_, level)
        self.conditions.read(where, level, level.restricted)
        self.conditions.scan(settings, level)
        self.conditions.scan(rest, level)


def _branches(tokens: Tokens) -> list[Tokens]:
    """Split a query at UNION, INTERSECT and EXCEPT."""
    branches = split(tokens, lambda all_, i: keyword(all_, i, _SET_OPERATIONS))
    return [branch[1:] if branch and is_word(branch[0], "all", "distinct") else branch for branch in branches]


def _union(outputs: list[Outputs]) -> Outputs:
    """Return what several queries give as one: each column is one of each of them, and the first gives it its name."""
    if len(outputs) == 1:
        return outputs[0]
    places = outputs[0].places

    def of_all(each: list[Nodes]) -> Nodes:
        return tuple(node for nodes in each for node in nodes) if all(each) else ()

    def placed(place: int) -> Nodes:
        return of_all([output.by_place(place) for output in outputs])

    def named(name: str) -> Nodes:
        return placed(places[name]) if places else of_all([output.by_name(name) for output in outputs])

    reached = set().union(*(output.reached for output in outputs))
    return Outputs(lambda name: named(name) if not places or name in places else (), placed, reached, places)


def _clauses(tokens: Tokens) -> tuple[Tokens, Tokens, Tokens, Tokens]:
    """Return what stands before FROM, after it, after WHERE, and after that."""
    at_from = next((i for i in range(len(tokens)) if _is_from(tokens, i)), None)
    after = [i for i in range(at_from or 0, len(tokens)) if keyword(tokens, i, _AFTER_FROM)]
    end = after[0] if after else len(tokens)
    items = tokens[: end if at_from is None else at_from]
    from_ = tokens[at_from + 1 : end] if at_from is not None else ()
    if not after or not is_word(tokens[end], "where"):
        return items, from_, (), tokens[end:]
    rest = after[1] if len(after) > 1 else len(tokens)
    return items, from_, tokens[end + 1 : rest], tokens[rest:]


def _is_from(tokens: Tokens, i: int) -> bool:
    is_comparison = i > 1 and is_word(tokens[i - 1], "distinct") and is_word(tokens[i - 2], "is", "not")
    return keyword(tokens, i, frozenset(["from"])) and not is_comparison


def _table_expression(tokens: Tokens, i: int) -> tuple[str, list[str], Tokens, int]:
    """Return the name, the columns and the body of ``name (columns) AS (body)``, and where it ends."""
    if i >= len(tokens) or not is_name(tokens[i]):
        raise NotUnderstood
    name, columns = tokens[i].text, list[str]()
    i += 1
    if i < len(tokens) and tokens[i].kind == "group":
        columns = [token.text for token in tokens[i].inside if is_name(token)]
        i += 1
    while i < len(tokens) and is_word(tokens[i], "as", "not", "materialized"):
        i += 1
    if i >= len(tokens) or tokens[i].kind != "group":
        raise NotUnderstood
    return name, columns, tokens[i].inside, i + 1


def _outputs(items: Tokens, level: Level) -> Outputs:
    """Return what a SELECT gives, by the names and places of its items."""
    if items and is_word(items[0], "distinct", "all"):
        items = items[2 if len(items) > 1 and is_word(items[1], "on") else 1 :]
        items = items[1:] if items and items[0].kind == "group" and len(items) > 1 else items
    columns: dict[str, list[str]] = {}
    places: dict[str, int] = {}
    by_place: list[list[str] | None] = []
    stars: list[Source] = []
    for place, item in enumerate(split(items, at_comma)):
        if item and item[-1] == Token("symbol", "*"):
            of = level.sources.get(item[0].text) if len(item) > 1 else None
            stars += [of] if of is not None else ([] if len(item) > 1 else list(level.sources.values()))
            by_place.append(None)
            continue
        names, alias = _item(item)
        by_place.append(names)
        if names is not None:
            columns[alias or names[-1]] = names
        if alias or names is not None:
            places[alias or (names or [""])[-1]] = place

    def named(name: str) -> Nodes:
        if (names := columns.get(name)) is not None:
            return level.resolve(names)
        if len(stars) == 1:
            return stars[0].column(name)
        return level.resolve([name]) if len(stars) > 1 and len(stars) == len(level.sources) else ()

    def placed(place: int) -> Nodes:
        # Behind a star nothing has a place that is known.
        names = by_place[place] if place < len(by_place) and not stars else None
        return level.resolve(names) if names is not None else ()

    return Outputs(named, placed, level.restricted, {} if stars else places)


def _item(item: Tokens) -> tuple[list[str] | None, str]:
    """Return the column that an item of a SELECT is, if it is one, and its alias."""
    alias = ""
    if len(item) > 2 and is_word(item[-2], "as") and is_name(item[-1]):
        item, alias = item[:-2], item[-1].text
    elif len(item) > 1 and is_name(item[-1]) and (item[-2].kind != "symbol" or names_of(item[:-1])):
        item, alias = item[:-1], item[-1].text
    return names_of(item), alias
