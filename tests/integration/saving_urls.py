"""Views whose answer is cached, and one that changes what it is made of."""

from __future__ import annotations

import os

from django.http import HttpRequest, HttpResponse
from django.urls import path

from perfsuite.caching import cached
from tests.testapp.models import Author, Book


@cached(3_600, tags=["shelf"])
def titles() -> str:
    """Return what is on the shelf, and which process has looked."""
    return f"{','.join(Book.objects.order_by('title').values_list('title', flat=True))} by {os.getpid()}"


def shelf(request: HttpRequest) -> HttpResponse:
    return _answer(titles())


def save(request: HttpRequest, title: str) -> HttpResponse:
    author, _ = Author.objects.get_or_create(name="A")
    book = Book.objects.first() or Book(author=author)
    book.title = title
    book.save()
    return _answer("saved")


def _answer(text: str) -> HttpResponse:
    response = HttpResponse(text)
    response["X-Worker"] = str(os.getpid())
    return response


urlpatterns = [path("shelf/", shelf), path("save/<slug:title>/", save)]
