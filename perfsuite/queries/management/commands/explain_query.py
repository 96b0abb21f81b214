"""``manage.py explain_query``: the plan of a recorded statement."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from perfsuite.exceptions import StoreUnavailable
from perfsuite.metrics.storages.presence import require_tables
from perfsuite.queries.explain import NotExplainable
from perfsuite.queries.explain.recorded import explain, find
from perfsuite.queries.short_id import short_id


class Command(BaseCommand):
    """Looks a statement up, has it explained, and prints the plan."""

    help = "Show what the database would do for a recorded statement. Only SELECT and what reads from MongoDB; changes nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("fingerprint", help="A fingerprint, or its short id of eight digits.")
        parser.add_argument(
            "--database", default="", metavar="ALIAS", help="The alias, where the statement ran on several."
        )
        parser.add_argument("--format", choices=("text", "json"), default="text", dest="form")

    def handle(self, *args: Any, fingerprint: str, database: str, form: str, **options: Any) -> None:
        try:
            require_tables()
            found = find(fingerprint, database)
            plan = explain(found.fingerprint, found.alias)
        except (NotExplainable, StoreUnavailable) as exc:
            raise CommandError(str(exc)) from exc
        if form == "json":
            record = {
                "short_id": short_id(found.fingerprint),
                "fingerprint": found.fingerprint,
                "alias": found.alias,
                **plan.as_json(),
            }
            self.stdout.write(json.dumps(record))
            return
        self.stdout.write(
            f"{short_id(found.fingerprint)} on {found.alias} ({plan.engine}): {found.fingerprint}"
        )
        self.stdout.write(f"\n{plan.as_text()}")
