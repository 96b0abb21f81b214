"""``manage.py query_report``: which statements cost the site most, from which line, and what is found about them."""

from __future__ import annotations

import argparse
import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from perfsuite.exceptions import StoreUnavailable
from perfsuite.metrics.query import Window
from perfsuite.metrics.storages.presence import require_tables
from perfsuite.queries.listing import seconds_of
from perfsuite.queries.ranking import SORTS, Chosen
from perfsuite.queries.report import as_json, as_lines, database_as_json, report, request_as_json

MAX_LIMIT = 500
DAY_S = 86_400


class Command(BaseCommand):
    """Prints the most expensive statements of the last hours."""

    help = "Show which statements cost the site most, from which line, and what is found about them. Changes nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--since", default="1h", metavar="1h", help="Of so long until now (1h).")
        parser.add_argument(
            "--sort", choices=tuple(SORTS), default="total", help="The largest first (total)."
        )
        parser.add_argument("--limit", type=_limit, default=20, metavar="N", help="How many statements (20).")
        parser.add_argument("--database", default="", metavar="ALIAS", help="Only those on this database.")
        parser.add_argument("--route", default="", help="Only as far as they ran for this route.")
        parser.add_argument("--format", choices=("text", "json"), default="text", dest="form")

    def handle(
        self,
        *args: Any,
        since: str,
        sort: str,
        limit: int,
        database: str,
        route: str,
        form: str,
        **options: Any,
    ) -> None:
        try:
            window = Window.last(seconds_of(since))
            require_tables()
            made = report(window, Chosen(sort, database, route), limit)
        except (ValueError, StoreUnavailable) as exc:
            raise CommandError(str(exc)) from exc
        ranking = made.ranking
        if form == "json":
            for each in made.statements:
                self.stdout.write(json.dumps(as_json(each)))
            for row in made.requests:
                self.stdout.write(json.dumps(request_as_json(row)))
            for of_one in made.databases:
                self.stdout.write(json.dumps(database_as_json(of_one)))
        elif not made.statements:
            self.stdout.write(self._nothing(since, sort, database, route, ranking.aliases, ranking.routes))
        else:
            shown = f"{len(made.statements)} of {ranking.of}" if len(made.statements) < ranking.of else "All"
            self.stdout.write(
                f"Statements of the last {since} by {sort}: {ranking.whole.count:,} calls in {ranking.whole.sum / 1e6:,.1f} s. "
                f"{shown} are shown."
            )
            for line in as_lines(made):
                self.stdout.write(line)

    def _nothing(
        self, since: str, sort: str, database: str, route: str, aliases: list[str], routes: list[str]
    ) -> str:
        if database and database not in aliases:
            return f"No statement was recorded on {database!r} in the last {since}; there are some on {_named(aliases)}."
        if route and route not in routes:
            return f"No statement was recorded for the route {route!r} in the last {since}; there are some for {_named(routes)}."
        if sort == "errors":
            return f"No statement failed in the last {since}."
        longer = "." if seconds_of(since) >= DAY_S else ", or ask for longer: --since 24h"
        return f"No statement was recorded in the last {since}; let the site answer some requests{longer}"


def _limit(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MAX_LIMIT:
        raise argparse.ArgumentTypeError(f"a number from 1 to {MAX_LIMIT}, not {text!r}")
    return int(text)


def _named(names: list[str]) -> str:
    return ", ".join(names[:5]) or "none"
