"""``manage.py explain_index``: all there is to say of one index."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS

from perfsuite.exceptions import PerfsuiteError
from perfsuite.indexes import listing, planning, rendering


class Command(BaseCommand):
    """Reads, and changes nothing."""

    help = "Say what an index does, who declared it, what it takes, how much it is used, and what makes it."
    requires_system_checks: Any = ()  # its own messages say more than a check does

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("name", help="The index's name, or TABLE.NAME.")
        add(
            "--database",
            default="",
            help="Alias of the database; without it, all that something is declared for.",
        )
        add(
            "--format", choices=("text", "json"), default="text", dest="form", help="How to print the result."
        )

    def handle(self, *args: Any, name: str, database: str, form: str, **options: Any) -> None:
        try:
            found = listing.find(name, planning.databases(database) or [DEFAULT_DB_ALIAS])
        except PerfsuiteError as exc:
            raise CommandError(str(exc)) from exc
        for entry in found:
            if form == "json":
                self.stdout.write(json.dumps({**entry.as_dict(), "statement": entry.statement}))
            else:
                self.stdout.write("\n".join(rendering.entry_lines(entry)))
