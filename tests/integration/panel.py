"""An admin who looks at the panel of a running site."""

from __future__ import annotations

import http.cookiejar
import json
import urllib.parse
import urllib.request
from typing import Any

from tests.integration.site import Site
from tests.servers import Server


class Panel:
    """An admin's browser, logged in. ``counted_requests`` are those of its logging in, which the site counts."""

    def __init__(self, site: Site, server: Server) -> None:
        code = (
            "import django; django.setup()\n"
            "from django.contrib.auth.models import User\n"
            "User.objects.create_superuser('admin', 'admin@example.org', 'secret')\n"
        )
        assert site.run("-c", code).returncode == 0
        self.url = server.url
        self.cookies = http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))
        self.opener.open(f"{self.url}/admin/login/").read()
        token = next(str(cookie.value) for cookie in self.cookies if cookie.name == "csrftoken")
        form = {"username": "admin", "password": "secret", "csrfmiddlewaretoken": token, "next": "/zero/"}
        self.opener.open(f"{self.url}/admin/login/", urllib.parse.urlencode(form).encode()).read()
        self.counted_requests = 3

    def data(self) -> dict[str, Any]:
        with self.opener.open(f"{self.url}/performance/data/?range=15m") as response:
            data: dict[str, Any] = json.load(response)
        return data

    def notices(self) -> list[dict[str, Any]]:
        notices: list[dict[str, Any]] = self.data()["notices"]
        return notices

    def card(self, name: str) -> dict[str, Any]:
        return next(card for card in self.data()["cards"] if card["id"] == name)
