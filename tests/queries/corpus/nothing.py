"""Views that do it right, or do what looks like a repetition and is none: there is nothing to find in them."""

from __future__ import annotations

from django.contrib.auth.models import Permission, User
from django.contrib.contenttypes.models import ContentType
from django.core.paginator import Paginator
from django.db import connection, transaction
from django.db.models import Count, Exists, OuterRef, Prefetch, Q
from django.forms import modelform_factory, modelformset_factory
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from tests.queries.corpus.again import many_different
from tests.queries.corpus.answers import answer, fine, texts
from tests.queries.corpus.models import Author, Book, Chapter, Club, Comment, LogLine, Profile, Publisher, Tag

# What a view of this file must leave in the database has more rows than a batch.
MANY = 60


@fine
def with_select_related(request: HttpRequest) -> HttpResponse:
    return texts(book.author.name for book in Book.objects.select_related("author", "editor"))


@fine
def with_select_related_over_two(request: HttpRequest) -> HttpResponse:
    return texts(c.book.author.name for c in Chapter.objects.select_related("book__author"))


@fine
def with_select_related_of_one_to_one(request: HttpRequest) -> HttpResponse:
    return texts(author.profile.website for author in Author.objects.select_related("profile"))


@fine
def with_prefetch_related(request: HttpRequest) -> HttpResponse:
    authors = Author.objects.prefetch_related("books", "edited")
    return texts(len(author.books.all()) + len(author.edited.all()) for author in authors)


@answer(needs="joins")
def with_nested_prefetch(request: HttpRequest) -> HttpResponse:
    authors = Author.objects.prefetch_related("books__chapter_set", "books__tags")
    return texts(
        [*book.chapter_set.all(), *book.tags.all()] for author in authors for book in author.books.all()
    )


@fine
def with_prefetch_of_generic(request: HttpRequest) -> HttpResponse:
    found = [comment.target.title for comment in Comment.objects.prefetch_related("target")]
    books = Book.objects.prefetch_related("comments")
    return texts([*found, *(list(book.comments.all()) for book in books)])


@fine
def with_prefetch_to_attribute(request: HttpRequest) -> HttpResponse:
    long = Book.objects.filter(pages__gt=3)
    authors = Author.objects.prefetch_related(Prefetch("books", queryset=long, to_attr="long_books"))
    return texts(author.long_books for author in authors)


@fine
def with_prefetch_in_template(request: HttpRequest) -> HttpResponse:
    return render(request, "corpus/authors.html", {"authors": Author.objects.prefetch_related("books")})


@answer(needs="joins")
def with_annotations(request: HttpRequest) -> HttpResponse:
    authors = Author.objects.annotate(n=Count("books")).values_list("n", flat=True)
    some = Author.objects.annotate(any=Exists(Book.objects.filter(author=OuterRef("pk"))))
    return texts([*authors, *(author.any for author in some)])


@fine
def with_in_bulk(request: HttpRequest) -> HttpResponse:
    books = list(Book.objects.all())
    authors = Author.objects.in_bulk([book.author_id for book in books])
    return texts(authors[book.author_id].name for book in books)


@fine
def with_values_over_a_join(request: HttpRequest) -> HttpResponse:
    return texts(Book.objects.values_list("title", "author__name"))


@fine
def of_one_author_that_is_kept(request: HttpRequest) -> HttpResponse:
    author = Author.objects.get(name="author 1")
    books = [Book(title=str(n), author=author, editor=author) for n in range(20)]
    return texts(book.author.name for book in books)


@fine
def of_the_rows_of_a_reverse_fk(request: HttpRequest) -> HttpResponse:
    author = Author.objects.get(name="author 1")
    return texts(book.author.name for book in author.books.all())


@fine
def page_with_its_count(request: HttpRequest) -> HttpResponse:
    page = Paginator(Book.objects.select_related("author").order_by("pk"), 5).get_page(2)
    return texts([page.paginator.count, *page])


@fine
def batches_by_key(request: HttpRequest) -> HttpResponse:
    LogLine.objects.bulk_create([LogLine(text=str(n)) for n in range(MANY)])
    shown, last = [], None
    while True:
        lines = LogLine.objects.order_by("pk")
        batch = list(lines.filter(pk__gt=last)[:5] if last else lines[:5])
        if not batch:
            return texts(shown)
        shown += batch
        last = batch[-1].pk


@fine
def batches_of_one_author_by_key(request: HttpRequest) -> HttpResponse:
    author = Author.objects.get(name="author 1")
    Book.objects.bulk_create([Book(title=str(n), author=author, editor=author) for n in range(MANY)])
    shown, last = 0, None
    while True:
        books = author.books.order_by("pk")
        batch = list(books.filter(pk__gt=last)[:5] if last else books[:5])
        if not batch:
            return texts([shown])
        shown += len(batch)
        last = batch[-1].pk


@fine
def batches_by_offset(request: HttpRequest) -> HttpResponse:
    LogLine.objects.bulk_create([LogLine(text=str(n)) for n in range(MANY)])
    pages = Paginator(LogLine.objects.order_by("pk"), 5)
    return texts(len(page) for page in pages)


@fine
def batches_of_a_filter_by_offset(request: HttpRequest) -> HttpResponse:
    author = Author.objects.get(name="author 1")
    Book.objects.bulk_create([Book(title=str(n), author=author, editor=author) for n in range(MANY)])
    return texts(len(page) for page in Paginator(author.books.order_by("pk"), 5))


@fine
def batches_by_range(request: HttpRequest) -> HttpResponse:
    return texts(
        sum(book.price for book in Book.objects.filter(pages__gte=low, pages__lt=low + 5))
        for low in range(0, MANY, 5)
    )


@fine
def batches_of_lists(request: HttpRequest) -> HttpResponse:
    LogLine.objects.bulk_create([LogLine(text=str(n)) for n in range(20 * 12)])
    keys = list(LogLine.objects.values_list("pk", flat=True))
    shown = []
    for start in range(0, len(keys), 20):
        shown += LogLine.objects.filter(pk__in=keys[start : start + 20])
    return texts(shown)


@fine
def iterator(request: HttpRequest) -> HttpResponse:
    LogLine.objects.bulk_create([LogLine(text=str(n)) for n in range(MANY)])
    return texts(LogLine.objects.iterator(chunk_size=4))


@fine
def the_same_twice(request: HttpRequest) -> HttpResponse:
    shown = []
    for _ in range(2):
        shown += LogLine.objects.filter(text="done")
    return texts(shown)


@fine
def count_after_each_change(request: HttpRequest) -> HttpResponse:
    shown = []
    for number in range(4):
        LogLine.objects.create(text=str(number))
        shown.append(LogLine.objects.count())
    return texts(shown)


@fine
def refresh_after_each_change(request: HttpRequest) -> HttpResponse:
    book = Book.objects.get(title="book 1")
    for number in range(4):
        Book.objects.filter(pk=book.pk).update(pages=number)
        book.refresh_from_db()
    return texts([book.pages])


@fine
def formset_of_many(request: HttpRequest) -> HttpResponse:
    forms = modelformset_factory(Profile, fields=["website"], extra=0)
    return HttpResponse(forms(queryset=Profile.objects.all()).as_p())


@fine
def saved_formset_of_many(request: HttpRequest) -> HttpResponse:
    forms = modelformset_factory(Profile, fields=["website"], extra=0)
    profiles = list(Profile.objects.order_by("pk"))
    data = {"form-TOTAL_FORMS": str(len(profiles)), "form-INITIAL_FORMS": str(len(profiles))}
    for number, profile in enumerate(profiles):
        data |= {f"form-{number}-id": str(profile.pk), f"form-{number}-website": f"new {number}"}
    posted = forms(data, queryset=Profile.objects.order_by("pk"))
    assert posted.is_valid(), posted.errors
    posted.save()
    return texts(Profile.objects.filter(website__startswith="new"))


@fine
def three_lookups_from_three_lines(request: HttpRequest) -> HttpResponse:
    one = Author.objects.get(name="author 1")
    two = Author.objects.get(name="author 2")
    three = Author.objects.get(name="author 3")
    return texts([one, two, three])


@fine
def twelve_lookups_from_twelve_lines(request: HttpRequest) -> HttpResponse:
    get = Author.objects.get
    return texts([
        get(name="author 0").bio,
        get(name="author 1").bio,
        get(name="author 2").bio,
        get(name="author 3").bio,
        get(name="author 4").bio,
        get(name="author 5").bio,
        get(name="author 6").bio,
        get(name="author 7").bio,
        get(name="author 8").bio,
        get(name="author 9").bio,
        get(name="author 10").bio,
        get(name="author 11").bio,
    ])  # fmt: skip


@fine
def four_rows_only(request: HttpRequest) -> HttpResponse:
    return texts(book.author.name for book in Book.objects.all()[:4])


@fine
def bulk_create_in_batches(request: HttpRequest) -> HttpResponse:
    LogLine.objects.bulk_create([LogLine(text=str(n)) for n in range(12 * 5)], batch_size=5)
    return texts([])


@fine
def bulk_create_of_each_batch(request: HttpRequest) -> HttpResponse:
    for start in range(0, MANY, 5):
        LogLine.objects.bulk_create([LogLine(text=str(n)) for n in range(start, start + 5)])
    return texts([])


@answer(needs="sql")
def bulk_update_in_batches(request: HttpRequest) -> HttpResponse:
    lines = LogLine.objects.bulk_create([LogLine(text=str(n)) for n in range(12 * 5)])
    for line in lines:
        line.text += "!"
    LogLine.objects.bulk_update(lines, ["text"], batch_size=5)
    return texts([])


@fine
def update_of_many(request: HttpRequest) -> HttpResponse:
    Book.objects.filter(pages__gt=3).update(price=1)
    return texts([])


@fine
def delete_with_what_depends_on_it(request: HttpRequest) -> HttpResponse:
    Book.objects.all().delete()
    Club.objects.all().delete()
    return texts([])


@fine
def add_many_to_one_m2m(request: HttpRequest) -> HttpResponse:
    book = Book.objects.get(title="book 1")
    book.tags.set(Tag.objects.all())
    return texts(book.tags.all())


@fine
def session_and_user(request: HttpRequest) -> HttpResponse:
    user = User.objects.create(username="someone")
    found = User.objects.get(pk=user.pk)
    allowed = [found.has_perm(f"corpus.view_{name}") for name in ("book", "author", "tag", "club", "profile")]
    return texts([*allowed, Permission.objects.filter(user=found).exists()])


@fine
def content_types(request: HttpRequest) -> HttpResponse:
    models = (Author, Book, Chapter, Club, Comment, Profile, Publisher, Tag)
    return texts(ContentType.objects.get_for_model(model).pk for _ in range(4) for model in models)


@answer(needs="sql")
def savepoints(request: HttpRequest) -> HttpResponse:
    with transaction.atomic():
        for _ in range(12):
            with transaction.atomic():
                pass
    return texts([])


@answer(needs="sql")
def savepoints_around_few_rows(request: HttpRequest) -> HttpResponse:
    for number in range(4):
        with transaction.atomic():
            LogLine.objects.create(text=str(number))
    return texts([])


@fine
def get_or_create_of_few(request: HttpRequest) -> HttpResponse:
    return texts(Publisher.objects.get_or_create(slug=slug) for slug in ("one", "two", "three", "one"))


@answer(needs="sql")
def many_at_once_by_cursor(request: HttpRequest) -> HttpResponse:
    with connection.cursor() as cursor:
        for start in range(12):
            cursor.executemany(
                "UPDATE corpus_book SET pages = %s WHERE price = %s", [(n, start) for n in range(5)]
            )
    return texts([])


@fine
def different_filters_of_one_table(request: HttpRequest) -> HttpResponse:
    books = Book.objects.select_related("author")
    return texts([
        *books.filter(title="book 1"),
        *books.filter(pages=1),
        *books.filter(price=1),
        *books.filter(title="book 1", pages=1),
        *books.filter(Q(title="book 1") | Q(pages=1)),
        *books.exclude(pages=1),
        *books.order_by("pages")[:3],
    ])  # fmt: skip


@fine
def forty_different_statements(request: HttpRequest) -> HttpResponse:
    return many_different(40)


@fine
def no_statement(request: HttpRequest) -> HttpResponse:
    return texts(["nothing"])


@fine
def ranges_of_one_owner(request: HttpRequest) -> HttpResponse:
    author = Author.objects.get(name="author 1")
    return texts(author.books.filter(pages__gte=n, pages__lt=n + 2).count() for n in range(12))


@fine
def pages_of_one_owner(request: HttpRequest) -> HttpResponse:
    author = Author.objects.get(name="author 1")
    found: list[Book] = []
    for number in range(12):
        found += author.books.order_by("pk")[number * 5 : number * 5 + 5]
    return texts(book.title for book in found)


@fine
def choices_of_two_fields_of_a_form(request: HttpRequest) -> HttpResponse:
    form = modelform_factory(Book, fields=["author", "editor"])
    return HttpResponse(form().as_p())
