"""``manage.py trim_metrics``: delete now what is past its retention, as the leader does every minute."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from perfsuite.exceptions import StoreUnavailable
from perfsuite.metrics import compaction, leader
from perfsuite.metrics.management.commands.compact_metrics import with_the_lead
from perfsuite.metrics.storages.presence import require_tables

NAMES = {10: "10 s", 60: "1 min", 600: "10 min", 3_600: "1 h", 86_400: "1 d"}


class Command(BaseCommand):
    """Deletes rows of the metrics store that are past their retention."""

    help = (
        "Delete rows of the metrics store that are past their retention. Running servers do it by themselves."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--apply", action="store_true", help="Delete; without it, say what would be deleted."
        )

    def handle(self, *args: Any, apply: bool, **options: Any) -> None:
        try:
            require_tables()
            if apply:
                with_the_lead(self)
            rows = compaction.trim() if apply else compaction.expired()
        except (StoreUnavailable, leader.LeaseLost) as exc:
            raise CommandError(str(exc) or "The lead went to another process, which trims now.") from exc
        finally:
            leader.resign()
        for resolution, count in rows.items():
            self.stdout.write(
                f"{NAMES[resolution]}: {count} rows {'deleted' if apply else 'past their retention'}"
            )
        if not apply:
            self.stderr.write("Nothing was deleted; type: manage.py trim_metrics --apply")
