"""``manage.py copy_from_djongo``: bring the data of a djongo site into the database of django-mongodb-backend."""

from __future__ import annotations

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS

from perfsuite.queries.djongo_move import copying, places, plan

NOT_COPIED = (
    "Sessions and perfsuite's own numbers are not copied: people log in again, and numbers begin anew."
)
DANGLING = (
    "Some references lead nowhere, so nothing was copied; mend them, or type it again with --drop-dangling."
)


class Command(BaseCommand):
    """Reads the old database, and writes to the new one only with ``--apply``."""

    help = "Copy what djongo stored into the database of django-mongodb-backend, with the keys that it needs."

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("--from", dest="source", required=True, help="mongodb://host:port/name of djongo's database.")
        add("--to", dest="target", default=DEFAULT_DB_ALIAS, help="Alias of the new database (default).")
        add("--apply", action="store_true", help="Copy; without it, say what would be copied.")
        add("--replace", action="store_true", help="Delete what the new database holds.")
        add(
            "--drop-dangling",
            action="store_true",
            help="Write NULL for a reference that leads nowhere, and leave the document out where NULL is not allowed.",
        )
        add("--format", choices=("text", "json"), default="text", help="How to print the result.")

    def handle(
        self,
        *args: Any,
        source: str,
        target: str,
        apply: bool,
        replace: bool,
        drop_dangling: bool,
        **options: Any,
    ) -> None:
        places.require_the_new_backend(target)
        with places.databases() as database:
            old, new = database(source), database(target)
            if places.are_the_same(old, new):
                raise CommandError("--from and --to are one database; give the new one a name of its own.")
            present = set(old.list_collection_names())
            if present.isdisjoint(plan.collection_names().values()):
                raise CommandError(
                    f"{old.name!r} has none of the models' collections; is it the name djongo used?"
                )
            if apply and not replace and (filled := plan.filled(new)):
                raise CommandError(
                    f"The new database has rows already, in {', '.join(filled)}; add --replace to delete them."
                )
            collections = [plan.collection_of(model) for model in plan.models_to_move()]
            keys = copying.KeysInDatabase(old, plan.collection_names())
            outcomes = [copying.inspect(old, collection, keys) for collection in collections]
            dangling = any(outcome.dangling for outcome in outcomes)
            if apply and (drop_dangling or not dangling):
                outcomes = [copying.copy(old, new, each, keys, self.progress) for each in collections]
            unknown = present - plan.known_collections()
        self.show(outcomes, sorted(unknown), as_json=options["format"] == "json")
        if dangling and not drop_dangling:
            self.stderr.write(DANGLING)
            sys.exit(2)
        if not apply:
            self.stderr.write("Nothing was copied; type it again with --apply.")

    def progress(self, name: str, done: int, total: int) -> None:
        """Tell how far a collection has come: on a terminal as it goes, elsewhere when it is done."""
        if self.stderr.isatty():
            self.stderr.write(f"\r{name}: {done:,} of {total:,}", ending="\n" if done >= total else "")
        elif done >= total:
            self.stderr.write(f"{name}: {done:,} of {total:,}")

    def show(self, outcomes: list[copying.Outcome], unknown: list[str], *, as_json: bool) -> None:
        """Print a line for each collection."""
        for outcome in outcomes:
            record = {
                "collection": outcome.name,
                "documents": outcome.documents,
                "dropped": outcome.dropped,
                "left_behind": sorted(outcome.left_behind),
                "dangling": {
                    column: {"documents": len(found), "example": str(found[0])}
                    for column, found in sorted(outcome.dangling.items())
                },
            }
            self.stdout.write(json.dumps(record) if as_json else _in_words(outcome))
        for name in unknown:
            self.stderr.write(f"{name}: no model has this collection; it is not copied.")
        self.stderr.write(NOT_COPIED)


def _in_words(outcome: copying.Outcome) -> str:
    words = f"{outcome.name}: {outcome.documents:,} documents"
    for column, found in sorted(outcome.dangling.items()):
        words += f"; {column} of {len(found):,} leads nowhere, of {found[0]} for one"
    if outcome.dropped:
        words += f"; {outcome.dropped:,} of them are left out"
    if outcome.left_behind:
        words += f"; no field has {', '.join(sorted(outcome.left_behind))}, which is left behind"
    return words
