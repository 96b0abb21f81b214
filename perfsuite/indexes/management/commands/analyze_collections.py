"""``manage.py analyze_collections``: what tables and collections hold, how they grow and are read, and what is waste."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS

from perfsuite.exceptions import PerfsuiteError, StoreUnavailable
from perfsuite.indexes import collecting, kept, listing, planning, rendering
from perfsuite.indexes.analysis import analyze
from perfsuite.indexes.engines import opened
from perfsuite.indexes.reports import Analysis
from perfsuite.metrics.flusher import flusher


class Command(BaseCommand):
    """Reads the catalogs, and changes nothing in them."""

    help = "Show rows, bytes, growth, index ratio, scans against index reads and waste of each table or collection."
    requires_system_checks: Any = ()  # its own messages say more than a check does

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("tables", nargs="*", metavar="TABLE", help="Only these tables or collections.")
        add(
            "--database",
            default="",
            help="Alias of the database; without it, all that something is declared for.",
        )
        add(
            "--keep", action="store_true", help="Keep what was read in the metrics store, as the leader does."
        )
        add(
            "--format", choices=("text", "json"), default="text", dest="form", help="How to print the result."
        )

    def handle(
        self, *args: Any, tables: list[str], database: str, keep: bool, form: str, **options: Any
    ) -> None:
        if keep and tables:
            raise CommandError("--keep keeps all tables of a database; leave out the names.")
        try:
            asked = planning.databases(database) or [DEFAULT_DB_ALIAS]
            missing = set(tables)
            for alias in asked:
                missing -= self._shown(alias, tables, keep, form)
            if missing:
                raise CommandError(f"No table {min(missing)!r} in {', '.join(asked)}.")
            if keep and not flusher.flush():
                raise CommandError(f"The metrics store did not take it: {flusher.error or 'try again'}")
        except PerfsuiteError as exc:
            raise CommandError(str(exc)) from exc

    def _shown(self, alias: str, tables: list[str], keep: bool, form: str) -> set[str]:
        """Print the tables of one database; return those of the names that it has."""
        if keep:
            found, there = collecting.collect(alias), set()
            collecting.suggest(alias)
        else:
            with opened(alias) as engine:
                there = listing.present_tables(engine, tables)
                found = self._with_growth(analyze(engine, tables))
        for table in found.tables:
            self.stdout.write(rendering.table_line(table, found.waste_of(table.table), form))
        if not found.tables and not tables:
            self.stderr.write(f"{alias}: {found.engine} has no tables, or tells nothing of them.")
        return there

    def _with_growth(self, read: Analysis) -> Analysis:
        try:
            return collecting.with_growth(read, kept.latest([read.alias])[read.alias].analysis)
        except StoreUnavailable as exc:
            self.stderr.write(f"Growth is not known: {exc}")
            return read
