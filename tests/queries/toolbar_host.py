"""A site in development: the views of tests/testing/work.py as pages, with django-debug-toolbar."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from asgiref.sync import sync_to_async
from debug_toolbar.urls import app_name
from debug_toolbar.urls import urlpatterns as of_toolbar
from django.core.cache import cache
from django.core.paginator import Paginator
from django.db import IntegrityError
from django.db.transaction import atomic
from django.http import HttpRequest, HttpResponse
from django.urls import include, path

from perfsuite.tenancy import tenant
from tests.testapp.models import Author, Book
from tests.testing.work import names_joined, names_of_authors


def always(request: HttpRequest) -> bool:
    return True


def page(names: Callable[[], list[str]]) -> HttpResponse:
    return HttpResponse(f"<html><body>{', '.join(names())}</body></html>")


def listing(request: HttpRequest) -> HttpResponse:
    return page(names_of_authors)


def joined(request: HttpRequest) -> HttpResponse:
    return page(names_joined)


def paged(request: HttpRequest) -> HttpResponse:
    return page(lambda: [book.title for book in Paginator(Book.objects.order_by("title"), 2).page(1)])


def failing(request: HttpRequest) -> HttpResponse:
    with suppress(IntegrityError), atomic():
        Book.objects.create(author_id=None)  # type: ignore[misc]  # is what fails
    return page(list)


def of_all_tenants(request: HttpRequest) -> HttpResponse:
    with tenant(1):
        titles = [book.title for _ in range(2) for book in Book.objects.order_by("title")]
        titles += [book.title for book in Book.objects.filter(author=Author.objects.all()[0])]
    return page(lambda: titles)


def in_a_transaction(request: HttpRequest) -> HttpResponse:
    with atomic():
        return page(names_joined)


def nothing(request: HttpRequest) -> HttpResponse:
    return page(list)


def cached(request: HttpRequest) -> HttpResponse:
    cache.set("names", "kept")
    return page(lambda: [cache.get("names")])


async def listing_async(request: HttpRequest) -> HttpResponse:
    return await sync_to_async(listing)(request)


urlpatterns = [
    path("listing/", listing),
    path("listing-async/", listing_async),
    path("joined/", joined),
    path("paged/", paged),
    path("failing/", failing),
    path("of-all-tenants/", of_all_tenants),
    path("in-a-transaction/", in_a_transaction),
    path("nothing/", nothing),
    path("cached/", cached),
    path("__debug__/", include((of_toolbar, app_name))),
]
