"""The indexes that could serve a statement, and those of them that are worth having. Pure.

Equality comes first, then the order, then a range, then what spares the rows themselves; the tenant's column leads where the
table has one and the statement names it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from perfsuite.indexes.suggesting.costing import Planner
from perfsuite.indexes.suggesting.figures import Figures, Key, Keys, Selectivity
from perfsuite.indexes.suggesting.needs import Statement, Use
from perfsuite.indexes.suggesting.prices import Prices

# An index is worth suggesting from here on: half of what a statement costs is to be saved, and the figures are estimates.
WORTH = 0.6
# Of two indexes, the one with fewer columns if it costs no more than this many times the other.
AS_GOOD = 1.1
# A column with so many different values for its rows names one: what follows it in an index narrows nothing.
UNIQUE = 0.9
MAX_KEYS = 4
MAX_COVERING = 3
MAX_COVERING_BYTES = 64
MAX_CANDIDATES = 200


@dataclass(frozen=True)
class Candidate:
    """An index on a table, and what a statement costs without it (``before``) and with it."""

    table: str
    keys: Keys
    before: float
    cost: float

    @property
    def ratio(self) -> float:
        """What is left of the cost."""
        return self.cost / self.before if self.before > 0 else 1.0


def candidates(
    statement: Statement,
    tables: Mapping[str, Figures],
    popular: Mapping[tuple[str, str], float] | None = None,
) -> list[tuple[str, Keys]]:
    """Return the indexes that could serve a statement, by table; those that are there already are left out.

    ``popular``: how much each column of a table is asked for by equality. It orders columns that could stand in any order.
    """
    found: dict[tuple[str, Keys], None] = {}
    for number, use in enumerate(statement.uses):
        table = tables.get(use.table)
        if table is None or not use.table:
            continue
        for keys in _of_use(statement, number, use, table, popular or {}):
            if keys and table.tenant in use.equals and keys[0].column != table.tenant:
                continue
            if keys and not any(serves(there, keys) or _tells(there, keys, table) for there in table.indexes):
                found.setdefault((use.table, keys))
    return list(found)[:MAX_CANDIDATES]


def worthwhile(
    statement: Statement,
    tables: Mapping[str, Figures],
    prices: Prices,
    popular: Mapping[tuple[str, str], float] | None = None,
) -> list[Candidate]:
    """Return the best index of each table of a statement, if one alone halves what the statement costs."""
    planner = Planner(statement, tables, prices)
    before = planner.cost()
    best: dict[str, list[Candidate]] = {}
    for table, keys in candidates(statement, tables, popular):
        made = Candidate(table, keys, before, planner.cost((table, keys)))
        if made.ratio <= WORTH:
            best.setdefault(table, []).append(made)
    return [_best(each) for each in best.values()]


def _best(found: Sequence[Candidate]) -> Candidate:
    least = min(each.cost for each in found)
    good = [each for each in found if each.cost <= least * AS_GOOD]
    return min(good, key=lambda each: (len(each.keys), each.cost))


def _of_use(
    statement: Statement, number: int, use: Use, table: Figures, popular: Mapping[tuple[str, str], float]
) -> Iterator[Keys]:
    select = Selectivity(use, table)
    fixed = [*use.equals, *use.among]
    for joined in _joined(statement, number):
        equal = _ordered([*fixed, *(name for name in joined if name not in fixed)], use, table, popular)
        for names in _parts(equal, use, table, select):
            for order in _orders(statement, number, names):
                head = (*(Key(name) for name in names), *order)
                taken = {key.column for key in head}
                yield head[:MAX_KEYS]
                ranges = [name for name in use.ranges if name not in taken]
                for name in ranges:
                    yield (*head, Key(name))[:MAX_KEYS]
                yield from _covering((*head, *(Key(name) for name in ranges[:1])), use, table)
                yield from _covering(head, use, table)
    if use.columns is not None and 0 < len(use.columns) <= MAX_COVERING:
        for first in sorted(use.columns):
            yield from _covering((Key(first),), use, table)


def _joined(statement: Statement, number: int) -> list[tuple[str, ...]]:
    """Return the columns that are joined with nothing, with each other table, and with all."""
    by_other: dict[int, list[str]] = {}
    for join in statement.joins:
        seen = join.seen_from(number)
        if seen is not None:
            by_other.setdefault(seen[1], []).append(seen[0])
    every = [tuple(dict.fromkeys(names)) for names in by_other.values()]
    together = tuple(dict.fromkeys(name for names in every for name in names))
    return list(dict.fromkeys([(), *every, together]))


def _ordered(
    names: list[str], use: Use, table: Figures, popular: Mapping[tuple[str, str], float]
) -> list[str]:
    """Return columns that may stand in any order: the tenant's, then what others ask for too, then what tells rows apart most."""
    return sorted(
        names,
        key=lambda name: (
            name != table.tenant,
            name in use.among,
            -popular.get((use.table, name), 0.0),
            -table.column(name).distinct,
            name,
        ),
    )


def _parts(equal: list[str], use: Use, table: Figures, select: Selectivity) -> Iterator[list[str]]:
    """Yield all columns of equality, those that tell most, and each of them."""
    yield equal[:MAX_KEYS]
    telling = [name for name in equal if name == table.tenant or table.column(name).distinct > 2]
    yield telling[:MAX_KEYS]
    single = [name for name in equal if name not in use.among]
    yield single[:MAX_KEYS]
    for name in equal:
        yield [name]
        if table.tenant in equal and name != table.tenant:
            yield [table.tenant, name]
    if equal:
        yield []


def _orders(statement: Statement, number: int, names: list[str]) -> Iterator[Keys]:
    """Yield nothing, and the order of the block, or its groups, or its MIN or MAX, if they are of this table alone."""
    yield ()
    block = statement.blocks[statement.uses[number].block]
    if block.order and not block.is_ordered_otherwise and all(owner == number for owner, _, _ in block.order):
        keys = tuple(Key(name, descends) for _, name, descends in block.order if name not in names)
        yield tuple(dict.fromkeys(keys))
    if block.group and all(owner == number for owner, _ in block.group):
        yield tuple(dict.fromkeys(Key(name) for _, name in block.group if name not in names))
    if block.extreme is not None and block.extreme[0] == number and block.extreme[1] not in names:
        yield (Key(block.extreme[1]),)


def _covering(head: Keys, use: Use, table: Figures) -> Iterator[Keys]:
    """Yield the index with all that the statement needs of the table, if that is little."""
    if use.columns is None or not head:
        return
    rest = sorted(use.columns - {key.column for key in head})
    width = sum(table.column(name).width for name in rest)
    if rest and len(head) + len(rest) <= MAX_COVERING and width <= MAX_COVERING_BYTES:
        yield (*head, *(Key(name) for name in rest))


def serves(there: Keys, wanted: Keys) -> bool:
    """Tell whether an index begins with the keys that are wanted, read forwards or backwards."""
    begun = there[: len(wanted)]
    return begun == wanted or begun == backwards(wanted)


def _tells(there: Keys, wanted: Keys, table: Figures) -> bool:
    """Tell whether an index begins with the first of the wanted keys, and that one alone names a row or nearly."""
    first = wanted[0].column
    return there[0].column == first and table.column(first).distinct >= UNIQUE * table.rows


def backwards(keys: Iterable[Key]) -> Keys:
    """Return keys as they are read from the other end."""
    return tuple(Key(key.column, not key.descends) for key in keys)
