"""``manage.py compact_metrics``: do now what the leader does every ten seconds."""

from __future__ import annotations

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from perfsuite.exceptions import StoreUnavailable
from perfsuite.metrics import compaction, leader
from perfsuite.metrics.storages.presence import require_tables


class Command(BaseCommand):
    """Merges closed stretches of the metrics store into the next resolution."""

    help = "Merge what is closed in the metrics store into coarser rows. Running servers do it by themselves."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--apply", action="store_true", help="Compact; without it, say what waits.")

    def handle(self, *args: Any, apply: bool, **options: Any) -> None:
        try:
            require_tables()
            if not apply:
                self.stdout.write(f"{compaction.waiting()} seconds wait for compaction")
                self.stderr.write("Nothing was changed; type: manage.py compact_metrics --apply")
                return
            with_the_lead(self)
            self.stdout.write(f"{compaction.compact()} stretches compacted")
        except (StoreUnavailable, leader.LeaseLost) as exc:
            raise CommandError(str(exc) or "The lead went to another process, which compacts now.") from exc
        finally:
            leader.resign()


def with_the_lead(command: BaseCommand) -> None:
    """Become the leader, waiting for a lease that may be a dead process's, or raise CommandError."""
    give_up = time.monotonic() + leader.TTL_S + 1
    waited = False
    while not leader.candidate.renew():
        if time.monotonic() > give_up:
            raise CommandError(
                "A running server leads and does this by itself every few seconds; there is nothing to do here."
            )
        if not waited:
            command.stderr.write(
                f"Another process holds the lead; waiting up to {leader.TTL_S:.0f} s to see whether it lives."
            )
            waited = True
        time.sleep(0.5)
