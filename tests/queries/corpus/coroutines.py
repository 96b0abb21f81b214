"""Async views: the statements run in another thread than the code that asks for them."""

from __future__ import annotations

import asyncio

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse

from tests.queries.corpus.answers import answer, duplicate, n_plus_one, texts
from tests.queries.corpus.models import Author, Book, LogLine, Publisher


@answer(n_plus_one("Author.id", "in_bulk()"), needs="async")
async def async_get_by_key(request: HttpRequest) -> HttpResponse:
    names = []
    async for book in Book.objects.all():
        author = await Author.objects.aget(pk=book.author_id)  # here: async_get_by_key
        names.append(author.name)
    return texts(names)


@answer(n_plus_one("Author.books", 'prefetch_related("books")'), needs="async")
async def async_for_of_reverse_fk(request: HttpRequest) -> HttpResponse:
    titles = []
    async for author in Author.objects.all():
        async for book in author.books.all():  # here: async_for_of_reverse_fk
            titles.append(book.title)
    return texts(titles)


@answer(n_plus_one("Book.tags", 'prefetch_related("tags")'), needs="async")
async def async_comprehension_of_m2m(request: HttpRequest) -> HttpResponse:
    names = []
    async for book in Book.objects.all():
        names += [tag.name async for tag in book.tags.all()]  # here: async_comprehension_of_m2m
    return texts(names)


@answer(n_plus_one("Author.books", 'annotate(Count("books"))'), needs="async")
async def async_count_of_reverse_fk(request: HttpRequest) -> HttpResponse:
    numbers = []
    async for author in Author.objects.all():
        numbers.append(await author.books.acount())  # here: async_count_of_reverse_fk
    return texts(numbers)


async def number_of(author: Author) -> bool:
    return await author.books.aexists()  # here: async_exists_in_helper


@answer(n_plus_one("Author.books", "annotate(Exists(...))"), needs="async")
async def async_exists_in_helper(request: HttpRequest) -> HttpResponse:
    return texts([await number_of(author) async for author in Author.objects.all()])


def name_of_author(book: Book) -> str:
    return book.author.name  # here: forward_fk_in_a_thread


@answer(n_plus_one("Book.author", 'select_related("author")'), needs="async")
async def forward_fk_in_a_thread(request: HttpRequest) -> HttpResponse:
    return texts([await sync_to_async(name_of_author)(book) async for book in Book.objects.all()])


@answer(n_plus_one("LogLine", "bulk_create()"), needs="async")
async def async_create_in_loop(request: HttpRequest) -> HttpResponse:
    for number in range(12):
        await LogLine.objects.acreate(text=str(number))  # here: async_create_in_loop
    return texts([])


@answer(n_plus_one("Author.books", 'annotate(Count("books"))'), needs="async")
async def gathered_counts(request: HttpRequest) -> HttpResponse:
    async def count(author: Author) -> int:
        return await author.books.acount()  # here: gathered_counts

    return texts(await asyncio.gather(*[count(author) async for author in Author.objects.all()]))


@answer(duplicate("Publisher"), needs="async")
async def async_duplicate(request: HttpRequest) -> HttpResponse:
    found = []
    for _ in range(4):
        found.append(await Publisher.objects.aget(slug="house"))  # here: async_duplicate
    return texts(found)


@answer(needs="async")
async def async_prefetch(request: HttpRequest) -> HttpResponse:
    titles = []
    async for author in Author.objects.prefetch_related("books"):
        titles += [book.title async for book in author.books.all()]
    return texts(titles)


@answer(needs="async")
async def async_lookups_of_few(request: HttpRequest) -> HttpResponse:
    one, two, three = await asyncio.gather(
        Author.objects.aget(name="author 1"),
        Author.objects.aget(name="author 2"),
        Author.objects.aget(name="author 3"),
    )
    return texts([one, two, three])
