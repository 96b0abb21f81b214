"""The only reader of ``settings.PERFSUITE`` and of perfsuite's environment variables.

Each app declares its options once, as a frozen dataclass with the defaults. An option's value is the one of the
dict, else of its environment variable, else the default. ``get`` never raises: a wrong value is a system check
(E001 unknown, E002 wrong type, E003 senseless value), and a process that runs without checks uses the default
for it and says so once in the log.
"""

from __future__ import annotations

import dataclasses
import difflib
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, TypeVar, cast, get_origin, get_type_hints

from django.conf import settings
from django.core import checks
from django.core.signals import setting_changed

import perfsuite

logger = logging.getLogger("perfsuite.conf")

T = TypeVar("T")
S = TypeVar("S", bound="Section")

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


def option(
    default: T,
    *,
    help: str,  # noqa: A002 - the field's word for it
    env: str = "",
    minimum: float | None = None,
    maximum: float | None = None,
) -> T:
    """Declare an option of a ``Section``: its default, what it does (with its unit), its environment variable, its bounds."""
    metadata = {"help": help, "env": env, "minimum": minimum, "maximum": maximum}
    if isinstance(default, dict):
        return dataclasses.field(default_factory=lambda: default, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def default_of(field: dataclasses.Field[Any]) -> Any:
    """Return the default of an option; that of a dict is made anew, as dataclasses want it."""
    made = field.default_factory
    return field.default if made is dataclasses.MISSING else made()


class Section:
    """One app's options: subclass as a frozen dataclass of ``option`` fields, named by ``section``."""

    section: ClassVar[str]

    @classmethod
    def get(cls: type[S]) -> S:
        """Return the options in force. Cheap (a dict look-up), so read them at use and never at import."""
        try:
            return cast(S, _in_force[cls])
        except KeyError:
            return _load(cls)


@dataclasses.dataclass(frozen=True)
class Problem:
    """What is wrong with one setting: a check's number (E001...), what is so, and what to type."""

    number: str
    message: str
    hint: str


_in_force: dict[type[Section], Section] = {}
_registered: dict[str, type[Section]] = {}


def register(section: type[Section]) -> None:
    """Make a section known, so that its name is valid in ``PERFSUITE`` and its options are checked. Idempotent."""
    _registered[section.section] = section


def sections() -> list[type[Section]]:
    """Return the sections of the installed apps, in their order of registration."""
    return list(_registered.values())


def reset() -> None:
    """Forget what was read; needed only after a change of the environment, ``override_settings`` does it by itself."""
    _in_force.clear()


def problems() -> Iterator[Problem]:
    """Yield everything that is wrong with ``settings.PERFSUITE`` and the environment variables."""
    whole = getattr(settings, "PERFSUITE", {})
    if not isinstance(whole, Mapping):
        yield Problem(
            "E002", f"PERFSUITE is {_shown(whole)}, not a dict.", 'Write PERFSUITE = {"METRICS": {...}}.'
        )
        return
    for name in whole:
        if name not in _registered:
            yield _unknown_section(str(name))
    for section in sections():
        yield from _read(section)[1]


def middleware_places(app: str, name: str) -> list[int]:
    """Return the positions in MIDDLEWARE of ``name``, a middleware of the app ``app``, by whichever path it is given."""
    paths = enumerate(settings.MIDDLEWARE or ())
    return [i for i, path in paths if path.startswith(f"{app}.") and path.rpartition(".")[2] == name]


@checks.register("perfsuite")
def check_settings(**kwargs: object) -> list[checks.CheckMessage]:
    """Report unknown, mistyped and senseless options (perfsuite.E001, E002, E003)."""
    return [checks.Error(p.message, hint=p.hint, id=f"perfsuite.{p.number}") for p in problems()]


def _load(cls: type[S]) -> S:
    loaded, found = _read(cls)
    for problem in found:
        consequence = "It is ignored." if problem.number == "E001" else "The default is used."
        logger.error("%s %s %s", problem.message, consequence, problem.hint)
    _in_force[cls] = loaded
    return loaded


def _read(cls: type[S]) -> tuple[S, list[Problem]]:
    found: list[Problem] = []
    given = getattr(settings, "PERFSUITE", {})
    given = given.get(cls.section, {}) if isinstance(given, Mapping) else {}
    if not isinstance(given, Mapping):
        found.append(_mistyped(f"PERFSUITE[{cls.section!r}]", given, "a dict"))
        given = {}
    fields = {field.name.upper(): field for field in dataclasses.fields(cast(Any, cls))}
    hints = get_type_hints(cls)
    values: dict[str, Any] = {}
    found += [_unknown_key(cls.section, str(key), list(fields)) for key in given if key not in fields]
    for key, field in fields.items():
        env = field.metadata["env"]
        where, value = "", None
        parse: Callable[[Any, object], object] = _typed
        if key in given:
            where, value = f"PERFSUITE[{cls.section!r}][{key!r}]", given[key]
        elif env and os.environ.get(env, "") != "":
            where, parse, value = f"The environment variable {env}", _parsed, os.environ[env]
        if not where:
            continue
        try:
            value = parse(value, hints[field.name])
        except TypeError as exc:
            found.append(_mistyped(where, value, str(exc)))
            continue
        if problem := _senseless(where, value, field.metadata):
            found.append(problem)
            continue
        values[field.name] = value
    return cls(**values), found


def _typed(value: object, hint: object) -> object:
    """Return ``value`` if it is of the option's type; raise TypeError naming the type that is meant."""
    if hint is bool and not isinstance(value, bool):
        raise TypeError("True or False")
    if hint is int and (isinstance(value, bool) or not isinstance(value, int)):
        raise TypeError("a whole number")
    if hint is float:
        if (
            isinstance(value, bool)
            or not isinstance(value, (int, float))
            or not abs(value) <= sys.float_info.max
        ):
            raise TypeError("a number")
        return float(value)
    if hint is str and not isinstance(value, str):
        raise TypeError("a string")
    if get_origin(hint) is dict and not isinstance(value, Mapping):
        raise TypeError("a dict")
    if hint == tuple[str, ...]:
        if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) for item in value):
            raise TypeError("a list of strings")
        return tuple(value)
    return value


def _parsed(text: str, hint: object) -> object:
    """Turn an environment variable's text into the option's type."""
    if hint is bool:
        if text.lower() in _TRUE | _FALSE:
            return text.lower() in _TRUE
        raise TypeError("true or false")
    kinds: dict[object, tuple[Callable[[str], object], str]] = {
        int: (int, "a whole number"),
        float: (float, "a number"),
    }
    if hint in kinds:
        convert, meant = kinds[hint]
        try:
            return _typed(convert(text), hint)
        except ValueError:
            raise TypeError(meant) from None
    return (
        tuple(part.strip() for part in text.split(",") if part.strip()) if hint == tuple[str, ...] else text
    )


def _senseless(where: str, value: object, bounds: Mapping[str, Any]) -> Problem | None:
    minimum, maximum = bounds["minimum"], bounds["maximum"]
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return None
    if minimum is not None and not value >= minimum:
        return Problem(
            "E003", f"{where} is {value!r}, which is too small.", f"Write a number of at least {minimum:g}."
        )
    if maximum is not None and not value <= maximum:
        return Problem(
            "E003", f"{where} is {value!r}, which is too large.", f"Write a number of at most {maximum:g}."
        )
    return None


def _mistyped(where: str, value: object, meant: str) -> Problem:
    return Problem("E002", f"{where} is {_shown(value)}, not {meant}.", f"Write {meant}.")


def _unknown_key(section: str, key: str, known: list[str]) -> Problem:
    message = f"PERFSUITE[{section!r}] has the unknown option {key!r}."
    return Problem("E001", message, _did_you_mean(key, known))


def _unknown_section(name: str) -> Problem:
    apps = {app.rpartition(".")[2].upper(): app for app in perfsuite.APPS}
    if name in apps:
        message = f"PERFSUITE[{name!r}] is set, but {apps[name]!r} is not installed."
        return Problem("E001", message, f"Add {apps[name]!r} to INSTALLED_APPS or remove the section.")
    return Problem(
        "E001", f"PERFSUITE has the unknown section {name!r}.", _did_you_mean(name, list(_registered))
    )


def _did_you_mean(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word.upper(), known, n=1, cutoff=0.5)
    if close:
        return f"Did you mean {close[0]!r}?"
    return f"Known are: {', '.join(sorted(known))}."


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _on_setting_changed(*, setting: str, **kwargs: object) -> None:
    if setting == "PERFSUITE":
        reset()


setting_changed.connect(_on_setting_changed, dispatch_uid="perfsuite.conf")
