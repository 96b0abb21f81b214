"""Views that do one measurable thing each; their names say which, ``async_`` ones are coroutines."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

from asgiref.sync import sync_to_async
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseRedirect,
    JsonResponse,
    StreamingHttpResponse,
)
from django.views import View
from django.views.decorators.csrf import csrf_exempt

from tests.testapp.models import Author, Book

# Counts up inside the database: slow on every database without a sleep function.
SLOW_SQL = (
    "WITH RECURSIVE counter(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counter WHERE n < %s) "
    "SELECT COUNT(*) FROM counter"
)


def count_statements(n: int) -> None:
    """Run ``n`` SELECT statements."""
    for _ in range(n):
        Author.objects.filter(name="nobody").exists()


def zero(request: HttpRequest) -> HttpResponse:
    return HttpResponse("zero queries")


def queries(request: HttpRequest, n: int) -> HttpResponse:
    count_statements(n)
    return HttpResponse(f"{n} queries")


def nplus1(request: HttpRequest) -> HttpResponse:
    return HttpResponse(", ".join(book.author.name for book in Book.objects.all()))


def every_kind(request: HttpRequest) -> HttpResponse:
    """Run each kind of statement: 3 INSERT, 4 SELECT, 2 UPDATE (one by ``executemany``), 1 DELETE."""
    author = Author(name="every kind")
    author.save(force_insert=True)  # INSERT
    Book.objects.bulk_create([Book(author=author, title=str(n)) for n in range(3)])  # INSERT
    book = Book(author=author, title="one more")
    book.save(force_insert=True)  # INSERT
    list(Book.objects.filter(author=author))  # SELECT
    list(Book.objects.raw("SELECT id, title FROM testapp_book WHERE title = %s", ["1"]))  # SELECT
    Book.objects.filter(author=author).update(pages=1)  # UPDATE
    with connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM testapp_book")  # SELECT
        cursor.fetchall()
        cursor.executemany(
            "UPDATE testapp_book SET pages = %s WHERE title = %s", [(2, "1"), (3, "2")]
        )  # UPDATE
    Author.objects.filter(name="every kind").exists()  # SELECT
    Book.objects.filter(pk=book.pk)._raw_delete("default")  # DELETE
    return HttpResponse("done")


def slow_sql(request: HttpRequest, rows: int) -> HttpResponse:
    with connection.cursor() as cursor:
        cursor.execute(SLOW_SQL, [rows])
        return HttpResponse(str(cursor.fetchone()[0]))


def sleep(request: HttpRequest, ms: int) -> HttpResponse:
    time.sleep(ms / 1000)
    return HttpResponse("slept")


def error(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("<script>alert('error')</script>")


def forbidden(request: HttpRequest) -> HttpResponse:
    raise PermissionDenied


def missing(request: HttpRequest) -> HttpResponse:
    raise Http404("nothing here")


def redirect(request: HttpRequest) -> HttpResponse:
    return HttpResponseRedirect("/zero/")


@csrf_exempt
def echo(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request.body, content_type="application/octet-stream")


def page(request: HttpRequest, slug: str) -> HttpResponse:
    return HttpResponse(f"page {len(slug)}")


def page_of_year(request: HttpRequest, year: int, slug: str) -> HttpResponse:
    return HttpResponse(f"page of {year}")


def kept(request: HttpRequest) -> HttpResponse:
    response = HttpResponse("kept")
    response["Cache-Control"] = "max-age=3600"
    return response


def as_json(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"authors": Author.objects.count()})


def whoami(request: HttpRequest) -> HttpResponse:
    """Evaluate ``request.user``, as a view behind a login does."""
    return HttpResponse(str(request.user))


def stream(request: HttpRequest, chunks: int) -> StreamingHttpResponse:
    """Stream ``chunks`` chunks of 1,000 bytes, 10 ms apart, with one statement before each."""

    def body() -> Iterator[bytes]:
        for _ in range(chunks):
            count_statements(1)
            time.sleep(0.01)
            yield b"x" * 1000

    return StreamingHttpResponse(body())


def broken_stream(request: HttpRequest) -> StreamingHttpResponse:
    """Stream one chunk and then fail."""

    def body() -> Iterator[bytes]:
        yield b"first"
        raise RuntimeError("broken stream")

    return StreamingHttpResponse(body())


class Methods(View):
    """Answers each method with its name."""

    def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("GET")

    def put(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("PUT", status=201)


async def async_zero(request: HttpRequest) -> HttpResponse:
    return HttpResponse("zero queries")


async def async_queries(request: HttpRequest, n: int) -> HttpResponse:
    """Run ``n`` statements one await each, so that other requests run in between."""
    for _ in range(n):
        await sync_to_async(count_statements)(1)
        await asyncio.sleep(0)
    return HttpResponse(f"{n} queries")


async def async_sleep(request: HttpRequest, ms: int) -> HttpResponse:
    await asyncio.sleep(ms / 1000)
    return HttpResponse("slept")


async def async_error(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("async error")


async def async_stream(request: HttpRequest, chunks: int) -> StreamingHttpResponse:
    """Stream ``chunks`` chunks of 1,000 bytes, 10 ms apart, with one statement before each."""

    async def body() -> AsyncIterator[bytes]:
        for _ in range(chunks):
            await sync_to_async(count_statements)(1)
            await asyncio.sleep(0.01)
            yield b"x" * 1000

    return StreamingHttpResponse(body())
