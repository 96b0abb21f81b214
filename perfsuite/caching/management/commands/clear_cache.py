"""``manage.py clear_cache``: empty a cache of the running site."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.cache import caches
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser

from perfsuite.caching import functions, inspecting
from perfsuite.caching.management.commands.inspect_caches import chosen, server_error
from perfsuite.caching.options import NAMES


class Command(BaseCommand):
    """Forgets everything that one cache holds, in all processes."""

    help = "Forget everything that a cache holds: its shared tier, and its memory in every process of the running site."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("alias", help="A cache in CACHES.")
        parser.add_argument(
            "--tier", choices=NAMES, default="", help="Only this tier, which must be a shared one."
        )

    def handle(self, *args: Any, alias: str, tier: str, **options: Any) -> None:
        chosen(alias)
        try:
            if tier or functions.is_tiered(settings.CACHES[alias]):
                self._clear_tiered(alias, tier)
            else:
                caches[alias].clear()
        except ImproperlyConfigured as exc:
            raise CommandError(str(exc)) from exc
        except CommandError:
            raise
        except Exception as exc:
            if sentence := server_error(exc):
                raise CommandError(sentence) from exc
            raise
        self.stdout.write(f"{alias}{' ' if tier else ''}{tier}: cleared")

    def _clear_tiered(self, alias: str, tier: str) -> None:
        cache = functions.tiered(alias, "tiers")
        shared = cache.engine.shared
        if tier and (shared is None or shared.name != tier):
            raise CommandError(
                f"The tier {tier!r} of {alias!r} is in the memory of each process, which empties only as a whole; "
                f"type: manage.py clear_cache {alias}"
            )
        cache.clear()  # memory has copies of what is shared, so they go with it
        if why := inspecting.nobody_told(alias):
            if why.startswith("the server"):
                raise CommandError(f"{alias!r} was not cleared: {why}.")
            self.stderr.write(f"Of {alias!r}: {why}.")
