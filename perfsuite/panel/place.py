"""Where the panel's pages are: inside an admin site, or at a URL of the host's choice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.admin import AdminSite
from django.http import HttpRequest
from django.urls import reverse

TABS = (("index", "Overview"), ("queries", "Queries"), ("findings", "Findings"), ("indexes", "Indexes"))


@dataclass(frozen=True)
class Place:
    """One of the two: the admin site whose users and look the pages have, and under which names their URLs are."""

    site: AdminSite
    in_admin: bool

    @classmethod
    def own(cls) -> Place:
        """Return the place that ``include("perfsuite.panel.urls")`` makes."""
        return cls(admin.site, in_admin=False)

    def url(self, name: str, *args: str, **asked: str) -> str:
        """Return the address of a page; what is empty of ``asked`` is left out of its query string."""
        if self.in_admin:
            last = "changelist" if name == "index" else name
            path = reverse(f"admin:perfsuite_panel_dashboard_{last}", args=args, current_app=self.site.name)
        else:
            path = reverse(f"perfsuite_panel:{name}", args=args)
        query = urlencode({key: value for key, value in asked.items() if value})
        return f"{path}?{query}" if query else path

    def context(self, request: HttpRequest, tab: str, title: str, range_id: str = "") -> dict[str, Any]:
        """Return what the templates of all pages take: the admin site's own context, and the tabs."""
        cast(Any, request).current_app = self.site.name
        tabs = [
            {
                "url": self.url(name, range="" if name in ("findings", "indexes") else range_id),
                "title": shown,
                "is_current": name == tab,
            }
            for name, shown in TABS
        ]
        return {
            **self.site.each_context(request),
            "title": title,
            "tabs": tabs,
            "home_url": self.url("index"),
        }
