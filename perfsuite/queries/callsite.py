"""Which line of the host's code runs a statement, and through which relation; by raw frames, in microseconds.

A traceback would cost thirty times as much. The host's code is what lies outside of site-packages, Django, perfsuite and the
standard library; where there is none on the way, as in an application that is installed itself, the nearest other package stands
for it. Django's frames tell what the SQL does not: of which row's which relation a query is. Of an async view, the thread
that runs the statement does not hold the frames; they are found in the task that waits for it.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import sys
from operator import attrgetter
from types import CodeType, FrameType
from typing import Any

from perfsuite.queries.files import (
    FORM,
    HOST,
    PACKAGE,
    QUERY,
    RELATED,
    SKIP,
    STOP,
    THREAD,
    kinds,
    learn,
    shown,
)
from perfsuite.queries.fingerprint import MAX_CACHED_CHARS
from perfsuite.queries.repeats import NOWHERE, Site
from perfsuite.queries.sameness import hashes_of, key_of_row, owner_of

# Deeper stacks are not followed to their end; a template's includes, each some ten frames, fit in.
MAX_FRAMES = 400
# Of so many tasks at most it is asked whether they wait for a statement.
MAX_TASKS = 1_000
# So often in a row from one line, and so many further ones are taken to come from there before one is looked at again.
STEADY, UNLOOKED = 6, 7
# By so many frames the stack is shorter in note_statement() than in ``again``, which is called through two others.
NEARER = 3
# Of so many sites of a statement at most it is followed whether their owner changes.
MAX_OWNERS = 50
# Statements of more parameters are not followed to see which of them change.
MAX_COMPARED = 12
# Of so many statements, none of them very long, it is remembered from where they came last.
MAX_KNOWN = 1_000


_getframe = sys._getframe  # noqa: SLF001 - the only way to a frame that costs nothing
# Calls that ask for a row only to make it where there is none.
MAKING = ("get_or_create", "update_or_create")
_ACTS = frozenset(
    ["count", "exists", "aggregate", "_fetch_all", "update", "_update", "delete", "get", "iterator", *MAKING]
)
_SEVERAL = object()
# By statement: what Seen has found out of its place in another request, in the order of Seen.PLACE.
_known: dict[Any, tuple[Any, ...]] = {}


class Seen:
    """A statement's text in one request: how often it came, and from where it came last.

    It begins with the place that the text came from in an earlier request: to see that it comes from there again costs a small
    part of a walk up the stack.

    ``same`` counts how often in a row it came from there. Once it is steady, only each eighth is looked at: a loop goes on;
    ``sure`` of the next are taken to come from there. ``count`` counts until a place is known. note_statement() of sql.py notes
    in a short way what comes from there again: ``near`` is how far it is from that line, 0 where more is to be looked at than
    that it is there, and on the alias ``silent_on`` no cursor tells how many rows there are.
    Which row's manager was asked is compared until another one was: what a loop goes over changes, and a tenant does not.
    """

    __slots__ = (
        "changing", "code", "count", "depth", "descriptor", "descriptor_depth", "instruction", "near",
        "owner_code", "owner_depth", "owners", "same", "silent_on", "site", "sure", "values", "what",
    )  # fmt: skip
    PLACE = attrgetter(
        "site", "code", "instruction", "depth", "descriptor", "descriptor_depth", "owner_code", "owner_depth"
    )

    def __init__(self, what: Any = None) -> None:
        self.what = what
        self.count = 1
        self.site: Site
        self.code: CodeType | None
        self.instruction: int
        self.depth: int
        self.descriptor: Any
        self.descriptor_depth: int
        self.owner_depth: int
        # The frame that tells the owner, which is None once it is not followed any more, and the owner of each site.
        self.owner_code: CodeType | None
        (
            self.site, self.code, self.instruction, self.depth,
            self.descriptor, self.descriptor_depth, self.owner_code, self.owner_depth,
        ) = _known.get(what, _NO_PLACE)  # fmt: skip
        # That it comes from a known place is its first look there.
        self.same = 0 if self.code is None else -1
        self.sure = self.near = 0
        self.silent_on: str | None = None
        self.owners: dict[Site, object] | None = None
        # Of each site the hashes of the first parameters, and the places of those that were the same since.
        self.values: dict[Site, tuple[tuple[Any, ...], tuple[int, ...]]] = {}
        # The site at which none was.
        self.changing: Site | None = None

    @property
    def is_simple(self) -> bool:
        """Tell whether that it is there is all there is to look at."""
        return self.owner_code is None and self.descriptor is None

    # Hot path: benchmarks/overhead.py
    def again(self) -> Site:
        """Return where the statement in hand comes from. Cheap if it is where the last one came from."""
        if self.code is not None:
            try:
                frame = _getframe(self.depth)
            except ValueError:  # a shorter stack
                return self._look()
            is_there = frame.f_code is self.code and frame.f_lasti == self.instruction
            if is_there and (self.owner_code is None or self._follows_owner()):
                if self.descriptor is None:
                    self.near = 0 if self.owner_code else self.depth - NEARER
                    return self.stays()
                if _getframe(self.descriptor_depth).f_locals.get("self") is self.descriptor:
                    return self.stays()
            return self._look()
        if (
            self.count & (self.count - 1) == 0 or self.count == 3
        ):  # at powers of two: the search is long there
            return self._look()
        return self.site

    def stays(self) -> Site:
        """Count that it comes from where the last one came, and return that."""
        self.same += 1
        if self.same > STEADY:
            self.sure = UNLOOKED
        return self.site

    # Hot path: benchmarks/overhead.py
    def compare(self, params: tuple[Any, ...]) -> Site:
        """Return the site, with the places of the parameters that have been the same each time it came from there."""
        site = self.site
        # The first ones tell it mostly; those between are left out for speed, and all that come once nothing stays the same.
        if 2 < self.same < STEADY or site is self.changing or site.relation or len(params) > MAX_COMPARED:
            return site
        return self._compare_values(site, params)

    def _compare_values(self, site: Site, params: tuple[Any, ...]) -> Site:
        hashes = hashes_of(params)
        bare = site._replace(fixed=()) if site.fixed else site
        before = self.values.get(bare)
        if before is None:
            if len(self.values) < MAX_OWNERS:
                self.values[bare] = hashes, tuple(range(len(params)))
            return site
        first, places = before
        fixed = tuple([place for place in places if hashes[place : place + 1] == first[place : place + 1]])
        if fixed != places:
            self.values[bare] = first, fixed
        if fixed != site.fixed:
            site = self.site = bare._replace(fixed=fixed) if fixed else bare
        if not fixed:
            self.changing = site
        return site

    def _look(self) -> Site:
        self.code = self.descriptor = self.owner_code = None
        self.same = self.near = 0
        look = _Look(self)
        self.site = look.site(_getframe(2))
        place = self.PLACE(self)
        if place[1] is not None and self.what is not None and len(self.what) <= MAX_CACHED_CHARS:
            if len(_known) >= MAX_KNOWN:
                _known.clear()
            _known[self.what] = place
        if look.instance is not None:
            self._compare(look.instance)
        return self.site

    def _follows_owner(self) -> bool:
        """Compare the owner, and tell whether its frame is where it was."""
        frame = _getframe(self.owner_depth + 1)
        if frame.f_code is not self.owner_code:
            return False
        self._compare(owner_of(frame.f_locals.get("self")))
        return True

    def _compare(self, instance: Any) -> None:
        """Note whether the owner is the one that it always was here."""
        key = key_of_row(instance)
        site = self.site
        if site.one_owner or site.fixed:
            site = site._replace(one_owner=False, fixed=())
        if self.owners is None:
            self.owners = {}
        before = self.owners.get(site)
        if before is None:
            if len(self.owners) < MAX_OWNERS:
                self.owners[site] = key
        elif before is not _SEVERAL and before == key:
            self.site = site._replace(one_owner=True)
            return
        else:
            self.owners[site] = _SEVERAL
            self.owner_code = None
        self.site = site


class SeenAtLength(Seen):
    """The same where there is no short way: the cursor is looked at each time (rows.py), or it is no SQL with parameters."""

    __slots__ = ()


_NO_PLACE = (NOWHERE, None, 0, 0, None, 0, None, 0)


class _Look:
    """One walk up the stack."""

    __slots__ = ("act", "by", "instance", "is_orm", "owner", "package", "relation", "seen")

    def __init__(self, seen: Seen | None = None) -> None:
        self.seen = seen
        self.relation = self.owner = self.act = self.by = ""
        self.instance: Any = None
        self.is_orm = False
        self.package: FrameType | None = None

    def site(self, frame: FrameType | None) -> Site:
        """Return the site of the statement that ``frame`` runs."""
        depth, found = 1, None  # as seen from Seen.again
        while frame is not None and depth < MAX_FRAMES:
            kind = kinds.get(frame.f_code.co_filename)
            if kind is None:
                kind = learn(frame.f_code.co_filename)
            if kind != SKIP:
                if kind == HOST:
                    found = frame
                    break
                if kind == STOP:
                    break
                if kind == THREAD:
                    if frame.f_code.co_name == "thread_handler":
                        found = self._frame_of_task(frame)
                        return self._made(found or self.package)
                else:
                    self._note(kind, frame, depth)
            frame = frame.f_back
            depth += 1
        if found is not None and self.seen is not None:
            self.seen.depth, self.seen.code, self.seen.instruction = depth, found.f_code, found.f_lasti
        return self._made(found or self.package)

    def _made(self, frame: FrameType | None) -> Site:
        where = ""
        if frame is not None:
            code = frame.f_code
            where = f"{shown(code.co_filename)}:{frame.f_lineno} in {code.co_name}"
        by = self.by or ("" if self.is_orm else "raw")
        return Site(where, self.relation, self.owner, self.act, by)

    def _note(self, kind: int, frame: FrameType, depth: int) -> None:
        """Take from a frame that is not the host's what it tells about the statement."""
        if kind == PACKAGE:
            if self.package is None:
                self.package = frame
            return
        if kind == FORM:
            self.by = self.by or "form"
            return
        self.is_orm = True
        name = frame.f_code.co_name
        if name == "bulk_create":
            # Some backends insert row by row all the same; but an add() to a relation is the host's loop.
            if kinds.get(getattr(frame.f_back, "f_code", frame.f_code).co_filename) != RELATED:
                self.by = self.by or "form"
        elif kind == QUERY and name in _ACTS:
            queryset = frame.f_locals.get("self")
            self.act = name if name in MAKING else self.act or name
            if hasattr(queryset, "raw_query"):
                self.by = "raw"
            if self.instance is None and (instance := owner_of(queryset)) is not None:
                self._note_owner(instance, frame, depth)
        elif kind == RELATED and name == "__get__" and not self.relation:
            self._read(frame.f_locals.get("self"), depth)

    def _note_owner(self, instance: Any, frame: FrameType, depth: int) -> None:
        self.owner, self.instance = type(instance)._meta.concrete_model._meta.label, instance
        if self.seen is not None:
            self.seen.owner_code, self.seen.owner_depth = frame.f_code, depth

    def _read(self, descriptor: Any, depth: int) -> None:
        """Note the field that is read."""
        name = type(descriptor).__name__
        field = getattr(descriptor, "field", None)
        if name.startswith("GenericForeignKey"):
            field = field or descriptor
            self.by = "generic"
        elif name == "ReverseOneToOneDescriptor":
            related = descriptor.related
            self.relation = f"{related.model._meta.label}.{related.get_accessor_name()}"
        elif name == "DeferredAttribute":
            self.by = "deferred"
        if field is not None and not self.relation:
            self.relation = f"{field.model._meta.label}.{field.name}"
        if self.relation and self.seen is not None:
            self.seen.descriptor, self.seen.descriptor_depth = descriptor, depth

    def _frame_of_task(self, handler: FrameType) -> FrameType | None:
        """Return the host's frame in the task that waits for what this thread runs for it."""
        values = handler.f_locals
        for number, task in enumerate(asyncio.all_tasks(values["loop"])):
            if number >= MAX_TASKS:
                break
            found, frames = None, _frames_of(task.get_coro())
            if frames and frames[-1].f_code.co_filename == handler.f_code.co_filename:
                found = frames[-1].f_locals.get("task_context")
            if found is not None and found is values.get("task_context"):
                return self._nearest(frames)
        return None

    def _nearest(self, frames: list[FrameType]) -> FrameType | None:
        for frame in reversed(frames):
            kind = kinds.get(frame.f_code.co_filename)
            if kind is None:
                kind = learn(frame.f_code.co_filename)
            if kind == HOST:
                return frame
            if kind == PACKAGE and self.package is None:
                self.package = frame
        return None


def call_site() -> str:
    """Return the line of the host's code that is nearest to the caller: ``app/views.py:42 in listing``, or ""."""
    return site_of_caller().where


def site_of_caller() -> Site:
    """Return where the caller's statement comes from."""
    return _Look().site(_getframe(1))


def _frames_of(waiting: Any) -> list[FrameType]:
    """Return the frames of a coroutine and of what it awaits, the outermost first."""
    frames: list[FrameType] = []
    while waiting is not None and len(frames) < MAX_FRAMES:
        if (
            type(waiting).__name__ == "async_generator_asend"
        ):  # the step of an ``async for``; its generator has no name there
            waiting = next(filter(inspect.isasyncgen, gc.get_referents(waiting)), None)
        for kind in ("cr", "ag", "gi"):
            frame = getattr(waiting, f"{kind}_frame", None)
            if frame is not None:
                frames.append(frame)
                waiting = getattr(waiting, f"{kind}_await", None) or getattr(waiting, "gi_yieldfrom", None)
                break
        else:
            break
    return frames
