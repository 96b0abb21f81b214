"""``manage.py check_indexes``: tell, for CI, whether every database has its declared indexes."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from perfsuite.exceptions import PerfsuiteError
from perfsuite.indexes import planning, rendering
from perfsuite.indexes.engines import opened


class Command(BaseCommand):
    """Reads, and changes nothing. Exit code 2 if an index is missing or conflicts."""

    help = "Exit with 2 if a declared index is missing or conflicts with one that is there."
    requires_system_checks: Any = ()  # its own messages say more than a check does

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add(
            "--database",
            default="",
            help="Alias of the database; without it, all that something is declared for.",
        )
        add("--app", default="", help="Label of the app; without it, all.")
        add(
            "--format", choices=("text", "json"), default="text", dest="form", help="How to print the result."
        )

    def handle(self, *args: Any, database: str, app: str, form: str, **options: Any) -> None:
        incomplete = False
        try:
            planning.require_app(app)
            for alias in planning.databases(database):
                with opened(alias) as engine:
                    plan = planning.make(engine, app)
                for change in plan.of("create", "conflict"):
                    self.stdout.write(rendering.change_line(alias, change, form))
                self.stderr.write(f"{plan.counted()}.")
                incomplete = incomplete or not plan.is_complete
        except PerfsuiteError as exc:
            raise CommandError(str(exc)) from exc
        if incomplete:
            self.stderr.write("Type: manage.py setup_indexes --apply")
            sys.exit(2)
