"""Run in a process of its own: makes the host's users, or measures values and writes them into its store.

``python -m tests.browser.prepare users`` or ``python -m tests.browser.prepare record JSON``, where JSON is a list of
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
    """Make ``admin``, ``viewer`` with the panel's permission and ``staff`` without it."""
    from django.contrib.auth.models import Permission, User

    User.objects.create_superuser("admin", password=PASSWORD)
    viewer = User.objects.create_user("viewer", password=PASSWORD, is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_dashboard"))
    User.objects.create_user("staff", password=PASSWORD, is_staff=True)


def record(observations: list[tuple[str, list[str], float, int]]) -> None:
    """Measure the values and flush them."""
    from perfsuite.metrics import flush
    from perfsuite.metrics.recorder import recorder

    for kind, labels, value, times in observations:
        recorder.observe_many([(kind, tuple(labels), value)] * times)
    assert flush()


if __name__ == "__main__":
    django.setup()
    users() if sys.argv[1] == "users" else record(json.loads(sys.argv[2]))
