"""What the statements of one request come to: N+1, duplicates, too many, slow ones. Imports no Django.

A statement is a plain tuple: what it is (the text of SQL, or the shape of a command), the alias, the seconds it took, whether it
failed, the key of its parameters (alike for alike ones; None for what is a batch of its own), and where it comes from, which is
known from the third time on that a text comes.

It is N+1 when one line asks for one row, or for the rows of one, again and again. What asks for ranges, pages and lists works in
batches, which is what the advice against N+1 is; so that is none, however often it comes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from operator import itemgetter
from typing import Any, NamedTuple

from perfsuite.queries.fingerprint import Shape

READS = frozenset(["SELECT", "find", "aggregate", "count", "distinct"])
INSERTS = frozenset(["INSERT", "REPLACE", "insert"])
CHANGES = frozenset(["UPDATE", "DELETE", "update", "delete", "findAndModify"])
WRITES = INSERTS | CHANGES
# A list of so many values beside other conditions makes a statement a batch.
LONG_LIST = 10
# A field of a form asks for its choices so often by itself: to show them, and to see whether the first of them is empty.
TIMES_OF_A_FIELD = 2
# The finding that is about a request as a whole.
CHATTY = "chatty"
# Of repetitions that no relation explains, at least this share has parameters of its own.
DISTINCT_SHARE = 0.25

Statement = Sequence[Any]
_alias, _seconds, _key, _site = map(itemgetter, (1, 2, 4, 5))


class Site(NamedTuple):
    """Where a statement comes from.

    ``where`` is the line, ``app/views.py:42 in listing``, or "". ``relation`` is the field whose reading ran it,
    ``shop.Book.author``; ``owner`` the model of the row whose manager ran it; ``act`` what the manager was asked for (``count``,
    ``exists``, ...);
    ``by`` is "" for the ORM, "raw" for the host's own statements, "form" where Django repeats it, "deferred" and
    "generic" for a field that is such a one. ``one_owner`` says that the owner was the same row each time, so that it is not its
    relation that the repetitions go over. ``fixed`` are the places of the parameters that were the same each time; of a found
    N+1, the columns that they are compared with, ``shop_book.author_id``.
    """

    where: str = ""
    relation: str = ""
    owner: str = ""
    act: str = ""
    by: str = ""
    one_owner: bool = False
    fixed: tuple[Any, ...] = ()


NOWHERE = Site()


@dataclass(frozen=True)
class Limits:
    """From when on something is worth a finding."""

    n_plus_one_count: int = 5
    n_plus_one_ms: float = 20.0
    n_plus_one_any_count: int = 10
    duplicate_count: int = 3
    chatty_count: int = 50

    def is_n_plus_one(self, count: int, seconds: float) -> bool:
        """Tell whether so many repetitions are worth a finding: some that took a while, or many."""
        return count >= self.n_plus_one_any_count or (
            count >= self.n_plus_one_count and seconds * 1e3 >= self.n_plus_one_ms
        )

    @property
    def least(self) -> int:
        """The fewest repetitions of which anything can come."""
        return min(self.n_plus_one_count, self.n_plus_one_any_count, self.duplicate_count)


class Found(NamedTuple):
    """One finding in one request; ``saving_s`` is what the request would have been spared, estimated.

    ``kind`` is "n_plus_one", "duplicate" or "chatty"; the last is about the request, and has no shape. ``statements`` are those
    that it is about, and ``spared`` is the share of their time that ``saving_s`` is.
    """

    kind: str
    shape: Shape
    alias: str
    site: Site
    count: int  # type: ignore[assignment]  # hides the tuple's method
    distinct: int
    seconds: float
    saving_s: float
    statements: Sequence[Statement] = ()
    spared: float = 0.0


def findings_of(
    statements: Sequence[Statement], shape_of: Callable[[Any, str], Shape], limits: Limits
) -> list[Found]:
    """Return what one request's statements come to, N+1 first, then duplicates, then whether they are too many."""
    found: list[Found] = []
    explained = 0
    if len(statements) >= limits.least:
        request = _Request(statements, shape_of)
        for group in request.groups(limits.least):
            for each in (*_n_plus_ones(group, limits), *_duplicates(group, limits, request)):
                found.append(each)
                explained += each.count - 1
    rest = len(statements) - explained
    if rest > limits.chatty_count:
        rest = sum(1 for each in statements if _counts(shape_of(each[0], each[1]))) - explained
        if rest > limits.chatty_count:
            seconds = sum(each[2] for each in statements)
            spared = (rest - limits.chatty_count) / len(statements)
            about = CHATTY, Shape("", ""), "", NOWHERE, rest, rest
            found.append(Found(*about, seconds, seconds * spared, statements, spared))
    return found


def _counts(shape: Shape) -> bool:
    return shape[1] in READS or shape[1] in WRITES


class _Group:
    """Statements of one shape; those in ``open`` belong to no finding yet."""

    __slots__ = ("alias", "open", "shape")

    def __init__(self, shape: Shape, alias: str, statements: list[Statement]) -> None:
        self.shape = shape
        self.alias = alias
        self.open = statements


class _Request:
    """The statements of a request in their order."""

    def __init__(self, statements: Sequence[Statement], shape_of: Callable[[Any, str], Shape]) -> None:
        self.statements = statements
        self.shape_of = shape_of
        self._places: dict[int, int] | None = None
        self._writes: list[tuple[int, str]] | None = None

    # Hot path: benchmarks/overhead.py
    def groups(self, least: int) -> Iterable[_Group]:
        """Yield the groups of at least so many statements that are alike but for their values."""
        by_shape: dict[tuple[Shape, str], list[Statement]] = {}
        by_text: dict[Any, list[Statement]] = {}
        for each in self.statements:
            of_text = by_text.get(each[0])
            if of_text is None:
                by_text[each[0]] = [each]
            else:
                of_text.append(each)
        for text, same in by_text.items():
            # Where there are many texts, some may differ by the values that stand in them.
            if len(same) >= least or len(by_text) >= least:
                aliases = set(map(_alias, same))
                for alias in aliases:
                    of_alias = same if len(aliases) == 1 else [each for each in same if each[1] == alias]
                    by_shape.setdefault((self.shape_of(text, alias), alias), []).extend(of_alias)
        for (shape, alias), group in by_shape.items():
            if len(group) >= least and _counts(shape):
                yield _Group(shape, alias, group)

    def place(self, statement: Statement) -> int:
        """Return where in the request a statement came."""
        if self._places is None:
            self._places = {id(each): number for number, each in enumerate(self.statements)}
        return self._places[id(statement)]

    def changed_between(self, tables: str, after: int, before: int) -> bool:
        """Tell whether a table that a statement names was written to between two places."""
        if self._writes is None:
            shapes = [self.shape_of(each[0], each[1]) for each in self.statements]
            self._writes = [
                (number, written_table(shape))
                for number, shape in enumerate(shapes)
                if shape.operation in WRITES
            ]
        return any(after < number < before and table and table in tables for number, table in self._writes)


# Hot path: benchmarks/overhead.py
def _n_plus_ones(group: _Group, limits: Limits) -> list[Found]:
    """Return the lines that repeat the statement for one row after the other, and take their statements out of the group."""
    found = []
    for site, repeated in _by_site(group.open):
        seconds = sum(map(_seconds, repeated))
        if site.by == "form" or not limits.is_n_plus_one(len(repeated), seconds):
            continue
        distinct = len(set(map(_key, repeated)))
        if distinct == 1 or repeated[0][0] is not repeated[-1][0]:
            distinct = len({(each[0], each[4]) for each in repeated})
        reads = group.shape.operation in READS
        if reads and distinct == 1:
            continue
        # Of a command there are two: that of its filter, and that of all of it.
        if type(repeated[0][0]) is not str and repeated[0][4].__class__ is tuple:
            distinct = len({each[4][0] for each in repeated})
        explained = site.relation or (site.owner and not site.one_owner) or not reads
        if not explained and distinct < max(2.0, DISTINCT_SHARE * len(repeated)):
            continue
        # One owner's own condition is the same each time, so it takes another one to be about one row.
        if is_of_one_row(repeated[0][0], group.shape, 2 if site.one_owner else 1):
            fixed = _compared_with(repeated[0][0], site.fixed) if site.fixed else ()
            named = site._replace(fixed=fixed) if site.fixed else site
            found.append(_found("n_plus_one", group, named, repeated, distinct, seconds))
            if len(repeated) == len(group.open):
                group.open = []
            else:
                taken = set(map(id, repeated))
                group.open = [each for each in group.open if id(each) not in taken]
    return found


def _by_site(statements: list[Statement]) -> Iterable[tuple[Site, list[Statement]]]:
    """Return the statements of each site; those whose site is not known, which come first, are of the one that comes next."""
    sites = list(map(_site, statements))
    last = sites[-1]
    if sites.count(last) + (last is not None and sites.count(None)) == len(sites) and None not in map(
        _key, statements
    ):
        return ((last or NOWHERE, statements),)
    by_site: dict[Site, list[Statement]] = {}
    unknown: list[Statement] = []
    # What stays the same at a site is known better with each of its statements.
    latest: dict[Site, Site] = {}
    for each in statements:
        if each[4] is not None:
            unknown.append(each)
            site = each[5]
            if site is not None:
                if site.one_owner or site.fixed:
                    bare = site._replace(one_owner=False, fixed=())
                    latest[bare] = site
                    site = bare
                elif site in latest:
                    latest[site] = site
                by_site.setdefault(site, []).extend(unknown)
                unknown = []
    if not by_site:
        return ((NOWHERE, unknown),)
    return [(latest.get(site, site), repeated) for site, repeated in by_site.items()]


def _duplicates(group: _Group, limits: Limits, request: _Request) -> Iterable[Found]:
    """Yield what was read again with the same parameters although nothing was written to the table in between."""
    if len(group.open) < limits.duplicate_count or not is_repeatable(group.shape):
        return
    by_key: dict[Any, list[Statement]] = {}
    for each in group.open:
        if each[4] is not None:
            by_key.setdefault((each[0], each[4]), []).append(each)
    again: list[Statement] = []
    distinct = 0
    for same in by_key.values():
        if len(same) >= limits.duplicate_count:
            run = _longest_run(sorted(same, key=request.place), group.shape.fingerprint, request)
            if len(run) >= limits.duplicate_count:
                again += run
                distinct += 1
    if again:
        seconds = sum(each[2] for each in again)
        site = next((each[5] for each in reversed(again) if each[5] is not None), NOWHERE)
        if site.by == "form" and len(again) < limits.duplicate_count * TIMES_OF_A_FIELD:
            return
        yield _found("duplicate", group, site, again, distinct, seconds)


def _longest_run(same: list[Statement], tables: str, request: _Request) -> list[Statement]:
    longest: list[Statement] = []
    run = same[:1]
    for before, each in pairwise(same):
        if request.changed_between(tables, request.place(before), request.place(each)):
            longest, run = max(longest, run, key=len), []
        run.append(each)
    return max(longest, run, key=len)


def _found(
    kind: str, group: _Group, site: Site, statements: list[Statement], distinct: int, seconds: float
) -> Found:
    # One statement remains of an N+1, and one for each of the different ones of duplicates.
    count, remain = len(statements), 1 if kind == "n_plus_one" else distinct
    spared = (count - remain) / count
    about = kind, group.shape, group.alias, site, count, distinct
    return Found(*about, seconds, seconds * spared, statements, spared)


# What a statement is


_WHERE = re.compile(
    r"\bWHERE\b(.*?)(?:\bORDER BY\b|\bGROUP BY\b|\bLIMIT\b|\bFOR UPDATE\b|\bRETURNING\b|\Z)", re.I | re.S
)
_EQUALS = re.compile(r"""(?<![<>!])= ?(?:%s|\?|'|-?\d|E'|\(?%s)""")
_PLACEHOLDERS = re.compile(r"""(?:["`]?(\w+)["`]?\.["`]?(\w+)["`]?(?:::\w+)? (?:= \(?|IN \())?%s""")
_RANGE = re.compile(r"[<>]=? ?(?:%s|\?|'|-?\d|\(?%s)|\bBETWEEN\b", re.I)
_LIST = re.compile(r"\bIN ?\(([^()]*)\)", re.I)
_PAGE = re.compile(r"\bOFFSET\b", re.I)
_LIMIT = re.compile(r"\bORDER BY\b.*\bLIMIT (?:[2-9]|\d\d|%s|\?)", re.I | re.S)
_BATCH = re.compile(r"\)\s*,\s*\(")
_WRITTEN = re.compile(r"""\b(?:INTO|UPDATE|FROM)\s+(?:ONLY\s+)?["`]?([\w.]+)""", re.I)
_ANEW = re.compile(
    r"\b(?:RANDOM|RAND|NEXTVAL|CLOCK_TIMESTAMP|PG_\w+|LAST_INSERT_ID)\s*\(|\bFOR (?:UPDATE|SHARE)\b", re.I
)
_RANGE_OF_KEYS = re.compile(r"\.\$[gl]te?\b")
_KEYS = re.compile(r"\{([^{}]*)\}")


@lru_cache(maxsize=1_000)
def is_of_one_row(what: str | Shape, shape: Shape, least: int = 1) -> bool:
    """Tell whether a statement reads or writes one row, or what belongs to one, and not a range, a page or a list.

    ``least`` is how many conditions at least must ask for one value.
    """
    if type(what) is not str:
        return _is_command_of_one_row(shape, least)
    if shape.operation in INSERTS:
        values = re.split(r"\bVALUES\b", what, maxsplit=1, flags=re.I)
        return len(values) > 1 and not _BATCH.search(values[1])
    where = _WHERE.search(what)
    if where is None or _PAGE.search(what):
        return False
    condition = where.group(1)
    lists = [found.count(",") + 1 for found in _LIST.findall(condition)]
    if any(length >= LONG_LIST for length in lists):
        return False
    if _RANGE.search(condition) and _LIMIT.search(what):
        return False
    return lists.count(1) + len(_EQUALS.findall(condition)) >= least


def _is_command_of_one_row(shape: Shape, least: int) -> bool:
    if shape.operation in INSERTS:
        return True
    text = shape.fingerprint
    keys = _KEYS.search(text)
    if (
        keys is None
        or "$skip" in text
        or (_RANGE_OF_KEYS.search(keys.group(1)) and "$sort" in text and "$limit" in text)
    ):
        return False
    changes = shape.operation in CHANGES  # those of lists have no key
    single = [
        key for key in keys.group(1).split(", ") if key and (changes or ".$" not in key or ".$eq" in key)
    ]
    return len(single) >= least


@lru_cache(maxsize=1_000)
def _compared_with(what: str | Shape, places: tuple[int, ...]) -> tuple[str, ...]:
    """Return the columns that the parameters at these places are compared with by ``=``, as ``table.column``."""
    if type(what) is not str:
        return ()
    columns = [f"{table}.{column}" if column else "" for table, column in _PLACEHOLDERS.findall(what)]
    return tuple(columns[place] for place in places if place < len(columns) and columns[place])


@lru_cache(maxsize=1_000)
def is_repeatable(shape: Shape) -> bool:
    """Tell whether a statement gives the same again while nobody writes."""
    if shape.operation not in READS:
        return False
    if shape.operation == "SELECT":
        return " FROM " in shape.fingerprint and not _ANEW.search(shape.fingerprint)
    return True


@lru_cache(maxsize=1_000)
def written_table(shape: Shape) -> str:
    """Return the table or collection that a statement writes to, "" if none."""
    if shape.operation in WRITES and shape.operation.isupper():
        found = _WRITTEN.search(shape.fingerprint)
        return found.group(1) if found else ""
    return shape.fingerprint.split(".")[1] if shape.operation in WRITES and "." in shape.fingerprint else ""
