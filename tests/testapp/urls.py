"""One route per view; ``nested/`` shows that an included route keeps its whole pattern."""

from __future__ import annotations

from django.urls import include, path, re_path

from tests.testapp import views

nested = ([path("<int:year>/<slug:slug>/", views.page_of_year, name="page")], "nested")

urlpatterns = [
    path("", views.zero, name="home"),
    path("zero/", views.zero, name="zero"),
    path("queries/<int:n>/", views.queries, name="queries"),
    path("nplus1/", views.nplus1, name="nplus1"),
    path("every-kind/", views.every_kind, name="every_kind"),
    path("slow-sql/<int:rows>/", views.slow_sql, name="slow_sql"),
    path("sleep/<int:ms>/", views.sleep, name="sleep"),
    path("error/", views.error, name="error"),
    path("forbidden/", views.forbidden, name="forbidden"),
    path("missing/", views.missing, name="missing"),
    path("redirect/", views.redirect, name="redirect"),
    path("kept/", views.kept, name="kept"),
    path("echo/", views.echo, name="echo"),
    path("json/", views.as_json, name="json"),
    path("whoami/", views.whoami, name="whoami"),
    path("pages/<slug:slug>/", views.page, name="page"),
    re_path(r"^archive/(?P<slug>[a-z]{2,})/$", views.page, name="archive"),
    path("nested/", include(nested, namespace="nested")),
    path("stream/<int:chunks>/", views.stream, name="stream"),
    path("broken-stream/", views.broken_stream, name="broken_stream"),
    path("methods/", views.Methods.as_view(), name="methods"),
    path("async/zero/", views.async_zero, name="async_zero"),
    path("async/queries/<int:n>/", views.async_queries, name="async_queries"),
    path("async/sleep/<int:ms>/", views.async_sleep, name="async_sleep"),
    path("async/error/", views.async_error, name="async_error"),
    path("async/stream/<int:chunks>/", views.async_stream, name="async_stream"),
]
