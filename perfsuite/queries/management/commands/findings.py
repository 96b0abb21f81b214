"""``manage.py findings``: what should be changed on the site, for people and for CI."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from perfsuite.exceptions import StoreUnavailable
from perfsuite.metrics.findings import findings
from perfsuite.metrics.storages.presence import require_tables
from perfsuite.queries.listing import NEW, OPEN, as_json, as_line, failing, seconds_of

# What is new where nobody says since when.
NEW_SINCE = "1h"


class Command(BaseCommand):
    """Lists findings, and ends with 2 if there are some that it is to fail on."""

    help = "List what should be changed, what names no tenant and then what saves most in all first. Changes nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--state", choices=("open", "ignored", "resolved"), default=None)
        parser.add_argument("--kind", default=None, help="Such as n_plus_one, duplicate or slow.")
        parser.add_argument(
            "--since",
            default="",
            metavar="1h",
            help="Only those last seen within so long (all; with --fail-on new 1h).",
        )
        parser.add_argument(
            "--fail-on",
            choices=(NEW, OPEN),
            default="",
            dest="fail_on",
            help="End with 2 if one listed is open, or open and first seen within --since.",
        )
        parser.add_argument("--format", choices=("text", "json"), default="text", dest="form")

    def handle(
        self,
        *args: Any,
        state: str | None,
        kind: str | None,
        since: str,
        fail_on: str,
        form: str,
        **options: Any,
    ) -> None:
        try:
            since = since or (NEW_SINCE if fail_on == NEW else "")
            start = time.time() - seconds_of(since) if since else None
            require_tables()
            rows = findings(state=state, kind=kind, since=start)
            failed = failing(rows, fail_on, start)
        except (ValueError, StoreUnavailable) as exc:
            raise CommandError(str(exc)) from exc
        for row in rows:
            self.stdout.write(json.dumps(as_json(row)) if form == "json" else as_line(row))
        if failed:
            self.stderr.write(f"{len(failed)} of {len(rows)} listed findings are {fail_on}.")
            sys.exit(2)
