"""``manage.py setup_indexes``: bring every database to its declared indexes."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS

from perfsuite.exceptions import PerfsuiteError
from perfsuite.indexes import applying, dropping, planning, rendering
from perfsuite.indexes.collecting import collect_soon
from perfsuite.indexes.engines import opened
from perfsuite.indexes.engines.base import Engine
from perfsuite.indexes.planning import Plan


class Command(BaseCommand):
    """Shows the plan, and changes something only with ``--apply``."""

    help = "Show what each database lacks of the declared indexes, and create it with --apply."
    requires_system_checks: Any = ()  # its own messages say more than a check does

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add(
            "--apply", action="store_true", help="Create what is missing; without it, say what would be done."
        )
        add(
            "--database",
            default="",
            help="Alias of the database; without it, all that something is declared for.",
        )
        add("--app", default="", help="Label of the app; without it, all.")
        add(
            "--show-values",
            action="store_true",
            help="Show the values that stand in the way of a unique index.",
        )
        add(
            "--drop-unused",
            nargs="*",
            metavar="NAME",
            help="Without names, list the indexes that nobody needs; with names, drop these (with --apply --yes).",
        )
        add("--yes", action="store_true", help="Confirm that the indexes named by --drop-unused may go.")
        add(
            "--format", choices=("text", "json"), default="text", dest="form", help="How to print the result."
        )

    def handle(
        self,
        *args: Any,
        apply: bool,
        database: str,
        app: str,
        show_values: bool,
        drop_unused: list[str] | None,
        yes: bool,
        form: str,
        **options: Any,
    ) -> None:
        self.form = form
        try:
            planning.require_app(app)
            asked = planning.databases(database)
            if drop_unused is not None:
                asked = asked or [DEFAULT_DB_ALIAS]
                if drop_unused and len(asked) > 1:
                    raise CommandError(f"Add --database with one of {', '.join(asked)}.")
            if not asked:
                self.stderr.write("No index is declared; write one in an app's indexes.py.")
            for alias in asked:
                with opened(alias) as engine:
                    if drop_unused is not None:
                        self.drop(engine, drop_unused, apply=apply and yes)
                    elif apply:
                        self.apply(engine, app, show_values=show_values)
                    else:
                        self.show(planning.make(engine, app))
        except PerfsuiteError as exc:
            raise CommandError(str(exc)) from exc
        except KeyboardInterrupt:
            raise CommandError("Stopped; what is done stays. Type it again to go on.") from None

    def show(self, plan: Plan) -> None:
        """Print a plan."""
        for change in plan.changes:
            self.stdout.write(rendering.change_line(plan.alias, change, self.form))
        self.stderr.write(f"{plan.counted()}.")
        if not plan.is_complete:
            self.stderr.write("Nothing was changed; type: manage.py setup_indexes --apply")

    def apply(self, engine: Engine, app: str, *, show_values: bool) -> None:
        """Create what is missing on a database, and tell of each index as it is done."""
        plan = applying.apply(engine, app, say=self.stderr.write, done=self.created, show_values=show_values)
        for change in plan.of("keep", "unsupported"):
            self.stdout.write(rendering.change_line(plan.alias, change, self.form))
        self.stderr.write(f"{plan.counted().replace('create', 'created')}.")

    def created(self, made: applying.Created) -> None:
        """Print that an index was made."""
        change = made.change
        if self.form == "json":
            record = {
                "action": "created",
                "table": change.table,
                "name": change.name,
                "seconds": round(made.seconds, 3),
            }
            self.stdout.write(json.dumps(record))
        else:
            self.stdout.write(f"created {change.table} {change.name} in {made.seconds:.1f} s")

    def drop(self, engine: Engine, names: list[str], *, apply: bool) -> None:
        """List or drop what nobody needs."""
        for each in dropping.chosen(engine, names) if names else dropping.candidates(engine):
            there, done = each.present, "would be dropped" if names else "may go"
            if names and apply:
                done = engine.drop(there, self.stderr.write)
                collect_soon()
            record = {
                "database": engine.alias,
                "table": there.table,
                "name": there.name,
                "reason": each.reason,
            }
            text = f"{engine.alias} {there.table} {there.name} {there.definition} ({each.reason}): {done}"
            self.stdout.write(json.dumps({**record, "done": done}) if self.form == "json" else text)
        if not apply:
            self.stderr.write(
                "Nothing was changed; type: manage.py setup_indexes --drop-unused NAME ... --apply --yes"
            )
