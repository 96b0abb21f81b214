"""Which columns a request uses of the rows that it loads: noted in one request of many, all attributes alike.

For as long as a sampled request runs, two methods of ``django.db.models.Model`` are replaced: ``from_db``, which makes an
instance of a row, and ``__getattribute__``, which reads an attribute. Both do what they did, and note it if the request in
hand is a sampled one. The surprising rule: it is judged later, and only of instances that nobody holds any more, for who
holds one may still read it. One whose ``__dict__`` was read, as ``pickle``, ``copy`` and ``vars`` do, counts as used altogether.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from threading import get_ident
from time import monotonic
from typing import Any
from weakref import ref

from django.db.models import BinaryField, JSONField, Model, TextField

from perfsuite.metrics.guard import Guard
from perfsuite.metrics.recorder import Observation, recorder
from perfsuite.metrics.request import Tally, in_hand
from perfsuite.metrics.sightings import Sighting, sight
from perfsuite.queries.callsite import call_site
from perfsuite.queries.dialects import dialect_of
from perfsuite.queries.findings import request_id
from perfsuite.queries.limits import limits
from perfsuite.queries.notes import notes_of
from perfsuite.queries.patching import Patch

WIDE_ROWS = "wide_rows"
# A model of many columns of which few are used; or long texts that are not used, in bytes over all rows.
MANY_COLUMNS = 10
FEW_USED = 0.25
MANY_BYTES = 64 * 1024
# What a column costs that is read and set on an instance for nothing, and a byte of a long text.
COLUMN_US, BYTE_US = 0.1, 0.0005

# Requests that are sampled at a time, for how long at most, and how many instances of one are followed.
MAX_AT_ONCE = 4
MAX_SAMPLE_S = 60.0
MAX_INSTANCES = 10_000
# Samples that wait to be judged.
MAX_WAITING = 50

LONG = (TextField, BinaryField, JSONField)

_PK = '"pk"'

guard = Guard("queries.loading")


class Group:
    """The instances of one model that came with the same columns."""

    __slots__ = ("bytes", "columns", "long", "model", "refs", "rows", "site", "text")

    def __init__(self, model: type[Model], columns: Sequence[str]) -> None:
        self.model, self.columns = model, columns
        self.rows, self.site, self.text = 0, "", ""
        self.refs: list[ref[Model]] = []
        names = {field.attname for field in model._meta.concrete_fields if isinstance(field, LONG)}
        self.long = [place for place, name in enumerate(columns) if name in names]
        self.bytes = dict.fromkeys(self.long, 0)

    def is_from(self, text: object) -> bool:
        """Tell whether a statement selects these columns."""
        table = self.model._meta.db_table
        return isinstance(text, str) and table in text and all(name in text for name in self._names())

    def _names(self) -> Iterator[str]:
        fields = self.model._meta.concrete_fields
        return (str(field.column) for field in fields if field.attname in self.columns)

    def add(self, made: Model, values: Sequence[Any]) -> None:
        """Count an instance."""
        self.rows += 1
        self.refs.append(ref(made))
        for place in self.long:
            value = values[place]
            if isinstance(value, str | bytes):
                self.bytes[place] += len(value)


class Loaded:
    """What one sampled request has loaded and read. ``route`` and ``alias`` of it are known when it is over."""

    def __init__(self, tally: Tally) -> None:
        self.tally = tally
        self.began = monotonic()
        self.over = self.given_up = False
        self.instances = self.making_in = 0
        self.route = self.request_id = ""
        # By the identity of the list of columns, which the group holds: there is one for each query.
        self.groups: dict[tuple[type[Model], int, str], Group] = {}
        self.reads: dict[type, set[str]] = {}

    def loaded(self, made: Model, db: str, columns: Sequence[str], values: Sequence[Any]) -> None:
        """Note an instance that was made of a row."""
        self.instances += 1
        if self.instances > MAX_INSTANCES:
            self.given_up = True
            return
        key = type(made), id(columns), db
        group = self.groups.get(key)
        if group is None:
            group = self.groups[key] = Group(type(made), columns)
        group.add(made, values)
        if group.rows == limits.wide_rows:
            group.site = call_site()

    def read(self, model: type, name: str) -> None:
        """Note that an attribute of an instance was read."""
        names = self.reads.get(model)
        if names is None:
            names = self.reads[model] = set()
        # A foreign key that is set looks into the instance that is being made.
        if name != "__dict__" or self.making_in != get_ident():
            names.add(name)

    def ended(self) -> None:
        """Watch it no longer, and have it judged with the next flush."""
        try:
            self.route, self.request_id = self.tally.route(), request_id(self.tally)
            _stop(self)
            if not self.given_up and not self.tally.discarded and self.groups:
                for group in self.groups.values():
                    texts = (each[0] for each in self.tally.held if group.is_from(each[0]))
                    group.text = next(texts, "") if group.rows >= limits.wide_rows else ""
                _waiting.append(self)
        except Exception as exc:  # noqa: BLE001 - the guard's
            guard.failed(exc)


_lock = threading.RLock()
_sampled: list[Loaded] = []
_waiting: deque[Loaded] = deque(maxlen=MAX_WAITING)
_requests = count(1)


def begin(tally: Tally) -> None:
    """Sample a request if it is its turn: called with the first statement of each. Never raises."""
    if not limits.sample_every or next(_requests) % limits.sample_every or not guard.on:
        return
    try:
        with _lock:
            for each in [each for each in _sampled if monotonic() - each.began > MAX_SAMPLE_S]:
                each.given_up = True
                _stop(each)
            if len(_sampled) >= MAX_AT_ONCE:
                return
            loaded = Loaded(tally)
            notes_of(tally).loaded = loaded
            _sampled.append(loaded)
            for patch in PATCHES:
                patch.apply()
    except Exception as exc:  # noqa: BLE001 - the guard's
        guard.failed(exc)


def _stop(loaded: Loaded) -> None:
    with _lock:
        loaded.over = True
        if loaded in _sampled:
            _sampled.remove(loaded)
        if not _sampled:
            for patch in PATCHES:
                patch.remove()


def _making(original: Any) -> Any:
    make: Callable[..., Any] = original.__func__

    def from_db(
        cls: type[Model],
        db: str,
        field_names: Sequence[str],
        values: Sequence[Any],
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        try:
            loaded = _in_hand()
            if loaded is not None:
                loaded.making_in = get_ident()
        except Exception as exc:  # noqa: BLE001 - the guard's
            guard.failed(exc)
            loaded = None
        if loaded is None:
            return make(cls, db, field_names, values, *args, **kwargs)
        try:
            made = make(cls, db, field_names, values, *args, **kwargs)
        finally:
            loaded.making_in = 0
        try:
            loaded.loaded(made, db, field_names, values)
        except Exception as exc:  # noqa: BLE001 - the guard's
            guard.failed(exc)
        return made

    from_db.__doc__, from_db.__wrapped__ = make.__doc__, make  # type: ignore[attr-defined]
    return classmethod(from_db)


def _reading(original: object) -> Any:
    def __getattribute__(self: Any, name: str) -> Any:  # noqa: N807 - what it replaces
        try:
            loaded = _in_hand()
            if loaded is not None:
                loaded.read(type(self), name)
        except Exception as exc:  # noqa: BLE001 - the guard's
            guard.failed(exc)
        # Past Model, since a host's class may stand between it and object.
        return super(Model, self).__getattribute__(name)

    return __getattribute__


def _in_hand() -> Loaded | None:
    """Return the sample that the request in hand is, if it is one and goes on."""
    tally = in_hand()
    if tally is None or tally.notes is None:
        return None
    loaded: Loaded | None = tally.notes.loaded
    return None if loaded is None or loaded.over else loaded


# The second one costs every attribute of every instance about half a microsecond while a sampled request runs.
PATCHES = (Patch(Model, "from_db", _making), Patch(Model, "__getattribute__", _reading))


def judge_waiting() -> Iterator[Observation]:
    """Tell what the requests came to that were sampled since the last flush; records nothing else."""
    while _waiting:
        loaded = _waiting.popleft()
        try:
            for sighting in sightings(loaded):
                sight(sighting)
        except Exception as exc:  # noqa: BLE001 - the guard's
            guard.failed(exc)
    yield from ()


def sightings(loaded: Loaded) -> Iterator[Sighting]:
    """Yield what one request has loaded and not used."""
    for (model, _, alias), group in loaded.groups.items():
        if group.rows < limits.wide_rows or any(each() is not None for each in group.refs):
            continue
        reads = loaded.reads.get(model, set())
        # A model that reads its attributes in its own way is not known; one that was pickled or copied is used.
        if not _is_known(model) or "__dict__" in reads:
            continue
        unused = _unused(model, group, reads)
        if unused:
            yield _sighting(loaded, alias, group, unused)


def _is_known(model: type[Model]) -> bool:
    return not any("__getattribute__" in vars(each) for each in model.__mro__ if each not in (Model, object))


def _unused(model: type[Model], group: Group, reads: set[str]) -> list[str]:
    """Return the columns that are not worth loading: none unless they are many, or hold much."""
    used = {
        field.attname
        for field in model._meta.concrete_fields
        if field.primary_key or field.attname in reads or field.name in reads
    }
    unused = [name for name in group.columns if name not in used]
    columns = len(group.columns)
    if columns >= MANY_COLUMNS and columns - len(unused) <= FEW_USED * columns:
        return unused
    heavy = [group.columns[place] for place in group.long if group.columns[place] in unused]
    spare_bytes = sum(size for place, size in group.bytes.items() if group.columns[place] in unused)
    return heavy if spare_bytes >= MANY_BYTES else []


def _sighting(loaded: Loaded, alias: str, group: Group, unused: list[str]) -> Sighting:
    model = group.model
    spare_bytes = sum(size for place, size in group.bytes.items() if group.columns[place] in unused)
    few = len(group.columns) - len(unused) <= FEW_USED * len(group.columns)
    names = {field.attname: field.name for field in model._meta.concrete_fields if not field.primary_key}
    chosen = [name for name in group.columns if name in names and (name in unused) is not few]
    listed = ", ".join(f'"{names[name]}"' for name in chosen)
    advice = f"only({listed or _PK})" if few else f"defer({listed})"
    evidence = {
        "about": model._meta.label,
        "advice": advice,
        "sentence": f"Of {group.rows} rows of {model._meta.label} with {len(group.columns)} columns, {len(unused)} columns were "
        f"loaded and not used; write {advice}.",
        "request_id": loaded.request_id,
        "model": model._meta.label,
        "rows": group.rows,
        "columns": len(group.columns),
        "used": [name for name in group.columns if name not in unused],
        "unused": unused,
        "unused_bytes": spare_bytes,
    }
    saving_us = group.rows * len(unused) * COLUMN_US + spare_bytes * BYTE_US
    # A request of very many statements has folded some of them before it was over.
    subject = dialect_of(alias).shape(group.text).fingerprint if group.text else model._meta.db_table
    return Sighting(WIDE_ROWS, subject, alias, loaded.route, group.site, saving_us, evidence)


def install() -> None:
    """Have samples judged with each flush. Idempotent."""
    recorder.before_take(judge_waiting)


def uninstall() -> None:
    """Take the methods back, and forget the samples."""
    with _lock:
        for each in tuple(_sampled):
            each.given_up = True
            _stop(each)
        _waiting.clear()
