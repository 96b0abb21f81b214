"""Which indexes the host declares: in the ``indexes.py`` of its apps, and in ``PERFSUITE["INDEXES"]["DECLARE"]``.

Those files are imported by the commands and the checks that need them, never by a server that starts: a mistake in one cannot
keep a site from running.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import import_module, reload
from typing import Any

from django.apps import apps
from django.core.signals import setting_changed
from django.db import models
from django.utils.module_loading import module_has_submodule

from perfsuite.indexes.conf import IndexSettings
from perfsuite.indexes.errors import DeclarationError, did_you_mean
from perfsuite.indexes.spec import Index

SETTING = 'PERFSUITE["INDEXES"]["DECLARE"]'


@dataclass(frozen=True)
class Table:
    """A table or collection that has no model; needed only where its name has a dot, ``Table("events.raw")``."""

    name: str


@dataclass(frozen=True)
class Declaration:
    """One index for one target; ``app`` is the label of the app that declares it, ``database`` the only alias it is for."""

    target: str | type[models.Model] | Table
    index: Index
    source: str
    app: str
    database: str = ""

    @property
    def shown(self) -> str:
        """The declaration in words, for messages."""
        return f"{target_name(self.target)}: Index({self.index}) in {self.source}"


_declared: list[Declaration] = []
_loading: tuple[str, str] | None = None
_discovered: set[str] = set()


def register(target: Any, *indexes: Any, database: str = "") -> None:
    """Declare indexes for a model (``"app.Model"`` or its class), or for a bare table or collection by its name.

    Each is an ``Index``, a field's name, a mapping, or a sequence of these. ``database`` binds them to one alias; without it a
    model's are for wherever the routers have it migrate, and a bare table's for ``default``. Raises ``DeclarationError``;
    whether model and fields exist is told by the commands and checks.
    """
    _require_target(target)
    if not indexes:
        raise DeclarationError(f"register({target_name(target)!r}) names no index; add Index('field').")
    if _loading:
        app, source = _loading
    else:
        app, source = "", sys._getframe(1).f_globals.get("__name__", "?")  # noqa: SLF001 - who calls
    for each in indexes:
        declaration = Declaration(target, Index.of(each), source, app, database)
        if declaration not in _declared:
            _declared.append(declaration)


def unregister_all() -> None:
    """Forget what was registered and discovered; for tests."""
    _declared.clear()
    _discovered.clear()


def discover() -> None:
    """Import the ``indexes`` module of each app, once. Raises ``DeclarationError`` for what is wrong in one."""
    global _loading
    for config in apps.get_app_configs():
        if config.name in _discovered or config.name == "perfsuite.indexes":
            continue
        name = f"{config.name}.indexes"
        early = [each for each in _declared if each.source == name and name in sys.modules]
        if early:  # somebody imported it before
            _declared[:] = [replace(each, app=config.label) if each in early else each for each in _declared]
        elif module_has_submodule(config.module, "indexes"):
            _loading = config.label, name
            try:
                # One whose declarations were forgotten has to run again.
                reload(sys.modules[name]) if name in sys.modules else import_module(name)
            except DeclarationError as exc:
                raise DeclarationError(f"{name}: {exc}") from exc
            finally:
                _loading = None
        _discovered.add(config.name)


def declarations() -> list[Declaration]:
    """Return all that is declared, in the apps first. Raises ``DeclarationError``."""
    discover()
    return [*_declared, *_from_settings()]


def _from_settings() -> Iterator[Declaration]:
    for target, indexes in IndexSettings.get().declare.items():
        if isinstance(indexes, (str, Mapping, Index)):
            raise DeclarationError(f"{SETTING}[{target!r}] is one index; write a list of them.")
        for each in indexes:
            try:
                yield Declaration(target, Index.of(each), SETTING, "")
            except DeclarationError as exc:
                raise DeclarationError(f"{SETTING}[{target!r}]: {exc}") from exc


def target_name(target: Any) -> str:
    """Return how a target is written in messages."""
    if isinstance(target, Table):
        return target.name
    return (
        target._meta.label if isinstance(target, type) and issubclass(target, models.Model) else str(target)
    )


def model_of(declaration: Declaration) -> type[models.Model] | None:
    """Return the model that is meant, or None for a bare table. Raises ``DeclarationError`` for one that does not exist."""
    target = declaration.target
    if isinstance(target, Table):
        return None
    if not isinstance(target, str):
        return target
    label, dot, name = target.partition(".")
    if not dot:
        if not target.isidentifier() or not _is_a_models_name(target):
            return None
        raise DeclarationError(
            f"{declaration.source} registers {target!r}, which is a model's name without its app; write "
            f"{_is_a_models_name(target)!r}, or Table({target!r}) for a table of that name."
        )
    known = [model._meta.label for model in apps.get_models()]
    try:
        return apps.get_model(label, name)
    except (LookupError, ValueError):
        pass
    # The closest of the same app first: a mistyped model is likelier than a mistyped app.
    same_app = [each for each in known if each.partition(".")[0] == label]
    close = difflib.get_close_matches(target, same_app or known, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}?" if close else did_you_mean(target, known)
    raise DeclarationError(
        f"{declaration.source} registers {target!r}, which is no model; {hint} "
        f"(A table or collection of that name is Table({target!r}).)"
    )


def app_of(declaration: Declaration) -> str:
    """Return the label of the app that a declaration belongs to: its model's, else the declaring app's."""
    model = model_of(declaration)
    return model._meta.app_label if model else declaration.app


def with_model(declaration: Declaration) -> Declaration:
    """Return the declaration with its model's class as the target, where it has a model."""
    model = model_of(declaration)
    return replace(declaration, target=model) if model else declaration


def _is_a_models_name(name: str) -> str:
    """Return the label of the model with this class name, or the empty string."""
    found = [m._meta.label for m in apps.get_models() if m.__name__ == name and m._meta.db_table != name]
    return found[0] if found else ""


def _require_target(target: Any) -> None:
    is_model = isinstance(target, type) and issubclass(target, models.Model)
    if not is_model and not (isinstance(target, (str, Table)) and target_name(target)):
        raise DeclarationError(
            f"register({target!r}) is for no model and no table; write 'app.Model' or a table's name."
        )


def _on_setting_changed(*, setting: str, **kwargs: object) -> None:
    if setting == "INSTALLED_APPS":
        unregister_all()


setting_changed.connect(_on_setting_changed, dispatch_uid="perfsuite.indexes.registry")
