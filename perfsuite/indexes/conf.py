"""The options of ``PERFSUITE["INDEXES"]``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from perfsuite.conf import Section, option


@dataclass(frozen=True)
class IndexSettings(Section):
    """What is declared beside the apps' ``indexes.py``, and how indexes are built."""

    section: ClassVar[str] = "INDEXES"

    declare: dict[str, Any] = option(
        {},
        help="Indexes by model, table or collection, as `register` takes them: "
        '`{"shop.Order": [("customer", "-created_at"), {"status": 1}]}`.',
    )
    clients: dict[str, Any] = option(
        {},
        help="MongoDB databases that are not in `DATABASES`, by a name for `--database`: `mongodb://host/name`, or "
        "the dotted path of a function that returns pymongo's `Database`.",
    )
    engines: dict[str, Any] = option(
        {}, help="Engines of your own: the dotted path of a class by a connection's `vendor`."
    )
    apply_on_migrate: bool = option(
        False, help="Create what is declared and missing after each `manage.py migrate`."
    )
    lock_timeout_s: float = option(
        60.0,
        minimum=0,
        maximum=86_400,
        help="Seconds that PostgreSQL or MySQL waits for a lock, or for transactions that are open, before a build is given up; "
        "0 waits for ever. Writes go on meanwhile.",
    )
    lock_retries: int = option(
        3, minimum=0, maximum=100, help="How often a build that was given up is tried again."
    )
    collect_every_s: int = option(
        21_600,
        minimum=0,
        maximum=30 * 86_400,
        help="Seconds between two collections of what tables hold and how their indexes are used, by one process of all; "
        "0 collects nothing.",
    )
