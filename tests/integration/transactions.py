"""Run read-then-write transactions on a SQLite host while perfsuite flushes without a pause; print what came of it as JSON.

The host waits for no lock (``timeout`` 0), so that any other writer on its file shows as "database is locked" at once.
Arguments: how many transactions, and the alias that holds the store (empty: perfsuite's own choice).
"""

from __future__ import annotations

import json
import sys
import threading

import django
from django.conf import settings


def main(transactions: int) -> None:
    settings.DATABASES["default"].setdefault("OPTIONS", {})["timeout"] = 0
    django.setup()
    from django.core.management import call_command
    from django.db import OperationalError, connection, transaction

    from perfsuite.metrics.flusher import flusher
    from perfsuite.metrics.recorder import recorder
    from tests.testapp.models import Author, Book

    # No leader beside the flushes: now and then it reads which indexes the host's file has, and a writer waits for a reader.
    recorder.on_first = None
    call_command("migrate", verbosity=0)
    author = Author.objects.create(name="somebody")
    book = Book.objects.create(author=author, title="a book")
    done = threading.Event()
    said = {"transactions": 0, "locked": 0, "flushes": 0, "unwritten": 0, "pages": 0}

    def flush() -> None:
        while not done.is_set():
            recorder.observe("requests.status", ("2xx",), 1000)
            said["flushes" if flusher.flush() else "unwritten"] += 1
        connection.close()

    flushing = threading.Thread(target=flush)
    flushing.start()
    for _ in range(transactions):
        try:
            with transaction.atomic():
                pages = Book.objects.get(pk=book.pk).pages
                Book.objects.filter(pk=book.pk).update(pages=pages + 1)
            said["transactions"] += 1
        except OperationalError:
            said["locked"] += 1
    done.set()
    flushing.join()
    said["pages"] = Book.objects.get(pk=book.pk).pages
    print(json.dumps(said))


if __name__ == "__main__":
    main(int(sys.argv[1]))
