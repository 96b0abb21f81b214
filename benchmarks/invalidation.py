"""What ``INVALIDATE`` costs a host: making instances, loading them and saving them, with a rule and without, interleaved."""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

import django

django.setup()

from django.core.management import call_command  # noqa: E402 - Django is set up first
from django.db import transaction  # noqa: E402 - Django is set up first
from django.test.utils import override_settings  # noqa: E402 - Django is set up first

from perfsuite.caching import cached  # noqa: E402 - Django is set up first
from tests.testapp.models import Author, Book  # noqa: E402 - Django is set up first

ROUNDS = 15
RULE = {
    "DATA_CLASSES": {"shelf_data": {"tags": ["author:{author_id}", "shelves"], "tier": "warm"}},
    "INVALIDATE": {"testapp.Book": ["shelf_data", "book:{id}"]},
}
CACHES = {"default": {"BACKEND": "perfsuite.caching.TieredCache", "OPTIONS": {"CHANNEL": "none"}}}


def compare(what: str, work: Callable[[], object], each: int) -> None:
    """Print the time of one of ``each`` steps without a rule and with one."""
    found: dict[str, list[float]] = {"without": [], "with": []}
    for _ in range(ROUNDS):
        for name, rules in (("without", {}), ("with", RULE)):
            with override_settings(PERFSUITE={"CACHING": rules}):
                work()
                began = time.perf_counter()
                work()
                found[name].append((time.perf_counter() - began) / each * 1e6)
    without, with_rule = (statistics.median(found[name]) for name in ("without", "with"))
    print(f"{what:32} {without:8.2f} us  {with_rule:8.2f} us  x{with_rule / without:.2f}")


def main() -> None:
    call_command("migrate", verbosity=0)
    author = Author.objects.create(name="A")
    Book.objects.bulk_create(Book(author=author, title=str(n)) for n in range(500))
    other = list(Author.objects.all()[:1]) * 500
    print(f"{'':32} {'without':>11}  {'with a rule':>11}")
    compare("load a row of another model", lambda: [Author(id=a.id, name=a.name) for a in other], 500)
    compare("load a row", lambda: list(Book.objects.all()[:500]), 500)
    book = Book.objects.first()

    def save() -> None:
        with transaction.atomic():
            for _ in range(100):
                book.save()

    compare("save a row", save, 100)
    kept = cached(60)(lambda number, name="x": number)
    kept(1)
    for name, call in (("a cached call, found", kept), ("its key alone", kept.key_for)):
        began = time.perf_counter()
        for _ in range(20_000):
            call(1)
        print(f"{name:32} {(time.perf_counter() - began) / 20_000 * 1e6:8.2f} us")


with override_settings(CACHES=CACHES):
    main()
