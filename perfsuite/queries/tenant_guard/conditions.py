"""Reads WHERE and ON: which columns are held to a value, or joined, for every row that is left. Pure: no Django.

What stands under OR counts if each side has it; what stands under NOT does not count.
"""

from __future__ import annotations

from collections.abc import Callable

from perfsuite.queries.tenant_guard.facts import Facts, Nodes, Restricted, common
from perfsuite.queries.tenant_guard.levels import Level, Outputs, is_constant, names_of
from perfsuite.queries.tenant_guard.tokens import (
    Token,
    Tokens,
    at_comma,
    is_query,
    is_word,
    split,
    unwrapped,
)

# Reads a query below a level. What it restricts is the level's own if it holds for each row there, else nothing of it.
ReadQuery = Callable[[Tokens, Level, "Restricted | None"], Outputs]

_COMPARISONS = frozenset(["=", "==", "<=>", "<>", "!=", "<", ">", "<=", ">="])
_OTHER_TESTS = frozenset(
    ["is", "like", "ilike", "between", "regexp", "glob", "similar", "match", "in", "xor", "rlike"]
)


class Conditions:
    """Reads conditions into facts; queries within them are read by ``read_query``."""

    def __init__(self, read_query: ReadQuery) -> None:
        self._read_query = read_query

    def read(self, tokens: Tokens, level: Level, restricted: Restricted) -> None:
        """Note what a condition says that leaves rows of ``restricted`` out."""
        tokens = _folded_cases(tokens)
        if any(is_word(token, "xor") for token in tokens):
            self.scan(tokens, level)
            return
        branches = split(tokens, lambda all_, i: is_word(all_[i], "or"))
        if len(branches) > 1:
            self._read_or(branches, level, restricted)
            return
        for conjunct in _conjuncts(tokens):
            self._read_conjunct(conjunct, level, restricted)

    def scan(self, tokens: Tokens, level: Level) -> None:
        """Read the queries in what is no condition, or none that holds for each row."""
        for token in tokens:
            if is_query(token):
                self._read_query(token.inside, level, None)
            elif token.kind == "group":
                self.scan(token.inside, level)

    def _read_or(self, branches: list[Tokens], level: Level, restricted: Restricted) -> None:
        facts, mine = level.facts, _outer(level)
        said: list[Facts] = []
        for branch in branches:
            # What one branch says is kept apart; the occurrences in it are the statement's.
            held = facts.bound, facts.joined
            facts.bound, facts.joined = [], []
            try:
                self.read(branch, level, restricted)
                said.append(Facts(facts.schema, facts.tables, facts.bound, facts.joined))
            finally:
                facts.bound, facts.joined = held
        # What a query within a branch says of its own tables holds for those, whichever branch it is.
        for each in said:
            facts.bound += [fact for fact in each.bound if fact[0][0] not in mine]
            facts.joined += [fact for fact in each.joined if fact[1][0] not in mine]
        common(said, facts)

    def _read_conjunct(self, tokens: Tokens, level: Level, restricted: Restricted) -> None:
        inside = unwrapped(tokens)
        if inside is not tokens and not (inside and is_word(inside[0], "select", "with", "values", "table")):
            self.read(inside, level, restricted)
            return
        if len(tokens) == 2 and is_word(tokens[0], "exists") and is_query(tokens[1]):
            self._read_query(tokens[1].inside, level, restricted)
            return
        tests = [
            i
            for i, token in enumerate(tokens)
            if (token.kind == "symbol" and token.text in _COMPARISONS) or is_word(token, *_OTHER_TESTS)
        ]
        if len(tests) == 1 and not is_word(tokens[0], "not"):
            at = tests[0]
            left, test, right = tokens[:at], tokens[at].text, tokens[at + 1 :]
            if test in ("=", "==", "<=>"):
                self._read_equality(left, right, level, restricted)
                return
            if test == "in" and left and not is_word(left[-1], "not"):
                self._read_in(left, right, level, restricted)
                return
        self.scan(tokens, level)

    def _read_equality(self, left: Tokens, right: Tokens, level: Level, restricted: Restricted) -> None:
        lefts, rights = _parts(left), _parts(right)
        if len(lefts) == len(rights) > 1:
            for one, other in zip(lefts, rights, strict=True):
                self._read_equality(one, other, level, restricted)
            return
        for one, other in ((left, right), (right, left)):
            if (nodes := _column(one, level)) is not None:
                query = other[1:] if len(other) == 2 and is_word(other[0], "any", "some") else other
                if len(query) == 1 and is_query(query[0]):
                    self._read_query_equality([nodes], query[0], level, restricted)
                    return
                if is_constant(other):
                    level.facts.bind(nodes, restricted)
                    return
        ours, theirs = _column(left, level), _column(right, level)
        if ours is not None and theirs is not None:
            level.facts.join(ours, theirs, restricted)
            return
        self.scan(left, level)
        self.scan(right, level)

    def _read_in(self, left: Tokens, right: Tokens, level: Level, restricted: Restricted) -> None:
        columns = [_column(part, level) or () for part in _parts(left)]
        self.scan(left, level)
        if len(right) == 1 and is_query(right[0]):
            self._read_query_equality(columns, right[0], level, restricted)
        elif len(right) == 1 and is_constant(right):
            for nodes in columns:
                level.facts.bind(nodes, restricted)
        else:
            self.scan(right, level)

    def _read_query_equality(
        self, columns: list[Nodes], query: Token, level: Level, restricted: Restricted
    ) -> None:
        """Read ``column = (SELECT ...)`` and ``column IN (SELECT ...)`` as the join that they are."""
        outputs = self._read_query(query.inside, level, restricted)
        for place, nodes in enumerate(columns):
            level.facts.join(nodes, outputs.by_place(place), restricted)


def _outer(level: Level) -> Restricted:
    """Return the occurrences of a level and of those around it."""
    outer = set(level.restricted)
    while level.parent is not None:
        level = level.parent
        outer |= level.restricted
    return outer


def _column(tokens: Tokens, level: Level) -> Nodes | None:
    names = names_of(tokens)
    return level.resolve(names) if names else None


def _parts(tokens: Tokens) -> list[Tokens]:
    """Return the parts of ``(a, b)``, or what there is as one."""
    if len(tokens) == 1 and tokens[0].kind == "group" and not is_query(tokens[0]):
        return split(tokens[0].inside, at_comma)
    return [tokens]


def _conjuncts(tokens: Tokens) -> list[Tokens]:
    """Split a condition at its ANDs, but for that of BETWEEN."""
    is_between = [False]

    def at_and(all_: Tokens, i: int) -> bool:
        if is_word(all_[i], "between"):
            is_between[0] = True
        elif is_word(all_[i], "and"):
            if not is_between[0]:
                return True
            is_between[0] = False
        return False

    return split(tokens, at_and)


def _folded_cases(tokens: Tokens) -> Tokens:
    """Return the tokens with each CASE ... END as a group, whose conditions are none of the statement's."""
    if not any(is_word(token, "case") for token in tokens):
        return tokens
    stack: list[list[Token]] = [[]]
    for token in tokens:
        if is_word(token, "case"):
            stack.append([token])
        elif is_word(token, "end") and len(stack) > 1:
            inside = [*stack.pop(), token]
            stack[-1].append(Token("group", "case", inside))
        else:
            stack[-1].append(token)
    return [token for part in stack for token in part]
