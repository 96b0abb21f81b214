"""``manage.py inspect_caches``: what the caches, a key or a tag are."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser

from perfsuite.caching import functions, inspecting
from perfsuite.optional import available

CAVEAT = "Memory tiers are those of this process, not of the running site."


class Command(BaseCommand):
    """Shows caches, what is held under a key, and the token of a tag."""

    help = "Show the caches, what each tier holds under a key, or a tag's token. Changes nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "alias", nargs="?", default="", help="A cache in CACHES; without it, all of them."
        )
        parser.add_argument("--key", default="", help="Show what each tier holds under this key.")
        parser.add_argument("--tag", default="", help="Show the token of this tag.")
        parser.add_argument("--format", choices=("text", "json"), default="text", dest="form")

    def handle(self, *args: Any, alias: str, key: str, tag: str, form: str, **options: Any) -> None:
        try:
            rows = self._rows(alias, key, tag)
        except ImproperlyConfigured as exc:
            raise CommandError(str(exc)) from exc
        except Exception as exc:
            if alias_error := server_error(exc):
                raise CommandError(alias_error) from exc
            raise
        for row in rows:
            if form == "json":
                self.stdout.write(json.dumps(row))
            else:
                self._write(row)
        self.stderr.write(CAVEAT)

    def _rows(self, alias: str, key: str, tag: str) -> list[dict[str, Any]]:
        aliases = chosen(alias)
        if not key and not tag:
            return [inspecting.cache_state(each) for each in aliases]
        if not alias:
            aliases = [each for each in aliases if functions.is_tiered(settings.CACHES[each])]
        rows: list[dict[str, Any]] = []
        for each in aliases:
            rows += inspecting.key_state(each, key) if key else []
            rows += [inspecting.tag_state(each, tag)] if tag else []
        return rows

    def _write(self, row: dict[str, Any]) -> None:
        tiers = row.pop("tiers", [])
        self.stdout.write(line(row))
        for tier in tiers:
            self.stdout.write(line({"alias": row["alias"], **tier}))


def line(row: dict[str, Any]) -> str:
    """Return a record as one line: its names, then each value with its name."""
    names = [str(row[name]) for name in ("alias", "tier", "tag") if name in row]
    shown = [f"{name}={_shown(value)}" for name, value in row.items() if name not in ("alias", "tier", "tag")]
    return " ".join([*names, *shown])


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, list):
        return ",".join(value) or "-"
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def chosen(alias: str) -> list[str]:
    """Return the aliases that are meant; CommandError for one that is not in CACHES."""
    if alias and alias not in settings.CACHES:
        raise CommandError(f"{alias!r} is not in CACHES; write one of {', '.join(sorted(settings.CACHES))}.")
    return [alias] if alias else list(settings.CACHES)


def server_error(exc: Exception) -> str:
    """Return a sentence for what a server's failure raised, or the empty string for anything else."""
    if not available("redis"):
        return ""
    from perfsuite.caching.breaker import SharedAway, is_failure_of_server

    if isinstance(exc, SharedAway) or is_failure_of_server(exc):
        return f"The server of the shared tier does not answer: {type(exc).__name__}: {exc}"
    return ""
