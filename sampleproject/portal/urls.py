"""The addresses of the portals. The tenant is the first part of the path, see `sampleproject.tenants`."""

from __future__ import annotations

from django.urls import include, path

from sampleproject.portal.views import account, api, forms, leads, pages

app_name = "portal"

of_a_tenant = [
    path("", pages.front, name="tenant"),
    path("pages/", pages.listing, name="pages"),
    path("pages/<slug:slug>/", pages.detail, name="page"),
    path("search/", pages.search, name="search"),
    path("team/", pages.team, name="team"),
    path("forms/<slug:slug>/", forms.fill_in, name="form"),
    path("forms/<slug:slug>/thanks/", forms.thanks, name="thanks"),
    path("leads/", leads.inbox, name="leads"),
    path("api/pages/", api.pages, name="api-pages"),
    path("api/pages/<slug:slug>/", api.page, name="api-page"),
    path("api/suggest/", api.suggest, name="api-suggest"),
    path("api/leads/daily/", api.leads_per_day, name="api-leads-daily"),
]

urlpatterns = [
    path("", pages.home, name="home"),
    path("account/", account.account, name="account"),
    path("favicon.ico", pages.favicon),
    path("t/<slug:tenant>/", include(of_a_tenant)),
]
