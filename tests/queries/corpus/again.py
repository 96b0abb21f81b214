"""Duplicates, chatty requests and slow statements."""

from __future__ import annotations

from itertools import product

from django.db import connection
from django.forms import modelformset_factory
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from tests.queries.corpus.answers import Answer, answer, duplicate, texts
from tests.queries.corpus.models import Author, Book, Profile, Publisher, Tag
from tests.testapp.views import SLOW_SQL


def house() -> Publisher:
    return Publisher.objects.get(slug="house")  # here: duplicate_in_helper


@answer(duplicate("Publisher"))
def duplicate_in_helper(request: HttpRequest) -> HttpResponse:
    return texts([house(), house(), house(), house()])


@answer(duplicate("Publisher"))
def duplicate_in_loop(request: HttpRequest) -> HttpResponse:
    found = []
    for author in Author.objects.all():
        found.append((author, Publisher.objects.get(slug="house")))  # here: duplicate_in_loop
    return texts(found)


@answer(duplicate("Publisher", "duplicate_in_property"))
def duplicate_in_property_of_rows(request: HttpRequest) -> HttpResponse:
    return texts(author.house for author in Author.objects.all())


@answer(duplicate("Publisher", "duplicate_in_property"))
def duplicate_in_property_from_template(request: HttpRequest) -> HttpResponse:
    return render(request, "corpus/houses.html", {"authors": Author.objects.all()})


@answer(duplicate("Tag"))
def duplicate_from_three_lines(request: HttpRequest) -> HttpResponse:
    one = Tag.objects.get(name="tag 1")
    two = Tag.objects.get(name="tag 1")
    three = Tag.objects.get(name="tag 1")  # here: duplicate_from_three_lines
    return texts([one, two, three])


@answer(duplicate("Book"))
def duplicate_count(request: HttpRequest) -> HttpResponse:
    books = Book.objects.filter(pages__gt=3)
    shown = []
    for _ in range(4):
        shown.append(books.count())  # here: duplicate_count
    return texts(shown)


@answer(duplicate("Tag"))
def duplicate_of_a_whole_table(request: HttpRequest) -> HttpResponse:
    shown = []
    for _ in range(5):
        shown += list(Tag.objects.all())  # here: duplicate_of_a_whole_table
    return texts(shown)


@answer(duplicate("Tag"))
def queryset_evaluated_anew_each_time(request: HttpRequest) -> HttpResponse:
    tags = Tag.objects.filter(name__startswith="tag")
    shown = []
    for number in range(4):
        shown.append(tags[number])
        shown += list(tags.all())  # here: queryset_evaluated_anew_each_time
    return texts(shown)


@answer(duplicate("Author"), needs="sql")
def duplicate_by_cursor(request: HttpRequest) -> HttpResponse:
    found = []
    with connection.cursor() as cursor:
        for _ in range(4):
            cursor.execute(  # here: duplicate_by_cursor
                "SELECT COUNT(*) FROM corpus_author WHERE name = %s", ["author 1"]
            )
            found += cursor.fetchall()
    return texts(found)


@answer(duplicate("Author"), needs="sql")
def duplicate_by_cursor_with_literals(request: HttpRequest) -> HttpResponse:
    found = []
    with connection.cursor() as cursor:
        for _ in range(4):
            cursor.execute(  # here: duplicate_by_cursor_with_literals
                "SELECT bio FROM corpus_author WHERE name = 'author 1'"
            )
            found += cursor.fetchall()
    return texts(found)


@answer(duplicate("Author"))
def choices_of_every_form_of_a_formset(request: HttpRequest) -> HttpResponse:
    forms = modelformset_factory(Profile, fields=["author", "website"], extra=0)
    shown = forms(queryset=Profile.objects.all())
    return HttpResponse(shown.as_p())  # here: choices_of_every_form_of_a_formset


@answer(Answer("duplicate", "corpus.Book.author", 'select_related("author")'))
def forward_fk_of_one_author(request: HttpRequest) -> HttpResponse:
    Book.objects.filter(pages__gte=0).update(author=Author.objects.get(name="author 1"))
    names = []
    for book in Book.objects.all():
        names.append(book.author.name)  # here: forward_fk_of_one_author
    return texts(names)


FIELDS = ["id", "title", "pages", "price", "author_id", "editor_id"]


def many_different(orders: int) -> HttpResponse:
    shown = []
    for one, two, sign in list(product(FIELDS, FIELDS, ("", "-")))[:orders]:
        shown.append(
            Book.objects.filter(title="book 1").order_by(one, sign + two).values_list(one, two).first()
        )
    return texts(shown)


@answer(Answer("chatty", "", "fewer statements"))
def chatty(request: HttpRequest) -> HttpResponse:
    return many_different(60)


@answer(Answer("slow", "", "look at its plan"), needs="sql", slow_ms=1)
def slow_statement(request: HttpRequest) -> HttpResponse:
    with connection.cursor() as cursor:
        cursor.execute(SLOW_SQL, [200_000])  # here: slow_statement
        return HttpResponse(str(cursor.fetchone()))
