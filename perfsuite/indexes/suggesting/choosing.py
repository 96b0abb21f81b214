"""From what each statement lacks to few indexes that serve all of them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from perfsuite.indexes.suggesting.candidates import Candidate, worthwhile
from perfsuite.indexes.suggesting.costing import Planner
from perfsuite.indexes.suggesting.figures import Figures, Keys
from perfsuite.indexes.suggesting.needs import Statement
from perfsuite.indexes.suggesting.prices import Prices

# An index is spared where another one costs a statement no more than this many times as much.
NEARLY = 1.1


@dataclass(frozen=True)
class Asked:
    """A statement with what it weighs, which is the time that it takes."""

    statement: Statement
    weight: float = 1.0


@dataclass
class Chosen:
    """An index, and the places in what was asked of the statements that it serves, with the part of their cost that is left."""

    table: str
    keys: Keys
    serves: dict[int, float]


def choose(asked: Sequence[Asked], tables: Mapping[str, Figures], prices: Prices) -> list[Chosen]:
    """Return the indexes that halve what a statement costs, as few as serve nearly as well as each statement's own best one."""
    popular = _popular(asked)
    wanted: dict[tuple[str, Keys], dict[int, Candidate]] = {}
    for at, each in enumerate(asked):
        for found in worthwhile(each.statement, tables, prices, popular):
            wanted.setdefault((found.table, found.keys), {})[at] = found
    chosen = {place: {at: each.ratio for at, each in of.items()} for place, of in wanted.items()}
    costs = _Costs(asked, tables, prices)
    # What serves the least first, so that what stays serves much; of those, the shorter one.
    for place in sorted(
        wanted, key=lambda place: (sum(asked[at].weight for at in wanted[place]), len(place[1]))
    ):
        others = [other for other in chosen if other != place and other[0] == place[0]]
        moved: dict[int, tuple[str, Keys]] = {}
        for at in chosen[place]:
            limit = wanted[place][at].cost if at in wanted[place] else costs.of(at, place)
            good = [other for other in others if costs.of(at, other) <= max(limit * NEARLY, limit + 1e-9)]
            if not good:
                break
            moved[at] = min(good, key=lambda other: costs.of(at, other))
        else:
            del chosen[place]
            for at, other in moved.items():
                chosen[other][at] = costs.of(at, other) / costs.before(at)
    return [Chosen(table, keys, serves) for (table, keys), serves in chosen.items()]


class _Costs:
    """What statements cost with one more index, each asked once."""

    def __init__(self, asked: Sequence[Asked], tables: Mapping[str, Figures], prices: Prices) -> None:
        self._planners = [Planner(each.statement, tables, prices) for each in asked]
        self._known: dict[tuple[int, tuple[str, Keys] | None], float] = {}

    def of(self, at: int, index: tuple[str, Keys]) -> float:
        """Return what a statement costs with an index."""
        if (at, index) not in self._known:
            self._known[at, index] = self._planners[at].cost(index)
        return self._known[at, index]

    def before(self, at: int) -> float:
        """Return what a statement costs as it is."""
        if (at, None) not in self._known:
            self._known[at, None] = self._planners[at].cost()
        return max(self._known[at, None], 1e-9)


def _popular(asked: Sequence[Asked]) -> dict[tuple[str, str], float]:
    """Return how much each column is asked for by equality, by weight."""
    found: dict[tuple[str, str], float] = {}
    for each in asked:
        for number, use in enumerate(each.statement.uses):
            joined = [seen[0] for join in each.statement.joins if (seen := join.seen_from(number))]
            for name in {*use.equals, *use.among, *joined}:
                found[use.table, name] = found.get((use.table, name), 0.0) + each.weight
    return found
