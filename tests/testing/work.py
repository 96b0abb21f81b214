"""What the tests of this folder have run: statements of the ORM in a test, in a view, and in an asynchronous one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse
from django.urls import path

from tests.testapp.models import Author, Book


def failure(block: Any, work: Callable[[], object]) -> str:
    """Return what a block says of some work, "" where it lets it pass."""
    try:
        with block:
            work()
    except AssertionError as exc:
        return str(exc)
    return ""


def make_books(count: int = 3) -> None:
    """Make books, each of an author of its own."""
    for number in range(count):
        Book.objects.create(author=Author.objects.create(name=f"author {number}"), title=f"book {number}")


def names_of_authors() -> list[str]:
    """Read each book's author by a statement of its own."""
    return [book.author.name for book in Book.objects.all()]


# Where the books and their authors are read.
LINE = f"tests/testing/work.py:{names_of_authors.__code__.co_firstlineno + 2}"


def names_joined() -> list[str]:
    """Read the same in one statement."""
    return [book.author.name for book in Book.objects.select_related("author")]


def listing(request: HttpRequest) -> HttpResponse:
    return HttpResponse(", ".join(names_of_authors()))


def joined(request: HttpRequest) -> HttpResponse:
    return HttpResponse(", ".join(names_joined()))


async def listing_async(request: HttpRequest) -> HttpResponse:
    return HttpResponse(", ".join(await sync_to_async(names_of_authors)()))


def nothing(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


urlpatterns = [
    path("listing/", listing),
    path("joined/", joined),
    path("listing-async/", listing_async),
    path("nothing/", nothing),
]
