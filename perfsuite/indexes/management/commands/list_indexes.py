"""``manage.py list_indexes``: every index with its size and uses, and what is waste."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS

from perfsuite.exceptions import PerfsuiteError
from perfsuite.indexes import listing, planning, rendering
from perfsuite.indexes.engines import opened


class Command(BaseCommand):
    """Reads, and changes nothing."""

    help = "List the indexes that are declared and those that are there, with size, uses, duplicates and redundant ones."
    requires_system_checks: Any = ()  # its own messages say more than a check does

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("tables", nargs="*", metavar="TABLE", help="Only these tables or collections.")
        add(
            "--database",
            default="",
            help="Alias of the database; without it, all that something is declared for.",
        )
        add("--sizes", action="store_true", help="Read the sizes of very many collections of MongoDB too.")
        add(
            "--format", choices=("text", "json"), default="text", dest="form", help="How to print the result."
        )

    def handle(
        self, *args: Any, tables: list[str], database: str, sizes: bool, form: str, **options: Any
    ) -> None:
        try:
            asked = planning.databases(database) or [DEFAULT_DB_ALIAS]
            missing = set(tables)
            for alias in asked:
                with opened(alias) as engine:
                    engine.spares_sizes = not sizes
                    missing -= listing.present_tables(engine, tables)
                    for entry in listing.entries(engine, tables):
                        self.stdout.write(rendering.entry_line(entry, form))
                    if engine.left_out:
                        self.stderr.write(engine.left_out)
            if missing:
                raise CommandError(f"No table {min(missing)!r} in {', '.join(asked)}.")
        except PerfsuiteError as exc:
            raise CommandError(str(exc)) from exc
