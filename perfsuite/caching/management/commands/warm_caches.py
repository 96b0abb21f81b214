"""``manage.py warm_caches``: fill the caches before visitors do."""

from __future__ import annotations

import sys
import time
from argparse import ArgumentTypeError
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from perfsuite.caching import warming
from perfsuite.caching.conf import CachingSettings

BAR = 30


def positive(text: str) -> int:
    """Return a whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is no whole number of at least 1")
    return int(text)


class Command(BaseCommand):
    """Runs warmers and asks for pages, in this process."""

    help = "Run the warmers, and ask for the paths in WARM_URLS or a file, in this process. Fills what processes share."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "names", nargs="*", metavar="NAME", help="Warmers; without any, all, and WARM_URLS."
        )
        parser.add_argument(
            "--urls", type=Path, metavar="FILE", help="Ask for the paths in this file, one a line."
        )
        parser.add_argument("--jobs", type=positive, default=2, help="Paths asked for at a time (2).")
        parser.add_argument("--host", default="", help="The host name to ask as; the first of ALLOWED_HOSTS.")

    def handle(
        self, *args: Any, names: list[str], urls: Path | None, jobs: int, host: str, **options: Any
    ) -> None:
        chosen, paths = self._chosen(names, urls), self._paths(names, urls)
        for alias in warming.only_memory():
            self.stderr.write(f"{alias!r} has no tier in Redis: this fills the memory of this process alone.")
        began, total, failed, done = time.perf_counter(), len(chosen) + len(paths), 0, 0
        for outcomes in (warming.run_warmers(chosen), warming.fetch(paths, jobs, host)):
            for outcome in outcomes:
                done += 1
                failed += bool(outcome.failure)
                self._show(done, total)
                if outcome.failure:
                    self.stderr.write(f"{outcome.name}: {outcome.failure}")
                self.stdout.write(
                    f"{outcome.name} {'failed' if outcome.failure else 'warmed'} {outcome.seconds:.2f} s"
                )
        seconds = time.perf_counter() - began
        self.stdout.write(f"{total - failed} warmed, {failed} failed, {seconds:.1f} s")
        if failed:
            sys.exit(1)

    def _chosen(self, names: list[str], urls: Path | None) -> list[warming.Warmer]:
        known = warming.warmers()
        for name in names:
            if name not in known:
                raise CommandError(f"There is no warmer {name!r}; known are: {', '.join(known) or 'none'}.")
        if names:
            return [known[name] for name in names]
        return [] if urls else list(known.values())

    def _paths(self, names: list[str], urls: Path | None) -> list[str]:
        if urls is None:
            return [] if names else list(CachingSettings.get().warm_urls)
        try:
            lines = urls.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as exc:
            raise CommandError(f"{str(urls)!r} cannot be read: {exc}") from exc
        paths = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
        for path in paths:
            if not path.startswith("/"):
                raise CommandError(f"{path!r} in {str(urls)!r} is no path; write one such as '/pricing/'.")
        return paths

    def _show(self, done: int, total: int) -> None:
        if self.stderr.isatty():
            filled = BAR * done // total
            self.stderr.write(f"\r[{'#' * filled}{'.' * (BAR - filled)}] {done}/{total} ", ending="")
            if done == total:
                self.stderr.write("\n", ending="")
