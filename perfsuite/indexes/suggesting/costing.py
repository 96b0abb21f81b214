"""What a statement costs with the indexes that there are, and with one more: a planner in small. Pure.

Joins are put in the best order, table by table; each table is read whole, by an index, or looked up by one for each row before
it. The figures compare with each other only.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import takewhile

from perfsuite.indexes.suggesting import needs
from perfsuite.indexes.suggesting.figures import Figures, Key, Keys, Selectivity
from perfsuite.indexes.suggesting.needs import Block, Statement, Use
from perfsuite.indexes.suggesting.prices import Look, Prices

# The columns of a use that are equal to something known, and the part of its rows that each value has.
Bound = Mapping[str, float]
# What a LIMIT whose number is not known lets through.
LIMIT = 25.0
NO_TABLE = Figures(1_000.0, 10.0)
MAX_JOINED = 9


@dataclass(frozen=True)
class Path:
    """A way to the rows of some of a block's tables: what it costs, how many rows it gives, and whether in the wanted order.

    ``ahead`` is what of the cost is spent before the first row comes.
    """

    cost: float
    rows: float
    is_ordered: bool = False
    ahead: float = 0.0


class Planner:
    """Plans one statement on tables of which figures are known."""

    def __init__(self, statement: Statement, tables: Mapping[str, Figures], prices: Prices) -> None:
        self.statement, self.tables, self.prices = statement, tables, prices

    def cost(self, *more: tuple[str, Keys]) -> float:
        """Return what the statement costs with further indexes, each by its table and keys."""
        plan = _Plan(self.statement, self.tables, self.prices, more)
        roots = [at for at, block in enumerate(self.statement.blocks) if block.parent < 0]
        return sum(plan.block(at).cost for at in roots)


class _Plan:
    def __init__(
        self,
        statement: Statement,
        tables: Mapping[str, Figures],
        prices: Prices,
        more: tuple[tuple[str, Keys], ...],
    ) -> None:
        self.statement, self.tables, self.prices, self.more = statement, tables, prices, more
        self._done: dict[int, Path] = {}

    def block(self, number: int) -> Path:
        """Return the best path to a block's rows, with all that is below it."""
        if number not in self._done:
            self._done[number] = Path(0.0, 1.0)  # one that refers to itself
            self._done[number] = self._block(number)
        return self._done[number]

    def _block(self, number: int) -> Path:
        block = self.statement.blocks[number]
        uses = self.statement.of_block(number)
        if not uses:
            return Path(0.0, 1.0)
        path = self._extreme(block, uses) or self._joined(block, uses)
        width = block.width
        rows = min(path.rows, LIMIT) if block.has_limit else path.rows
        given = min(rows, max(1.0, rows / 10)) if block.is_grouped else rows
        cost = path.cost + self.prices.give(rows, width) + self._below(number, rows, path.rows)
        return Path(cost, given)

    def _below(self, number: int, given: float, read: float) -> float:
        """Return what the subqueries cost that are not planned as joins: once, or for each row that names them.

        A condition that compares with one asks it for the rows that the other conditions leave, whatever the LIMIT.
        """
        cost = 0.0
        within = {number, *self.statement.merged(number)}
        asked = read
        for use in self.statement.of_block(number):
            what = self.statement.uses[use]
            select = Selectivity(what, self._figures(use))
            for name in what.asked:
                asked /= select.of(name)
        for at, each in enumerate(self.statement.blocks):
            if each.parent in within and each.role in (needs.SCALAR, needs.DERIVED):
                times = max(1.0, given, asked if asked > read else 0.0) if self._is_correlated(at) else 1.0
                cost += times * self.block(at).cost
        return cost

    def _is_correlated(self, number: int) -> bool:
        own = set(self.statement.of_block(number))
        return any((each.left in own) != (each.right in own) for each in self.statement.joins)

    # Joins

    def _joined(self, block: Block, uses: list[int]) -> Path:
        uses = uses[:MAX_JOINED]
        best: dict[frozenset[int], list[Path]] = {}
        outer = self._outside(uses)
        for use in uses:
            if not self._is_late(use) or len(uses) == 1:
                best[frozenset([use])] = self._paths(use, block, outer)
        if not best:
            best = {frozenset([use]): self._paths(use, block, outer) for use in uses}
        for _ in uses[1:]:
            best = self._one_more(best, uses, block, outer)
        return self._finished(block, next(iter(best.values())))

    def _one_more(
        self,
        best: dict[frozenset[int], list[Path]],
        uses: list[int],
        block: Block,
        outer: set[int],
    ) -> dict[frozenset[int], list[Path]]:
        found: dict[frozenset[int], list[Path]] = {}
        for done, paths in best.items():
            rest = [use for use in uses if use not in done]
            linked = [use for use in rest if self._bound(use, done | outer)]
            for use in linked or rest:
                made = [each for path in paths for each in self._joins(path, use, done | outer, block)]
                found[done | {use}] = _cheapest([*found.get(done | {use}, ()), *made])
        return found

    def _joins(self, path: Path, use: int, done: AbstractSet[int], block: Block) -> list[Path]:
        bound = self._bound(use, done)
        what, table = self.statement.uses[use], self._figures(use)
        alone = self._scan_or_look(use, {}, 1.0)
        filtered = table.rows * Selectivity(what, table).of_all()
        matches = filtered
        for part in bound.values():
            matches *= part
        rows = self._rows_after(path.rows, matches, use)
        hashed = self.prices.hash(filtered, path.rows)
        if self.prices.is_lazy:
            alone, hashed = alone * min(1.0, path.rows), hashed * min(1.0, path.rows)
        found = [Path(path.cost + alone + hashed, rows, False, path.cost + alone)]
        if bound:
            each = self._look(use, bound, max(1.0, path.rows))
            if each is not None:
                found.append(Path(path.cost + path.rows * each, rows, path.is_ordered, path.ahead))
        return found

    def _rows_after(self, rows: float, matches: float, use: int) -> float:
        role = self.statement.blocks[self.statement.uses[use].block].role
        if role == needs.SEMI:
            return max(1e-3, rows * min(1.0, matches))
        if role == needs.ANTI:
            return max(1.0, rows * max(0.1, 1.0 - min(1.0, matches)))
        if self.statement.uses[use].is_optional:
            return rows * max(1.0, matches)
        return max(1e-3, rows * matches)

    def _is_late(self, use: int) -> bool:
        what = self.statement.uses[use]
        return what.is_optional or self.statement.blocks[what.block].role == needs.ANTI

    def _bound(self, use: int, done: AbstractSet[int]) -> Bound:
        """Return the columns of a use that are equal to one of ``done``, and the part of its rows that each value has."""
        found: dict[str, float] = {}
        table = self._figures(use)
        for join in self.statement.joins:
            seen = join.seen_from(use)
            if seen is not None and seen[1] in done:
                distinct = table.column(seen[0]).distinct
                found[seen[0]] = min(found.get(seen[0], 1.0), 1 / max(1.0, distinct))
        return found

    def _outside(self, uses: list[int]) -> set[int]:
        """Return the uses of blocks around these uses that they are joined with; not those of subqueries below."""
        seen = [join.seen_from(use) for join in self.statement.joins for use in uses]
        found = {each[1] for each in seen if each is not None} - set(uses)
        around: set[int] = set()
        at = min((self.statement.uses[use].block for use in uses), default=-1)
        while at >= 0 and at not in around:
            around.add(at)
            at = self.statement.blocks[at].parent
        return {use for use in found if self.statement.uses[use].block in around}

    # One table

    def _figures(self, use: int) -> Figures:
        what = self.statement.uses[use]
        if what.table:
            return self.tables.get(what.table, NO_TABLE)
        return Figures(self.block(what.source).rows, 10.0) if what.source >= 0 else NO_TABLE

    def _indexes(self, table: str) -> list[Keys]:
        here = list(self.tables[table].indexes) if table in self.tables else []
        return [*here, *(keys for name, keys in self.more if name == table)]

    def _scan_or_look(self, use: int, bound: Bound, loops: float) -> float:
        what, table = self.statement.uses[use], self._figures(use)
        scan = self.prices.scan(table, what.filters) if what.table else 0.0
        found = self._look(use, bound, loops)
        return scan if found is None else min(scan, found)

    def _paths(self, use: int, block: Block, outer: set[int]) -> list[Path]:
        """Return the ways to read a table first: whole or by the best index, and by each that gives the wanted order."""
        what, table = self.statement.uses[use], self._figures(use)
        bound = self._bound(use, outer)
        rows = table.rows * Selectivity(what, table).of_all()
        for part in bound.values():
            rows *= part
        rows = max(rows, 1e-3)
        found = [Path(self._scan_or_look(use, bound, 1.0), rows)]
        for keys in self._indexes(what.table):
            if self._gives_order(use, keys, block, set(bound)):
                look = self._look_by(keys, use, bound, 1.0, whole=True)
                if look is not None:
                    found.append(Path(self.prices.look(table, keys, look), rows, True))
        return found

    def _look(self, use: int, bound: Bound, loops: float) -> float | None:
        """Return the cheapest look into an index of a table, or None if none serves."""
        table = self._figures(use)
        costs = []
        for keys in self._indexes(self.statement.uses[use].table):
            look = self._look_by(keys, use, bound, loops, whole=False)
            if look is not None:
                costs.append(self.prices.look(table, keys, look))
        return min(costs, default=None)

    def _look_by(self, keys: Keys, use: int, bound: Bound, loops: float, *, whole: bool) -> Look | None:
        """Return the look into one index: ``whole`` also where no condition narrows it."""
        what, table = self.statement.uses[use], self._figures(use)
        choose = Selectivity(what, table)
        fixed = list(takewhile(lambda key: _is_fixed(key, what, bound), keys))
        begun = [*fixed, *keys[len(fixed) : len(fixed) + 1]]
        narrowing = [key for key in begun if key in fixed or key.column in what.ranges]
        covered = what.columns is not None and what.columns <= {key.column for key in keys}
        if not narrowing and not whole and not covered:
            return None
        if bound and loops > 1 and not any(key.column in bound for key in narrowing):
            return None
        entries = table.rows
        for key in narrowing:
            entries *= choose.of(key.column) * bound.get(key.column, 1.0)
        fetched = entries
        if self.prices.filters_in_index:
            for key in keys[len(narrowing) :]:
                fetched *= choose.of(key.column) * bound.get(key.column, 1.0)
        tests = max(0, what.filters + len(bound) - len(narrowing))
        follows = table.column(keys[0].column).correlation * (1.0 if len(keys) == 1 else 0.75)
        return Look(entries, fetched, loops, tests, covered, follows)

    # Order

    def _gives_order(self, use: int, keys: Keys, block: Block, bound: set[str]) -> bool:
        """Tell whether an index gives the rows of a block in its order, read forwards or backwards, or group by group."""
        what = self.statement.uses[use]
        rest = [key for key in keys if not _is_single(key, what, bound)]
        if block.order and not block.is_ordered_otherwise:
            wanted = [each for each in block.order if not _is_single(Key(each[1]), what, bound)]
            if any(owner != use for owner, _, _ in wanted) or len(rest) < len(wanted):
                return False
            here = [(key.column, key.descends) for key in rest[: len(wanted)]]
            forwards = [(name, descends) for _, name, descends in wanted]
            backwards = [(name, not descends) for _, name, descends in wanted]
            return bool(wanted) and here in (forwards, backwards)
        if block.group and not block.order:
            wanted_names = {name for owner, name in block.group if owner == use}
            if len(wanted_names) < len(block.group):
                return False
            return {key.column for key in rest[: len(wanted_names)]} == wanted_names
        return False

    def _finished(self, block: Block, paths: list[Path]) -> Path:
        """Return the cheapest path with what sorting and grouping add; a LIMIT stops one that needs neither."""
        is_sorted = bool(block.order) or block.is_ordered_otherwise
        made = []
        for path in paths:
            cost = path.cost
            if block.group and not (path.is_ordered and not block.order):
                cost += self.prices.group(path.rows)
            elif block.is_grouped and block.has_limit and not block.group:
                pass
            if is_sorted and not path.is_ordered:
                rows = path.rows / 10 if block.group else path.rows
                cost += self.prices.sort(rows)
            elif block.has_limit and not block.is_grouped and path.rows > LIMIT:
                ahead = min(path.ahead, cost)
                cost = ahead + (cost - ahead) * LIMIT / path.rows
            made.append(Path(cost, path.rows))
        return min(made, key=lambda each: each.cost)

    def _extreme(self, block: Block, uses: list[int]) -> Path | None:
        """Return the path to a MIN or MAX that an index begins with, behind what is fixed; None if there is none."""
        if block.extreme is None or len(uses) != 1:
            return None
        use, name = block.extreme
        what, table = self.statement.uses[use], self._figures(use)
        bound = self._bound(use, self._outside(uses))
        if what.patterns or what.among:
            return None
        for keys in self._indexes(what.table):
            fixed = list(takewhile(lambda key: _is_single(key, what, set(bound)), keys))
            needed = {*what.equals, *bound} <= {key.column for key in fixed}
            if (
                needed
                and len(keys) > len(fixed)
                and keys[len(fixed)].column == name
                and set(what.ranges) <= {name}
            ):
                covered = what.columns is not None and what.columns <= {key.column for key in keys}
                entries = table.rows
                for key in fixed:
                    entries *= Selectivity(what, table).of(key.column) * bound.get(key.column, 1.0)
                return Path(self.prices.first(table, keys, max(1.0, entries), covered=covered), 1.0)
        return None


def _is_fixed(key: Key, use: Use, bound: Bound) -> bool:
    return key.column in use.equals or key.column in use.among or key.column in bound


def _is_single(key: Key, use: Use, bound: set[str]) -> bool:
    return key.column in use.equals or key.column in bound


def _cheapest(paths: list[Path]) -> list[Path]:
    """Return the cheapest path of all, and the cheapest that is in order."""
    best = min(paths, key=lambda each: each.cost)
    ordered = [each for each in paths if each.is_ordered]
    return [best] if best.is_ordered or not ordered else [best, min(ordered, key=lambda each: each.cost)]
