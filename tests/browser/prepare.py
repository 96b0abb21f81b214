"""Run in a process of its own: makes the host's users, its books, or measures values and writes them into its store.

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


if __name__ == "__main__":
    django.setup()
    {
        "users": users,
        "rows": lambda: rows(int(sys.argv[2])),
        "record": lambda: record(json.loads(sys.argv[2])),
    }[sys.argv[1]]()
