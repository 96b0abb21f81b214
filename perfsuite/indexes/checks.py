"""System checks of the indexes app. Only ``check_missing`` asks a database, with ``--database``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core import checks

from perfsuite.indexes import planning, registry
from perfsuite.indexes.conf import IndexSettings
from perfsuite.indexes.databases import aliases
from perfsuite.indexes.engines import get_engine, opened
from perfsuite.indexes.errors import DatabaseRefused, DeclarationError
from perfsuite.indexes.resolve import Resolved, meaning, resolve

Messages = list[checks.CheckMessage]


@checks.register("perfsuite")
def check_declarations(**kwargs: Any) -> Messages:
    """Report declarations that cannot be meant (E001) and those that say the same twice (W001)."""
    problems: dict[str, None] = {}
    found: Messages = []
    try:
        declared = registry.declarations()
    except DeclarationError as exc:
        return [_cannot_be_meant(str(exc))]
    for alias in aliases():
        try:
            found += _said_twice(resolve(declared, alias, get_engine(alias).terms))
        except DeclarationError as exc:
            problems.update(dict.fromkeys(str(exc).split("\n")))
    return [*map(_cannot_be_meant, problems), *found]


@checks.register("perfsuite")
def check_missing(databases: Any = None, **kwargs: Any) -> Messages:
    """Report, with ``--database``, declared indexes that are missing or conflict (W002)."""
    if IndexSettings.get().apply_on_migrate:
        return []  # migrate, which runs this check first, creates them
    missing: list[str] = []
    for alias in databases or ():
        try:
            with opened(alias) as engine:
                missing += planning.missing_words(planning.make(engine, skip_empty=True))
        except DeclarationError:
            continue  # E001
        except DatabaseRefused as exc:
            missing.append(str(exc))
    hint = "Type: manage.py setup_indexes --apply"
    return [checks.Warning(words, hint=hint, id="perfsuite_indexes.W002") for words in missing]


def _cannot_be_meant(sentence: str) -> checks.CheckMessage:
    return checks.Error(sentence, hint="Correct the declaration.", id="perfsuite_indexes.E001")


def _said_twice(resolved: list[Resolved]) -> Iterator[checks.CheckMessage]:
    first: dict[Any, Resolved] = {}
    for each in resolved:
        other = first.setdefault((each.table, repr(meaning(each))), each)
        if other is not each:
            yield checks.Warning(
                f"The index ({each.index}) on {each.table} is declared twice, in {other.source} and {each.source}.",
                hint="Remove one of the two.",
                id="perfsuite_indexes.W001",
            )
