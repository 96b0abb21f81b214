"""What a process that answers no request does to the pages of those that do: a shell, a command, a worker."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from perfsuite.responses import cache_response, identity
from tests.responses.site import SYNC, serving, text

SHELL = """
import sys
import django
from django.conf import settings

settings.configure(
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "perfsuite.metrics", "perfsuite.responses"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    CACHES={"default": {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": sys.argv[1]}},
    MIDDLEWARE=["perfsuite.responses.ResponseCacheMiddleware"],
    SECRET_KEY="x",
)
django.setup()
exec(sys.argv[2])
"""
INVALIDATE = "from perfsuite.caching import invalidate_tags; invalidate_tags('news')"
SAVE_USER = (
    "from django.contrib.auth.models import User; from django.db.models.signals import post_save; "
    "post_save.send(User, instance=User(pk=7), created=False, update_fields=None, using='default')"
)
PERMIT = (
    "from django.contrib.auth.models import Group; from django.db.models.signals import m2m_changed; "
    "m2m_changed.send(Group.permissions.through, action='post_add', using='default')"
)


@pytest.mark.once
@pytest.mark.parametrize(
    ("code", "tag"),
    [(INVALIDATE, "news"), (SAVE_USER, identity.user_tag(7)), (PERMIT, identity.ALL_USERS)],
    ids=["tag", "user", "permissions"],
)
def test_pages_in_a_cache_that_it_shares_are_dropped(tmp_path: Path, code: str, tag: str) -> None:
    cache = {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": str(tmp_path)}

    @cache_response(60, tags=["news"])
    def view(request: Any) -> Any:
        request.perfsuite.tags.add(tag)
        return text()

    with serving(SYNC, {"p/": view}, cache=cache) as site:
        for _ in range(2):
            site.get("/p/")
        assert len(site.runs) == 1
        subprocess.run([sys.executable, "-c", SHELL, str(tmp_path), code], check=True, timeout=60)
        site.get("/p/")

        assert len(site.runs) == 2
