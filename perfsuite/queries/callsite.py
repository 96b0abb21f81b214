"""Which line of the host's code runs a statement, and through which relation; by raw frames, in two or three microseconds.

A traceback would cost thirty times as much. The host's code is what lies outside of site-packages, Django, perfsuite and the
standard library; where there is none on the way, as in an application that is installed itself, the nearest other package stands
for it. Django's frames tell what the SQL does not: of which row's which relation a query is. Of an async view, the thread
that runs the statement does not hold the frames; they are found in the task that waits for it.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import sys
import sysconfig
from types import CodeType, FrameType
from typing import Any

import django
from django.conf import settings

import perfsuite
from perfsuite.queries.repeats import NOWHERE, Site

# Deeper stacks are not followed to their end; a template's includes, each some ten frames, fit in.
MAX_FRAMES = 400
# Of so many tasks at most it is asked whether they wait for a statement.
MAX_TASKS = 1_000
MAX_FILES = 5_000
# So often in a row from one line, and a statement is taken to come from there.
STEADY = 6


_getframe = sys._getframe  # noqa: SLF001 - the only way to a frame that costs nothing
_SKIP, _HOST, _PACKAGE, _STOP, _THREAD, _QUERY, _ORM, _RELATED, _FORM = range(9)
_DJANGO = os.path.dirname(django.__file__) + os.sep
_PERFSUITE = os.path.dirname(perfsuite.__file__) + os.sep
_LIBRARIES = tuple(
    {os.path.realpath(sysconfig.get_path(name)) + os.sep for name in ("stdlib", "platstdlib")}
    | {sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib")}
)
_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
# Packages between Django and a server; never the place where a statement comes from.
_DRIVERS = frozenset([
    "asgiref", "psycopg", "psycopg2", "psycopg_pool", "MySQLdb", "pymysql", "oracledb", "pymongo", "bson", "djongo", "sqlparse",
    "django_mongodb_backend", "gunicorn", "uvicorn", "hypercorn", "daphne", "waitress", "whitenoise", "celery", "debug_toolbar",
])  # fmt: skip
_OF_DJANGO = {
    "core/handlers/exception.py": _STOP,
    "core/management/base.py": _STOP,
    "db/models/query.py": _QUERY,
    "db/models/query_utils.py": _RELATED,
    "db/models/fields/related_descriptors.py": _RELATED,
    "contrib/contenttypes/fields.py": _RELATED,
}
_ACTS = frozenset(
    ["count", "exists", "aggregate", "_fetch_all", "update", "_update", "delete", "get", "iterator"]
)
_kinds: dict[str, int] = {}
_shown: dict[str, str] = {}


class Seen:
    """A statement's text in one request: how often it came, and from where it came last.

    ``same`` counts how often in a row it came from there. Once it is steady, only each eighth is looked at: a loop goes on.
    """

    __slots__ = ("code", "count", "depth", "descriptor", "descriptor_depth", "instruction", "same", "site")

    def __init__(self) -> None:
        self.count = 1
        self.same = 0
        self.depth = self.descriptor_depth = 0
        self.code: CodeType | None = None
        self.instruction = 0
        self.descriptor: Any = None
        self.site = NOWHERE

    # Hot path: benchmarks/overhead.py
    def again(self) -> Site:
        """Return where the statement in hand comes from. Cheap if it is where the last one came from."""
        if self.code is not None:
            try:
                frame = _getframe(self.depth)
            except ValueError:  # a shorter stack
                return self._look()
            if frame.f_code is self.code and frame.f_lasti == self.instruction:
                self.same += 1
                if self.descriptor is None:
                    return self.site
                descriptor = _getframe(self.descriptor_depth).f_locals.get("self")
                if descriptor is self.descriptor:
                    return self.site
            return self._look()
        if (
            self.count & (self.count - 1) == 0 or self.count == 3
        ):  # at powers of two: the search is long there
            return self._look()
        return self.site

    def _look(self) -> Site:
        self.code = self.descriptor = None
        self.same = 0
        self.site = _Look(self).site(_getframe(2))
        return self.site


class _Look:
    """One walk up the stack."""

    __slots__ = ("act", "by", "is_orm", "owner", "package", "relation", "seen")

    def __init__(self, seen: Seen | None = None) -> None:
        self.seen = seen
        self.relation = self.owner = self.act = self.by = ""
        self.is_orm = False
        self.package: FrameType | None = None

    def site(self, frame: FrameType | None) -> Site:
        """Return the site of the statement that ``frame`` runs."""
        depth, found = 1, None  # as seen from Seen.again
        while frame is not None and depth < MAX_FRAMES:
            kind = _kinds.get(frame.f_code.co_filename)
            if kind is None:
                kind = _learn(frame.f_code.co_filename)
            if kind != _SKIP:
                if kind == _HOST:
                    found = frame
                    break
                if kind == _STOP:
                    break
                if kind == _THREAD:
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
            where = f"{_short(code.co_filename)}:{frame.f_lineno} in {code.co_name}"
        by = self.by or ("" if self.is_orm else "raw")
        return Site(where, self.relation, self.owner, self.act, by)

    def _note(self, kind: int, frame: FrameType, depth: int) -> None:
        """Take from a frame that is not the host's what it tells about the statement."""
        if kind == _PACKAGE:
            if self.package is None:
                self.package = frame
            return
        if kind == _FORM:
            self.by = self.by or "form"
            return
        self.is_orm = True
        name = frame.f_code.co_name
        if kind == _QUERY and name in _ACTS:
            queryset = frame.f_locals.get("self")
            self.act = self.act or name
            if hasattr(queryset, "raw_query"):
                self.by = "raw"
            instance = (getattr(queryset, "_hints", None) or {}).get("instance")
            if instance is not None and not self.owner:
                self.owner = type(instance)._meta.concrete_model._meta.label
        elif kind == _RELATED and name == "__get__" and not self.relation:
            self._read(frame.f_locals.get("self"), depth)

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
            kind = _kinds.get(frame.f_code.co_filename)
            if kind is None:
                kind = _learn(frame.f_code.co_filename)
            if kind == _HOST:
                return frame
            if kind == _PACKAGE and self.package is None:
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


def _learn(filename: str) -> int:
    """Return whose file that is, and remember it."""
    if len(_kinds) >= MAX_FILES:
        _kinds.clear()
    _kinds[filename] = kind = _kind_of(filename)
    return kind


def _kind_of(filename: str) -> int:
    if filename.startswith(_DJANGO):
        inside = filename[len(_DJANGO) :].replace(os.sep, "/")
        if inside.startswith("forms/"):
            return _FORM
        return _OF_DJANGO.get(inside, _ORM if inside.startswith("db/models/") else _SKIP)
    if filename.startswith(_PERFSUITE + "monitoring"):
        return _STOP
    if filename.startswith((_PERFSUITE, "<")):
        return _SKIP
    for folder in _INSTALLED:
        if folder in filename:
            package = filename.split(folder, 1)[1].split(os.sep, 1)[0].removesuffix(".py")
            return _kind_of_package(package, filename)
    return _SKIP if filename.startswith(_LIBRARIES) else _HOST


def _kind_of_package(package: str, filename: str) -> int:
    if package == _project():
        return _HOST
    if package == "asgiref" and filename.endswith("sync.py"):
        return _THREAD
    if package == "django_mongodb_backend":
        return _ORM
    return _SKIP if package in _DRIVERS else _PACKAGE


def _project() -> str:
    """Return the package of the project, which is the host's also where it is installed."""
    return str(getattr(settings, "ROOT_URLCONF", "")).split(".", 1)[0]


def _short(filename: str) -> str:
    """Return a file's path as its imports write it, without the folders above."""
    shown = _shown.get(filename)
    if shown is None:
        if len(_shown) >= MAX_FILES:
            _shown.clear()
        above = [path for each in sys.path if filename.startswith(path := os.path.join(each, "")) and each]
        shown = filename[len(max(above, key=len)) :] if above else os.sep.join(filename.rsplit(os.sep, 3)[1:])
        _shown[filename] = shown
    return shown
