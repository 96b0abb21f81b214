"""``manage.py compare_databases``: tell whether two MongoDB databases hold the same."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandParser

from perfsuite.queries.djongo_move import comparing, copying, places, plan
from perfsuite.queries.djongo_move.documents import Collection

if TYPE_CHECKING:
    from pymongo.database import Database


class Command(BaseCommand):
    """Counts the documents of each collection in both and compares their checksums. Reads everything, writes nothing."""

    help = "Compare two MongoDB databases by the number of documents and a checksum for each collection."

    def add_arguments(self, parser: CommandParser) -> None:
        place = "Alias of DATABASES, or mongodb://host:port/name."
        parser.add_argument("--from", dest="source", required=True, help=place)
        parser.add_argument("--to", dest="target", required=True, help=place)
        parser.add_argument(
            "--moved",
            action="store_true",
            help="The second was made by copy_from_djongo: expect the keys and values that it writes.",
        )
        parser.add_argument(
            "--format", choices=("text", "json"), default="text", help="How to print the result."
        )

    def handle(self, *args: Any, source: str, target: str, moved: bool, **options: Any) -> None:
        with places.databases() as database:
            old, new = database(source), database(target)
            compared = []
            for name, documents in _sources(old, new, moved=moved):
                self.stderr.write(f"Comparing {name}.")
                compared.append(comparing.compare(name, documents, new[name].find))
        for each in compared:
            self.stdout.write(_as_json(each) if options["format"] == "json" else _in_words(each))
        different = [each.name for each in compared if not each.equal]
        if different:
            self.stderr.write(
                f"{len(different)} of {len(compared)} collections differ: {', '.join(different)}."
            )
            sys.exit(2)
        self.stderr.write(f"All {len(compared)} collections are equal.")


def _sources(
    old: Database[dict[str, Any]], new: Database[dict[str, Any]], *, moved: bool
) -> Iterator[tuple[str, comparing.Documents]]:
    """Yield each collection's name, and what the second database should hold in it."""
    if not moved:
        for name in sorted({*old.list_collection_names(), *new.list_collection_names()}):
            if not name.startswith("system."):
                yield name, old[name].find
        return
    keys = copying.KeysInDatabase(old, plan.collection_names())
    for model in plan.models_to_move():
        collection = plan.collection_of(model)
        yield collection.name, lambda each=collection: _moved(old, each, keys)  # type: ignore[misc] # bound at once


def _moved(
    old: Database[dict[str, Any]], collection: Collection, keys: copying.KeysInDatabase
) -> Iterator[dict[str, Any]]:
    return copying.moved_documents(old, collection, keys, copying.Outcome(collection.name))


def _as_json(compared: comparing.Comparison) -> str:
    sides = {
        "from": {"documents": compared.first.count, "checksum": compared.first.checksum},
        "to": {"documents": compared.second.count, "checksum": compared.second.checksum},
    }
    example = None if compared.equal else str(compared.example)
    return json.dumps({"collection": compared.name, "equal": compared.equal, **sides, "example": example})


def _in_words(compared: comparing.Comparison) -> str:
    if compared.equal:
        return f"{compared.name}: equal, {compared.first.count:,} documents, {compared.first.checksum[:16]}"
    sides = f"{compared.first.count:,} and {compared.second.count:,} documents"
    checksums = f"{compared.first.checksum[:16]} and {compared.second.checksum[:16]}"
    return f"{compared.name}: DIFFERENT, {sides}, {checksums}, _id {compared.example} for one"
