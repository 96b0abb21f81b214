"""The SQL that Django writes for relations of every kind, with the tables that it reaches without their tenant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.apps.registry import Apps
from django.db import connection, models
from django.db.migrations.state import AppConfigStub
from django.db.models import Count, Exists, F, OuterRef, Q, Subquery, Sum
from django.db.models.sql import DeleteQuery, UpdateQuery

from perfsuite.queries.fingerprint import without_values
from perfsuite.queries.tenant_guard.reading import verdict_of
from perfsuite.queries.tenant_guard.schema import Owned, Schema

if connection.vendor in ("djongo", "mongodb"):
    pytest.skip("about SQL that djongo does not know, and MongoDB has none", allow_module_level=True)

registry = Apps()
# Relations are looked for in the models of installed apps.
registry.app_configs["guarded"] = AppConfigStub("guarded")
registry.app_configs["guarded"].apps = registry
registry.app_configs["guarded"].models = registry.all_models["guarded"]


class Named(models.Model):
    class Meta:
        abstract = True

    def __str__(self) -> str:
        return str(self.pk)


class Tenant(Named):
    slug = models.CharField(max_length=9, unique=True)
    country = models.CharField(max_length=2)

    class Meta:
        app_label, db_table, apps = "guarded", "tenant", registry


class Tag(Named):
    name = models.CharField(max_length=9)

    class Meta:
        app_label, db_table, apps = "guarded", "tag", registry


class Page(Named):
    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="pages")
    parent = models.ForeignKey("self", models.CASCADE, null=True, related_name="children")

    class Meta:
        app_label, db_table, apps = "guarded", "page", registry


class Lead(Named):
    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="leads")
    page = models.ForeignKey(Page, models.SET_NULL, null=True, related_name="leads")
    tags = models.ManyToManyField(Tag, related_name="leads")
    others = models.ManyToManyField("self", symmetrical=False)
    name = models.CharField(max_length=9)

    class Meta:
        app_label, db_table, apps = "guarded", "lead", registry


class HotLead(Lead):
    heat = models.IntegerField()

    class Meta:
        app_label, db_table, apps = "guarded", "hotlead", registry


class Detail(Named):
    tenant = models.ForeignKey(Tenant, models.CASCADE)
    lead = models.OneToOneField(Lead, models.CASCADE, related_name="detail")

    class Meta:
        app_label, db_table, apps = "guarded", "detail", registry


class Note(Named):
    lead = models.ForeignKey(Lead, models.CASCADE, related_name="notes")
    text = models.CharField(max_length=9)

    class Meta:
        app_label, db_table, apps = "guarded", "note", registry


SCHEMA = Schema(
    owned={
        **{name: Owned(name, "tenant_id", "tenant_id") for name in ("page", "lead", "detail")},
        "hotlead": Owned("hotlead", "", "tenant"),
        "note": Owned("note", "", "lead__tenant"),
    },
    tenants={"tenant": frozenset(["id", "slug"])},
    keys={"hotlead": frozenset(["lead_ptr_id"])},
)

leads, pages, notes, details = Lead.objects, Page.objects, Note.objects, Detail.objects
mine = leads.filter(tenant=5)

TABLE: dict[str, tuple[str, Callable[[], Any]]] = {
    "filter": ("", lambda: mine),
    "by_key": ("lead", lambda: leads.filter(pk=1)),
    "by_key_of_mine": ("", lambda: mine.filter(pk=1)),
    "in": ("", lambda: leads.filter(tenant__in=[1, 2])),
    "exclude": ("lead", lambda: leads.exclude(tenant=5)),
    "mine_without": ("", lambda: mine.exclude(name="x").exclude(notes__text="x")),
    "or": ("lead", lambda: leads.filter(Q(tenant=5) | Q(name="x"))),
    "or_both": ("", lambda: leads.filter(Q(tenant=5, name="x") | Q(tenant=6))),
    "not": ("lead", lambda: leads.filter(~Q(tenant=5))),
    "null": ("lead", lambda: leads.filter(tenant__isnull=False)),
    "other_field": ("lead, page", lambda: leads.filter(tenant=F("page__tenant"))),
    "tenants_slug": ("", lambda: leads.filter(tenant__slug="acme")),
    "tenants_key": ("", lambda: leads.filter(tenant__pk=5, tenant__country="de")),
    "tenants_country": ("lead", lambda: leads.filter(tenant__country="de")),
    "through_a_foreign_key": ("", lambda: leads.filter(page__tenant=5)),
    "select_related": ("", lambda: mine.select_related("page", "tenant", "detail")),
    "select_related_of_all": ("detail, lead, page", lambda: leads.select_related("page", "detail")),
    "deeper": ("", lambda: mine.select_related("page__parent__parent")),
    "reverse": ("", lambda: mine.filter(notes__text="x")),
    "reverse_of_all": ("lead, note", lambda: leads.filter(notes__text="x")),
    "one_to_one": ("", lambda: details.filter(lead__tenant=5)),
    "one_to_one_reverse": ("", lambda: leads.filter(detail__tenant=5)),
    "many_to_many": ("", lambda: mine.filter(tags__name="x")),
    "many_to_many_of_all": ("lead", lambda: Tag.objects.filter(leads__name="x")),
    "many_to_many_reverse": ("", lambda: Tag.objects.filter(leads__tenant=5)),
    "many_to_many_of_itself": ("", lambda: mine.filter(others__name="x")),
    "leads_with_a_tag_of_mine": ("lead", lambda: leads.filter(tags__leads__tenant=5)),
    "itself": ("", lambda: pages.filter(tenant=5, parent__parent__isnull=True, children__id=3)),
    "inherited": ("", lambda: HotLead.objects.filter(tenant=5)),
    "inherited_of_all": ("hotlead, lead", lambda: HotLead.objects.filter(heat=5)),
    "child_without_a_column": ("", lambda: notes.filter(lead__tenant=5)),
    "child_of_a_key": ("note", lambda: notes.filter(lead=1)),
    "siblings": ("", lambda: notes.filter(lead__page__leads__tenant=5)),
    "from_the_tenant": ("", lambda: Tenant.objects.filter(slug="acme", leads__name="x")),
    "from_all_tenants": ("lead", lambda: Tenant.objects.filter(leads__name="x")),
    "count_by_tenant": ("lead", lambda: Tenant.objects.annotate(n=Count("leads"))),
    "count_of_a_tenant": ("", lambda: Tenant.objects.filter(pk=5).annotate(n=Count("leads"))),
    "group": ("", lambda: mine.values("name").annotate(n=Count("notes"), s=Sum("page_id")).filter(n__gt=1)),
    "distinct": ("", lambda: mine.values_list("name").distinct().order_by("name")[:5]),
    "exists": ("", lambda: mine.filter(Exists(notes.filter(lead=OuterRef("pk"))))),
    "exists_elsewhere": ("note", lambda: mine.filter(Exists(notes.filter(text="x")))),
    "exists_holds_it": ("", lambda: leads.filter(Exists(details.filter(lead=OuterRef("pk"), tenant=5)))),
    "not_exists": ("", lambda: mine.filter(~Exists(notes.filter(lead=OuterRef("pk"))))),
    "subquery": ("", lambda: mine.annotate(t=Subquery(notes.filter(lead=OuterRef("pk")).values("text")[:1]))),
    "subquery_of_all": ("detail", lambda: mine.annotate(t=Subquery(details.values("id")[:1]))),
    "in_mine": ("", lambda: notes.filter(lead__in=mine)),
    "in_all": ("lead, note", lambda: notes.filter(lead__in=leads.filter(name="x"))),
    "in_the_tenant": ("", lambda: leads.filter(tenant__in=Tenant.objects.filter(slug="acme"))),
    "in_many_tenants": ("lead", lambda: leads.filter(tenant__in=Tenant.objects.filter(country="de"))),
    "union": ("", lambda: mine.union(leads.filter(tenant=6))),
    "union_with_all": ("lead", lambda: mine.union(leads.filter(name="x"))),
    "difference": ("lead", lambda: mine.difference(leads.all())),
    "extra": ("", lambda: leads.extra(where=["lead.tenant_id = %s"], params=[5])),
    "none_of_these": ("", lambda: Tag.objects.filter(name="lead")),
}  # fmt: skip


def reached(sql: str) -> str:
    found = verdict_of(without_values(sql) or "", SCHEMA)
    return ", ".join(sorted(owned.table for owned in found.unscoped)) if found.understood else "?"


def sql_of(query: Any) -> str:
    return str(query.get_compiler(connection=connection).as_sql()[0])


@pytest.mark.parametrize("name", TABLE)
def test_a_query_reaches_what_the_table_says(name: str) -> None:
    expected, build = TABLE[name]
    assert reached(sql_of(build().query)) == expected


def update_of(queryset: Any, **values: object) -> Any:
    query = queryset.query.chain(UpdateQuery)
    query.add_update_values(values)
    return query


CHANGES: dict[str, tuple[str, Callable[[], Any]]] = {
    "update": ("", lambda: update_of(mine, name="x")),
    "update_all": ("lead", lambda: update_of(leads.all(), name="x")),
    "update_by_key": ("lead", lambda: update_of(leads.filter(pk=1), name="x", tenant=5)),
    "update_from_another": ("detail", lambda: update_of(mine, name=Subquery(details.values("id")[:1]))),
    "update_from_a_child": ("", lambda: update_of(mine, name=Subquery(notes.filter(lead=OuterRef("pk")).values("text")[:1]))),
    "delete": ("", lambda: mine.query.chain(DeleteQuery)),
    "delete_by_key": ("lead", lambda: leads.filter(pk__in=[1, 2]).query.chain(DeleteQuery)),
    "delete_joined": ("", lambda: notes.filter(lead__tenant=5).query.chain(DeleteQuery)),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_reaches_what_the_table_says(name: str) -> None:
    expected, build = CHANGES[name]
    assert reached(sql_of(build())) == expected
