"""What is declared against what is there. Pure: it knows definitions in a database's own terms, and no database.

A definition is what an index does, without its name. An index that is there under another name serves as well, and so does a
unique one where uniqueness was not asked for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

CREATE, KEEP, CONFLICT, UNSUPPORTED, FOREIGN = "create", "keep", "conflict", "unsupported", "foreign"
DJANGO, CONSTRAINT = "django", "constraint"
_REVERSED = {"asc": "desc", "desc": "asc"}


@dataclass(frozen=True)
class Column:
    """A column, document key or expression in an index."""

    name: str
    order: str = "asc"

    def __str__(self) -> str:
        return self.name if self.order == "asc" else f"{self.name} {self.order}"


@dataclass(frozen=True)
class Definition:
    """What an index does. ``where``, ``collation`` and ``options`` are text in a form that compares."""

    columns: tuple[Column, ...]
    unique: bool = False
    method: str = "btree"
    where: str = ""
    include: tuple[str, ...] = ()
    collation: str = ""
    options: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        parts = ["unique"] if self.unique else []
        parts += [self.method] if self.method != "btree" else []
        parts.append(f"({', '.join(map(str, self.columns))})")
        parts += [f"include ({', '.join(self.include)})"] if self.include else []
        parts += [f"where {self.where}"] if self.where else []
        parts += [f"collate {self.collation}"] if self.collation else []
        return " ".join([*parts, *(f"{name}={value}" for name, value in self.options)])


@dataclass(frozen=True)
class Wanted:
    """A declared index as a database would have it; ``unsupported`` says why it cannot, ``note`` what it does instead."""

    table: str
    name: str
    definition: Definition
    statement: str = ""
    unsupported: str = ""
    note: str = ""
    source: str = ""
    app: str = ""
    recipe: Any = field(default=None, compare=False)  # what the engine needs beside to make it


@dataclass(frozen=True)
class Present:
    """An index that is there. ``owner`` is django, constraint or nobody that we know; ``uses`` None where it is not counted.

    ``watched_uses`` are known since ``watched_since``, None if since when it is there is not known; see ``watching``.
    """

    table: str
    name: str
    definition: Definition
    owner: str = ""
    valid: bool = True
    hidden: bool = False
    size: int | None = None
    uses: int | None = None
    since: datetime | None = None
    note: str = ""
    watched_since: datetime | None = None
    watched_uses: int | None = None

    @property
    def is_free(self) -> bool:
        """Whether it is nobody's: no migration and no constraint made it."""
        return not self.owner


@dataclass(frozen=True)
class Rules:
    """How a database differs from others where indexes stand beside each other."""

    names_per_table: bool = False  # else a name is unique in the whole database
    one_text: bool = False  # one text index per collection
    keys_identify: bool = False  # two with the same keys may not differ in options alone


@dataclass(frozen=True)
class Change:
    """What is to be done about one index, and why."""

    action: str
    table: str
    name: str
    definition: Definition
    reason: str = ""
    wanted: Wanted | None = None
    present: Present | None = None


def compare(wanted: Iterable[Wanted], present: Sequence[Present], rules: Rules) -> list[Change]:
    """Return what to do about each declared index, then what is there that nobody declared."""
    by_table: dict[str, list[Present]] = defaultdict(list)
    by_name: dict[str, list[Present]] = defaultdict(list)
    for each in present:
        by_table[each.table].append(each)
        by_name[each.name].append(each)
    changes: list[Change] = []
    planned: list[Wanted] = []
    for want in wanted:
        if any(want.table == other.table and want.definition == other.definition for other in planned):
            continue
        change = _judge(want, by_table[want.table], by_name[want.name], planned, rules)
        changes.append(change)
        if change.action in (CREATE, KEEP):
            planned.append(want)
    served = {(change.present.table, change.present.name) for change in changes if change.present}
    foreign = [
        Change(FOREIGN, each.table, each.name, each.definition, _state(each), present=each)
        for each in present
        if each.is_free and (each.table, each.name) not in served
    ]
    order = (CREATE, KEEP, CONFLICT, UNSUPPORTED)
    return sorted(changes, key=lambda c: (order.index(c.action), c.table, c.name)) + sorted(
        foreign, key=lambda c: (c.table, c.name)
    )


def _judge(
    want: Wanted, there: list[Present], named: list[Present], planned: list[Wanted], rules: Rules
) -> Change:
    def change(action: str, reason: str, present: Present | None = None) -> Change:
        return Change(action, want.table, want.name, want.definition, reason, want, present)

    if want.unsupported:
        return change(UNSUPPORTED, want.unsupported)
    if found := _serving(want, there):
        if found.hidden:
            return change(CREATE, "it is there and hidden; it will be shown again", found)
        return change(KEEP, _kept_as(want, found), found)
    namesake = next((n for n in named if n.table == want.table or not rules.names_per_table), None)
    if namesake is not None and not namesake.valid and namesake.table == want.table:
        return change(CREATE, "what a build that was cut off has left is dropped first", namesake)
    reason = _namesake_reason(namesake) or _neighbour_reason(want, there, planned, rules)
    return change(CONFLICT, reason) if reason else change(CREATE, want.note)


def _namesake_reason(namesake: Present | None) -> str:
    if namesake is None:
        return ""
    return f"{namesake.table} has an index of this name with other keys or options: {namesake.definition}"


def _neighbour_reason(want: Wanted, there: list[Present], planned: list[Wanted], rules: Rules) -> str:
    """Return why an index cannot stand beside those of its table, present and declared, or the empty string."""
    if reason := _exclusion(want.definition, [each.definition for each in there], rules):
        return f"{want.table} {reason}"
    declared = [each.definition for each in planned if each.table == want.table]
    if reason := _exclusion(want.definition, declared, rules):
        return f"another declaration for {want.table} {reason}"
    return ""


def _serving(want: Wanted, there: list[Present]) -> Present | None:
    valid = [each for each in there if each.valid]
    exact = [each for each in valid if each.definition == want.definition]
    # By its own name first, then visible, then whatever there is.
    exact.sort(key=lambda each: (each.name != want.name, each.hidden))
    if exact:
        return exact[0]
    if want.definition.unique:
        return None
    unique = replace(want.definition, unique=True)
    return next((each for each in valid if each.definition == unique and not each.hidden), None)


def _kept_as(want: Wanted, found: Present) -> str:
    if found.name == want.name:
        return want.note
    maker = {DJANGO: ", which a migration made", CONSTRAINT: ", which belongs to a constraint"}.get(
        found.owner, ""
    )
    unique = " and is unique" if found.definition.unique and not want.definition.unique else ""
    return f"it is there as {found.name}{maker}{unique}"


def _exclusion(definition: Definition, others: list[Definition], rules: Rules) -> str:
    """Return what forbids an index beside the ``others`` on its table, or the empty string."""
    if rules.one_text and any(column.order == "text" for column in definition.columns):
        for other in others:
            if any(column.order == "text" for column in other.columns):
                return f"has a text index already, and can have only one: {other}"
    if rules.keys_identify:
        for other in others:
            if replace(other, options=()) == replace(definition, options=()):
                return f"has these keys already with other options: {other}"
    return ""


def _state(present: Present) -> str:
    if not present.valid:
        return "invalid: its build was cut off"
    return "hidden" if present.hidden else ""


def duplicates(present: Iterable[Present]) -> dict[tuple[str, str], str]:
    """Return, by table and name, the index of the same definition that is enough."""
    groups: dict[tuple[str, Definition], list[Present]] = defaultdict(list)
    for each in present:
        if each.valid:
            groups[(each.table, each.definition)].append(each)
    found = {}
    for group in groups.values():
        # What nobody can take away is the one to keep.
        keeper, *others = sorted(group, key=lambda each: (each.is_free, each.owner == DJANGO, each.name))
        found.update({(each.table, each.name): keeper.name for each in others})
    return found


def redundant(present: Iterable[Present]) -> dict[tuple[str, str], str]:
    """Return, by table and name, a longer index that begins with the same columns, read forwards or backwards.

    Unique, partial, hashed and text indexes do what a longer one does not, and are never redundant.
    """
    by_table: dict[str, list[Present]] = defaultdict(list)
    for each in present:
        if each.valid and not each.hidden:
            by_table[each.table].append(each)
    found: dict[tuple[str, str], str] = {}
    for group in by_table.values():
        for short in group:
            longer = [each for each in group if _begins_with(each.definition, short.definition)]
            if longer:
                best = min(longer, key=lambda each: (len(each.definition.columns), each.name))
                found[(short.table, short.name)] = best.name
    return found


def _begins_with(long: Definition, short: Definition) -> bool:
    size = len(short.columns)
    if short.unique or short.include or short.options or long.options or len(long.columns) <= size:
        return False
    if (short.method, long.method) != ("btree", "btree") or short.where or long.where:
        return False
    if short.collation != long.collation:
        return False
    if any(column.order not in _REVERSED for column in long.columns[:size]):
        return False
    backwards = tuple(Column(column.name, _REVERSED.get(column.order, "")) for column in long.columns[:size])
    return short.columns in (long.columns[:size], backwards)
