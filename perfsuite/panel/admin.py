"""The panel inside the Django admin: an entry of the index whose list page is the panel."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path

from perfsuite.panel import views
from perfsuite.panel.models import Dashboard
from perfsuite.panel.place import Place

if TYPE_CHECKING:
    Base = admin.ModelAdmin[Dashboard]
else:
    Base = admin.ModelAdmin


@admin.register(Dashboard)
class DashboardAdmin(Base):
    """Shows the panel to users with ``perfsuite_panel.view_dashboard``. On another AdminSite, register it there."""

    def get_urls(self) -> list[URLPattern]:
        """Return the pages and the JSON; there is nothing to add, change or delete."""
        # Loaded with the URLs, which commands have no need of.
        from perfsuite.panel.pages.answers import in_admin
        from perfsuite.panel.pages.routes import PAGES

        return [
            path("", self._of_site(self.changelist_view), name="perfsuite_panel_dashboard_changelist"),
            path("data/", self._data, name="perfsuite_panel_dashboard_data"),
            *(
                path(
                    route,
                    self._of_site(in_admin(page, self._place, methods)),
                    name=f"perfsuite_panel_dashboard_{name}",
                )
                for name, route, page, methods in PAGES
            ),
        ]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the panel in the place of a list."""

        def answer() -> HttpResponse:
            if not self.has_view_permission(request):
                raise PermissionDenied
            return views.page(request, self._place)

        return views.respond(request, answer)

    def has_view_permission(self, request: HttpRequest, obj: Dashboard | None = None) -> bool:
        """Return whether the user has the panel's permission."""
        return views.is_permitted(request, self.admin_site)

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Return whether the panel is in the user's index."""
        return views.is_permitted(request, self.admin_site)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return False: the panel only shows."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Dashboard | None = None) -> bool:
        """Return False: the panel only shows."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Dashboard | None = None) -> bool:
        """Return False: the panel only shows."""
        return False

    @property
    def _place(self) -> Place:
        return Place(self.admin_site, in_admin=True)

    def _data(self, request: HttpRequest) -> HttpResponse:
        """Answer a poll. A script cannot use the redirect to a login page, so the refusals come before the admin's own."""
        if not self.admin_site.has_permission(request):
            return views.respond(request, lambda: views.figures(request, self.admin_site))
        return self._of_site(self._figures)(request)

    def _figures(self, request: HttpRequest) -> HttpResponse:
        return views.respond(request, lambda: views.figures(request, self.admin_site))

    def _of_site(self, view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        return self.admin_site.admin_view(view)
