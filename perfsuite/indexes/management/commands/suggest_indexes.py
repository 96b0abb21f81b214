"""``manage.py suggest_indexes``: which indexes the recorded statements lack, and with ``--verify`` what one would bring."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections

from perfsuite.exceptions import PerfsuiteError
from perfsuite.indexes.suggesting import Suggestion, suggestions
from perfsuite.indexes.suggesting.prices import PRICES
from perfsuite.indexes.suggesting.recorded import awaited, recorded, require_alias, vendor_of
from perfsuite.indexes.suggesting.rendering import in_time, proof_lines, suggestion_lines
from perfsuite.indexes.suggesting.verifying import NotVerifiable, verify
from perfsuite.queries.listing import seconds_of

DEFAULT_LIMIT = 20


class Command(BaseCommand):
    """Reads, and changes nothing; ``--verify`` makes a copy, which is gone afterwards."""

    help = "List the indexes that recorded statements lack, what they cost a day, and what makes each index."
    requires_system_checks: Any = ()  # its own messages say more than a check does

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("--database", default="", metavar="ALIAS", help="Only those of this database.")
        add(
            "--since",
            default="1d",
            metavar="1d",
            help="How far back statements are looked at; 1d if not given.",
        )
        add(
            "--limit",
            type=int,
            default=DEFAULT_LIMIT,
            help=f"How many are listed; {DEFAULT_LIMIT} if not given.",
        )
        add(
            "--verify",
            action="store_true",
            help="Try each on a copy of a sample of its table, and show the plan and the time before and after.",
        )
        add(
            "--format", choices=("text", "json"), default="text", dest="form", help="How to print the result."
        )

    def handle(
        self, *args: Any, database: str, since: str, limit: int, verify: bool, form: str, **options: Any
    ) -> None:
        if limit < 1:
            raise CommandError(f"--limit is {limit}; write a number from 1 on.")
        try:
            seconds = seconds_of(since)
            if database:
                require_alias(database)
            asked = [database] if database else list(connections)
            self.tell_left_out(asked)
            found = suggestions(database or None, seconds)
            if not recorded(seconds):
                raise CommandError(
                    f"No statement of a millisecond or more was recorded in the last {since}; let the site run, "
                    "or write a longer --since."
                )
            for each in found[:limit]:
                self.show(each, form, is_verified=verify)
            if not found:
                self.stderr.write(
                    "No index is missing for the statements that were recorded, beside what is declared."
                )
            if len(found) > limit:
                self.stderr.write(f"{len(found) - limit} more; write a larger --limit.")
            self.tell_awaited(asked, seconds)
        except (PerfsuiteError, ValueError) as exc:
            raise CommandError(str(exc)) from exc
        except KeyboardInterrupt:
            raise CommandError("Stopped; the copy is gone.") from None

    def show(self, suggestion: Suggestion, form: str, *, is_verified: bool) -> None:
        """Print a suggestion, and with it what it brings on a copy."""
        proof, problem = None, ""
        if form == "text":
            self.stdout.write("\n".join(suggestion_lines(suggestion)))
        if is_verified:
            try:
                proof = verify(suggestion)
            except NotVerifiable as exc:
                problem = str(exc)
        if form == "json":
            record = suggestion.as_json()
            self.stdout.write(json.dumps({**record, "proof": proof.as_json()} if proof else record))
        elif proof is not None:
            self.stdout.write("\n".join(proof_lines(proof)))
        if problem:
            self.stderr.write(problem)

    def tell_left_out(self, asked: list[str]) -> None:
        """Say for which databases none are suggested."""
        for alias in asked:
            if vendor_of(alias) not in PRICES:
                self.stderr.write(
                    f"None are suggested for {alias}: the statements of {vendor_of(alias)} are not read for that."
                )

    def tell_awaited(self, asked: list[str], seconds: int) -> None:
        """Say which indexes would help and are declared: they are taken for there."""
        for alias in asked:
            for each in awaited(alias, seconds):
                self.stderr.write(
                    f"{alias} {each.text} is declared and not there yet, for {in_time(each.us_per_day)} a day in "
                    f"{each.calls_per_day:,.0f} calls; type: manage.py setup_indexes --apply"
                )
