"""``manage.py invalidate_tags``: make what carries a tag outdated on the running site."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser

from perfsuite.caching import functions, inspecting
from perfsuite.caching.management.commands.inspect_caches import chosen


class Command(BaseCommand):
    """Invalidates tags in the tiered caches of the running site."""

    help = "Make everything that carries one of the tags a miss, in all tiered caches of the running site."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "tags", nargs="+", metavar="TAG", help="A tag, such as tenant:1 or tenant:1/pages."
        )
        parser.add_argument(
            "--mode",
            choices=("expire", "remove"),
            default="expire",
            help="remove: what may be served as stale is not either.",
        )
        parser.add_argument("--cache", default="", help="A cache in CACHES; without it, all tiered ones.")

    def handle(self, *args: Any, tags: list[str], mode: str, cache: str, **options: Any) -> None:
        aliases = chosen(cache) if cache else functions.tiered_aliases()
        if not aliases:
            raise CommandError("No cache in CACHES is a TieredCache.")
        for alias in aliases:
            try:
                functions.invalidate_tags(*tags, mode=mode, cache=alias)
            except (ImproperlyConfigured, ValueError) as exc:
                raise CommandError(str(exc)) from exc
            why = inspecting.nobody_told(alias)
            if why.startswith("the server"):
                raise CommandError(f"Nothing was invalidated in {alias!r}: {why}.")
            self.stdout.write(f"{alias}: {', '.join(tags)} invalidated")
            if why:
                self.stderr.write(f"Of {alias!r}: {why}.")
