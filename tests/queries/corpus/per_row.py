"""N+1 that is no plain reading of a relation: counts, filters, aggregates, lookups, deferred fields, raw SQL, writes."""

from __future__ import annotations

from django.db import connection
from django.db.models import Sum
from django.http import HttpRequest, HttpResponse

from tests.queries.corpus.answers import answer, n_plus_one, texts
from tests.queries.corpus.models import Author, Book, LogLine, Publisher, Tag


@answer(n_plus_one("Author.books", 'annotate(Count("books"))'))
def count_of_reverse_fk(request: HttpRequest) -> HttpResponse:
    return texts(
        author.books.count()  # here: count_of_reverse_fk
        for author in Author.objects.all()
    )


@answer(n_plus_one("Book.tags", 'annotate(Count("tags"))'))
def count_of_m2m(request: HttpRequest) -> HttpResponse:
    return texts(
        book.tags.count()  # here: count_of_m2m
        for book in Book.objects.all()
    )


@answer(n_plus_one("Author.books", 'annotate(Count("books"))'))
def count_of_filtered_reverse_fk(request: HttpRequest) -> HttpResponse:
    return texts(
        author.books.filter(pages__gt=3).count()  # here: count_of_filtered_reverse_fk
        for author in Author.objects.all()
    )


@answer(n_plus_one("Author.books", "annotate(Exists(...))"))
def exists_of_reverse_fk(request: HttpRequest) -> HttpResponse:
    return texts(
        author.books.exists()  # here: exists_of_reverse_fk
        for author in Author.objects.all()
    )


@answer(n_plus_one("Book.tags", "annotate(Exists(...))"))
def exists_of_m2m(request: HttpRequest) -> HttpResponse:
    return texts(
        book.tags.filter(name="tag 1").exists()  # here: exists_of_m2m
        for book in Book.objects.all()
    )


@answer(n_plus_one("Author.books", 'prefetch_related("books")'))
def first_of_reverse_fk(request: HttpRequest) -> HttpResponse:
    titles = []
    for author in Author.objects.all():
        book = author.books.order_by("title").first()  # here: first_of_reverse_fk
        titles.append(book.title if book else "")
    return texts(titles)


@answer(n_plus_one("Author.books", 'prefetch_related(Prefetch("books", queryset=...))'))
def filter_of_reverse_fk(request: HttpRequest) -> HttpResponse:
    titles = []
    for author in Author.objects.all():
        titles += [book.title for book in author.books.filter(pages__gt=3)]  # here: filter_of_reverse_fk
    return texts(titles)


@answer(n_plus_one("Book.tags", 'prefetch_related(Prefetch("tags", queryset=...))'))
def filter_of_m2m(request: HttpRequest) -> HttpResponse:
    names = []
    for book in Book.objects.all():
        names += list(book.tags.exclude(name="tag 3"))  # here: filter_of_m2m
    return texts(names)


@answer(n_plus_one("Author.books", 'prefetch_related("books")'))
def filter_by_fk_on_the_model(request: HttpRequest) -> HttpResponse:
    titles = []
    for author in Author.objects.all():
        for book in Book.objects.filter(author=author):  # here: filter_by_fk_on_the_model
            titles.append(book.title)
    return texts(titles)


@answer(n_plus_one("Author.books", 'prefetch_related("books")'))
def values_by_fk(request: HttpRequest) -> HttpResponse:
    titles = []
    for pk in Author.objects.values_list("pk", flat=True):
        titles += Book.objects.filter(author_id=pk).values_list("title", flat=True)  # here: values_by_fk
    return texts(titles)


@answer(n_plus_one("Author.books", 'annotate(Sum("books__pages"))'), needs="sql")
def aggregate_of_reverse_fk(request: HttpRequest) -> HttpResponse:
    return texts(
        author.books.aggregate(all=Sum("pages"))["all"]  # here: aggregate_of_reverse_fk
        for author in Author.objects.all()
    )


@answer(n_plus_one("Book.price", 'values("price").annotate(Count("pk"))'))
def count_of_each_value(request: HttpRequest) -> HttpResponse:
    return texts(
        Book.objects.filter(price=price).count()  # here: count_of_each_value
        for price in range(12)
    )


@answer(n_plus_one("Author.id", "in_bulk()"))
def get_by_key(request: HttpRequest) -> HttpResponse:
    names = []
    for pk in [book.author_id for book in Book.objects.all()]:
        names.append(Author.objects.get(pk=pk).name)  # here: get_by_key
    return texts(names)


@answer(n_plus_one("Author.name", "filter(name__in=[...])"))
def get_by_field(request: HttpRequest) -> HttpResponse:
    found = []
    for number in range(12):
        found.append(Author.objects.get(name=f"author {number}").bio)  # here: get_by_field
    return texts(found)


@answer(n_plus_one("Tag.name", "filter(name__in=[...])"))
def first_by_field(request: HttpRequest) -> HttpResponse:
    found = []
    for number in range(12):
        found.append(Tag.objects.filter(name=f"tag {number}").first())  # here: first_by_field
    return texts(found)


@answer(n_plus_one("Tag.name", "filter(name__in=[...])"))
def exists_by_field(request: HttpRequest) -> HttpResponse:
    found = []
    for number in range(12):
        found.append(Tag.objects.filter(name=f"tag {number}").exists())  # here: exists_by_field
    return texts(found)


@answer(n_plus_one("Author.name", "filter(name__in=[...])"))
def first_by_field_of_one_owner(request: HttpRequest) -> HttpResponse:
    publisher = Publisher.objects.get(slug="house1")
    found = []
    for number in range(12):
        authors = publisher.author_set.filter(name=f"author {number}")
        found.append(authors.first())  # here: first_by_field_of_one_owner
    return texts(found)


@answer(n_plus_one("Author.name", "filter(name__in=[...])"), needs="params")
def first_by_the_field_that_changes(request: HttpRequest) -> HttpResponse:
    found = []
    for number in range(12):
        authors = Author.objects.filter(bio="long", name=f"author {number}")
        found.append(authors.first())  # here: first_by_the_field_that_changes
    return texts(found)


@answer(n_plus_one("Author.id", "in_bulk()"))
def refresh_each(request: HttpRequest) -> HttpResponse:
    authors = list(Author.objects.all())
    for author in authors:
        author.refresh_from_db()  # here: refresh_each
    return texts(authors)


@answer(n_plus_one("Author.bio", 'leave "bio" out of defer()'))
def deferred_field(request: HttpRequest) -> HttpResponse:
    return texts(
        author.bio  # here: deferred_field
        for author in Author.objects.defer("bio")
    )


@answer(n_plus_one("Author.bio", 'leave "bio" out of defer()'))
def field_outside_of_only(request: HttpRequest) -> HttpResponse:
    return texts(
        author.bio  # here: field_outside_of_only
        for author in Author.objects.only("name")
    )


@answer(n_plus_one("Author.name", "WHERE name IN (...)"), needs="sql")
def raw_cursor(request: HttpRequest) -> HttpResponse:
    found = []
    with connection.cursor() as cursor:
        for number in range(12):
            cursor.execute(  # here: raw_cursor
                "SELECT bio FROM corpus_author WHERE name = %s", [f"author {number}"]
            )
            found += cursor.fetchall()
    return texts(found)


@answer(n_plus_one("Author.name", "WHERE name IN (...)"), needs="sql")
def raw_cursor_with_literals(request: HttpRequest) -> HttpResponse:
    found = []
    with connection.cursor() as cursor:
        for number in range(12):
            cursor.execute(  # here: raw_cursor_with_literals
                f"SELECT bio FROM corpus_author WHERE name = 'author {number}'"
            )
            found += cursor.fetchall()
    return texts(found)


@answer(n_plus_one("Author.name", "WHERE name IN (...)"), needs="sql")
def raw_queryset(request: HttpRequest) -> HttpResponse:
    found = []
    for number in range(12):
        wanted = Author.objects.raw(
            "SELECT id, name FROM corpus_author WHERE name = %s", [f"author {number}"]
        )
        found += [author.name for author in wanted]  # here: raw_queryset
    return texts(found)


# Writes


@answer(n_plus_one("LogLine", "bulk_create()"))
def save_of_new_rows(request: HttpRequest) -> HttpResponse:
    for number in range(12):
        line = LogLine(text=str(number))
        line.save()  # here: save_of_new_rows
    return texts([])


@answer(n_plus_one("LogLine", "bulk_create()"))
def create_in_loop(request: HttpRequest) -> HttpResponse:
    for number in range(12):
        LogLine.objects.create(text=str(number))  # here: create_in_loop
    return texts([])


@answer(n_plus_one("Book", "bulk_update()"))
def save_of_changed_rows(request: HttpRequest) -> HttpResponse:
    for book in Book.objects.all():
        book.price += 1
        book.save()  # here: save_of_changed_rows
    return texts([])


@answer(n_plus_one("Book", "bulk_update()"))
def save_of_one_field(request: HttpRequest) -> HttpResponse:
    for book in Book.objects.all():
        book.pages += 1
        book.save(update_fields=["pages"])  # here: save_of_one_field
    return texts([])


@answer(n_plus_one("Book", "bulk_update()"))
def update_for_each_row(request: HttpRequest) -> HttpResponse:
    for number, pk in enumerate(Book.objects.values_list("pk", flat=True)):
        Book.objects.filter(pk=pk).update(price=number)  # here: update_for_each_row
    return texts([])


@answer(n_plus_one("LogLine", "filter(pk__in=[...]).delete()"))
def delete_in_loop(request: HttpRequest) -> HttpResponse:
    for line in LogLine.objects.all():
        line.delete()  # here: delete_in_loop
    return texts([])


@answer(n_plus_one("Book_tags", "bulk_create()"), needs="joins")
def add_to_m2m_in_loop(request: HttpRequest) -> HttpResponse:
    tag = Tag.objects.create(name="new")
    for book in Book.objects.all():
        book.tags.add(tag)  # here: add_to_m2m_in_loop
    return texts([])


@answer(
    n_plus_one("Publisher.slug", "filter(slug__in=[...])", "get_or_create"),
    n_plus_one("Publisher", "bulk_create()", "get_or_create"),
)
def get_or_create_in_loop(request: HttpRequest) -> HttpResponse:
    for number in range(12):
        Publisher.objects.get_or_create(slug=f"new {number}")  # here: get_or_create
    return texts([])


@answer(
    n_plus_one("Chapter.book", "filter(book__in=[...])", "get_or_create of manager"),
    n_plus_one("Chapter", "bulk_create()", "get_or_create of manager"),
    needs="params",
)
def get_or_create_by_manager(request: HttpRequest) -> HttpResponse:
    for book in Book.objects.all():
        book.chapter_set.get_or_create(title="two")  # here: get_or_create of manager
    return texts([])


@answer(n_plus_one("Book", "bulk_update()"), needs="sql")
def raw_update_in_loop(request: HttpRequest) -> HttpResponse:
    with connection.cursor() as cursor:
        for number in range(12):
            cursor.execute(  # here: raw_update_in_loop
                "UPDATE corpus_book SET pages = 1 WHERE price = %s", [number]
            )
    return texts([])
