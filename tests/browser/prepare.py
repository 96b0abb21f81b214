"""Run in a process of its own: makes the host's users or books, collects its indexes, or writes what was measured into its store.

``python -m tests.browser.prepare users``, ``... rows 30`` or ``... record JSON``, where JSON is a list of
``[kind, labels, value, how many times]``.
"""

from __future__ import annotations

import json
import os
import sys

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.browser.host")

PASSWORD = "correct horse"


def users() -> None:
    """Make ``admin``, ``viewer`` with the panel's permission, ``staff`` without it, ``changer`` with all of the panel's."""
    from django.contrib.auth.models import Permission, User

    User.objects.create_superuser("admin", password=PASSWORD)
    viewer = User.objects.create_user("viewer", password=PASSWORD, is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_dashboard"))
    changer = User.objects.create_user("changer", password=PASSWORD, is_staff=True)
    changer.user_permissions.set(Permission.objects.filter(content_type__app_label="perfsuite_panel"))
    User.objects.create_user("staff", password=PASSWORD, is_staff=True)


def record(observations: list[tuple[str, list[str], float, int]]) -> None:
    """Measure the values and flush them."""
    from perfsuite.metrics import flush
    from perfsuite.metrics.recorder import recorder

    for kind, labels, value, times in observations:
        recorder.observe_many([(kind, tuple(labels), value)] * times)
    assert flush()


def rows(number: int) -> None:
    """Write so many books, each with an author of its own."""
    from tests.testapp.models import Author, Book

    for n in range(number):
        Book.objects.create(author=Author.objects.create(name=f"author {n}"), title=f"book {n}")


def indexes(hostile: str) -> None:
    """Make an index that nobody needs, and collect the database as the leader does, with a suggestion."""
    from django.db import connection

    from perfsuite.indexes import collecting, kept
    from perfsuite.indexes.suggesting import Evidence, Suggestion
    from perfsuite.metrics import flush

    with connection.cursor() as cursor:
        cursor.execute("CREATE INDEX old_idx ON testapp_book (author_id)")
    at = collecting.collect("default").at
    line = 'register("testapp.Book", Index("author", "-title"))'
    asking = Evidence(hostile, "0a1b2c3d", ("/books/",), 120.0, 6e7, ("All rows are read",))
    suggested = Suggestion(
        "default",
        "testapp_book",
        "testapp.Book",
        ("author_id", "-title"),
        line,
        "",
        "",
        6e7,
        120.0,
        (asking,),
    )
    kept.keep_suggestions("default", [suggested.as_json()], at)
    assert flush()


if __name__ == "__main__":
    django.setup()
    {
        "users": users,
        "rows": lambda: rows(int(sys.argv[2])),
        "indexes": lambda: indexes(sys.argv[2]),
        "record": lambda: record(json.loads(sys.argv[2])),
    }[sys.argv[1]]()
