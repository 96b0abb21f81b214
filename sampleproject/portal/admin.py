"""The site's data in the Django admin."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.db.models import QuerySet
from django.http import HttpRequest

from sampleproject.portal.dialects import FILTERS_ON_BOOLEANS
from sampleproject.portal.models import Form, Lead, Page, Tenant, User

admin.site.site_header = "Documentation portals"
admin.site.site_title = "Documentation portals"


class OwnTenantAdmin(admin.ModelAdmin):
    """Shows superusers everything and other staff what belongs to their own tenant.

    What a listing shows of other tables is read for its hundred rows alone: MongoDB joins before it sorts.
    """

    related: tuple[str, ...] = ("tenant",)
    list_select_related = ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Leave out what belongs to other tenants."""
        rows = super().get_queryset(request).prefetch_related(*self.related)
        user = request.user
        if not isinstance(user, User) or user.is_superuser:
            return rows
        return rows.filter(tenant=user.tenant_id)


@admin.register(Tenant)
class TenantAdmin(admin.ModelAdmin):
    """The companies."""

    list_display = ("name", "slug", "tagline", "accent", "created_at")
    search_fields = ("name", "slug")


@admin.register(User)
class MemberAdmin(UserAdmin):
    """Django's own user admin with the tenant and the role."""

    list_display = ("username", "email", "tenant", "role", "is_staff", "last_login")
    list_filter = ("tenant", "role", *FILTERS_ON_BOOLEANS)
    list_select_related = ("tenant",)
    fieldsets = (*(UserAdmin.fieldsets or ()), ("Portal", {"fields": ("tenant", "role")}))


@admin.register(Page)
class PageAdmin(OwnTenantAdmin):
    """The pages of all tenants."""

    list_display = ("title", "tenant", "kind", "module", "status", "author", "updated_at")
    list_filter = ("tenant", "status", "kind")
    related = ("tenant", "author")
    search_fields = ("title", "keywords")
    autocomplete_fields = ("author",)


@admin.register(Form)
class FormAdmin(OwnTenantAdmin):
    """The forms of all tenants."""

    list_display = ("name", "tenant", "slug")
    list_filter = ("tenant",)
    search_fields = ("name",)


@admin.register(Lead)
class LeadAdmin(OwnTenantAdmin):
    """The leads of all tenants."""

    list_display = ("name", "company", "tenant", "form", "status", "assigned_to", "created_at")
    list_filter = ("tenant", "status")
    related = ("tenant", "form", "assigned_to")
    search_fields = ("name", "email", "company")
    autocomplete_fields = ("page", "assigned_to")
    date_hierarchy = "created_at"
