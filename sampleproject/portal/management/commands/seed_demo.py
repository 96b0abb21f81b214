"""`manage.py seed_demo`: fill the site with its content."""

from __future__ import annotations

import time
from argparse import ArgumentParser, ArgumentTypeError
from datetime import datetime
from typing import Any

from django.core.cache import cache
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from perfsuite.metrics import suppress
from sampleproject.portal.models import Tenant
from sampleproject.portal.seeding.build import DEMO_USERNAMES, Plan, build, clear, counts
from sampleproject.portal.seeding.progress import Progress

MIN_USERS = len(DEMO_USERNAMES) + 1


class Command(BaseCommand):
    """Fills an empty site; does nothing when there is content, unless `--reset` is given."""

    help = "Fill the site with tenants, users, forms, leads, and pages from Python's own documentation."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        plan = Plan()
        parser.add_argument("--reset", action="store_true", help="delete the content first, and make it anew")
        parser.add_argument("--users", type=int, default=plan.users, help=f"how many (default {plan.users})")
        parser.add_argument("--leads", type=int, default=plan.leads, help=f"how many (default {plan.leads})")
        parser.add_argument(
            "--pages", type=int, help="how many at most (default: all that the library documents)"
        )
        parser.add_argument(
            "--seed", type=int, default=plan.seed, help="another number makes other people and leads"
        )
        parser.add_argument(
            "--now",
            type=_moment,
            help="the ISO 8601 time that all times are counted back from (default: now)",
        )

    def handle(
        self,
        *,
        reset: bool,
        users: int,
        leads: int,
        pages: int | None,
        seed: int,
        now: datetime | None,
        **options: Any,
    ) -> None:
        """Build the content, and say what is there."""
        if users < MIN_USERS or leads < 0 or (pages is not None and pages < 1):
            raise CommandError(f"Give at least {MIN_USERS} --users, 0 --leads and 1 --pages.")
        plan = Plan(users, leads, pages, seed, now)
        try:
            with suppress():  # the panel is to show the site's traffic, and not how it was filled
                self.fill(plan, reset=reset)
        except DatabaseError as exc:
            raise CommandError(f"The database refused: {exc}. Has `manage.py migrate` been run?") from exc

    def fill(self, plan: Plan, *, reset: bool) -> None:
        """Make the content that `plan` asks for, unless there is some."""
        if reset:
            clear()
        if Tenant.objects.exists():
            self.stdout.write(
                f"The site is already filled: {_described()}. Nothing changed; --reset makes it anew."
            )
            return
        started = time.perf_counter()
        build(plan, Progress(self.show, bar=self.stderr.isatty()))
        cache.clear()  # rows written in bulk send no signals
        self.stdout.write(f"Filled the site in {time.perf_counter() - started:.1f} s: {_described()}.")

    def show(self, text: str) -> None:
        """Write a piece of the progress."""
        self.stderr.write(text, style_func=str, ending="")
        self.stderr.flush()


def _moment(text: str) -> datetime:
    try:
        moment = parse_datetime(text)
    except ValueError:
        moment = None
    if moment is None:
        raise ArgumentTypeError(f"{text!r} is no time; write it as 2026-11-27T12:00Z.")
    return moment if timezone.is_aware(moment) else timezone.make_aware(moment)


def _described() -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts().items())
