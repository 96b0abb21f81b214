"""N+1 of every relation kind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.models import prefetch_related_objects
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render

from tests.queries.corpus.answers import answer, n_plus_one, texts
from tests.queries.corpus.models import (
    Author,
    Book,
    Category,
    Chapter,
    Club,
    Comment,
    Membership,
    Place,
    Profile,
    Reader,
    Sale,
    Shop,
    Tag,
)

OF_AUTHOR = n_plus_one("Book.author", 'select_related("author")')


@answer(OF_AUTHOR)
def forward_fk(request: HttpRequest) -> HttpResponse:
    names = []
    for book in Book.objects.all():
        names.append(book.author.name)  # here: forward_fk
    return texts(names)


@answer(n_plus_one("Book.editor", 'select_related("editor")'))
def forward_fk_to_the_same_model(request: HttpRequest) -> HttpResponse:
    return texts(
        book.editor.name  # here: forward_fk_to_the_same_model
        for book in Book.objects.all()
    )


@answer(OF_AUTHOR, n_plus_one("Book.editor", 'select_related("editor")', "editor of two"))
def two_fks_of_one_model(request: HttpRequest) -> HttpResponse:
    names = []
    for book in Book.objects.all():
        names.append(book.author.name)  # here: two_fks_of_one_model
        names.append(book.editor.name)  # here: editor of two
    return texts(names)


@answer(OF_AUTHOR)
def forward_fk_of_few_authors(request: HttpRequest) -> HttpResponse:
    one, two = Author.objects.all()[:2]
    Book.objects.filter(pages__lt=6).update(author=one)
    Book.objects.filter(pages__gte=6).update(author=two)
    names = []
    for book in Book.objects.all():
        names.append(book.author.name)  # here: forward_fk_of_few_authors
    return texts(names)


@answer(OF_AUTHOR)
def forward_fk_in_property(request: HttpRequest) -> HttpResponse:
    return texts(book.author_name for book in Book.objects.all())


@answer(OF_AUTHOR)
def forward_fk_in_str(request: HttpRequest) -> HttpResponse:
    return texts(Book.objects.all())


@answer(OF_AUTHOR)
def forward_fk_in_template(request: HttpRequest) -> HttpResponse:
    books = Book.objects.all()
    return render(request, "corpus/books.html", {"books": books})  # here: forward_fk_in_template


def as_dict(book: Book) -> dict[str, Any]:
    return {
        "title": book.title,
        "author": book.author.name,  # here: forward_fk_in_serializer
    }


@answer(OF_AUTHOR)
def forward_fk_in_serializer(request: HttpRequest) -> HttpResponse:
    return texts([as_dict(book) for book in Book.objects.all()])


@answer(OF_AUTHOR)
def forward_fk_in_sort_key(request: HttpRequest) -> HttpResponse:
    return texts(
        sorted(
            Book.objects.all(),
            key=lambda book: book.author.name,  # here: forward_fk_in_sort_key
        )
    )


@answer(OF_AUTHOR)
def forward_fk_in_generator(request: HttpRequest) -> HttpResponse:
    def names() -> Iterator[str]:
        for book in Book.objects.all():
            yield book.author.name  # here: forward_fk_in_generator

    return texts(names())


@answer(OF_AUTHOR)
def forward_fk_in_stream(request: HttpRequest) -> StreamingHttpResponse:
    def body() -> Iterator[str]:
        for book in Book.objects.all():
            yield book.author.name  # here: forward_fk_in_stream

    return StreamingHttpResponse(body())


@answer(OF_AUTHOR)
def forward_fk_of_iterator(request: HttpRequest) -> HttpResponse:
    names = []
    for book in Book.objects.iterator(chunk_size=100):
        names.append(book.author.name)  # here: forward_fk_of_iterator
    return texts(names)


@answer(n_plus_one("Category.parent", 'select_related("parent")'))
def fk_to_self(request: HttpRequest) -> HttpResponse:
    names = []
    for category in Category.objects.exclude(parent=None):
        names.append(category.parent.name)  # type: ignore[union-attr]  # here: fk_to_self
    return texts(names)


@answer(n_plus_one("Category.children", 'prefetch_related("children")'))
def reverse_fk_to_self(request: HttpRequest) -> HttpResponse:
    names = []
    for category in Category.objects.filter(parent=None):
        names += category.children.all()  # here: reverse_fk_to_self
    return texts(names)


@answer(n_plus_one("Author.books", 'prefetch_related("books")'))
def reverse_fk(request: HttpRequest) -> HttpResponse:
    titles = []
    for author in Author.objects.all():
        for book in author.books.all():  # here: reverse_fk
            titles.append(book.title)
    return texts(titles)


@answer(n_plus_one("Author.edited", 'prefetch_related("edited")'))
def reverse_fk_second(request: HttpRequest) -> HttpResponse:
    return texts(
        len(author.edited.all())  # here: reverse_fk_second
        for author in Author.objects.all()
    )


@answer(n_plus_one("Book.chapter_set", 'prefetch_related("chapter_set")'))
def reverse_fk_without_name(request: HttpRequest) -> HttpResponse:
    titles = []
    for book in Book.objects.all():
        titles += [chapter.title for chapter in book.chapter_set.all()]  # here: reverse_fk_without_name
    return texts(titles)


@answer(n_plus_one("Author.books", 'prefetch_related("books")'))
def reverse_fk_in_template(request: HttpRequest) -> HttpResponse:
    authors = Author.objects.all()
    return render(request, "corpus/authors.html", {"authors": authors})  # here: reverse_fk_in_template


@answer(n_plus_one("Profile.author", 'select_related("author")'))
def one_to_one_forward(request: HttpRequest) -> HttpResponse:
    names = []
    for profile in Profile.objects.all():
        names.append(profile.author.name)  # here: one_to_one_forward
    return texts(names)


@answer(n_plus_one("Author.profile", 'select_related("profile")'))
def one_to_one_reverse(request: HttpRequest) -> HttpResponse:
    names = []
    for author in Author.objects.all():
        names.append(author.profile.website)  # here: one_to_one_reverse
    return texts(names)


@answer(n_plus_one("Book.tags", 'prefetch_related("tags")'))
def m2m_forward(request: HttpRequest) -> HttpResponse:
    names = []
    for book in Book.objects.all():
        names += [tag.name for tag in book.tags.all()]  # here: m2m_forward
    return texts(names)


@answer(n_plus_one("Tag.books", 'prefetch_related("books")'))
def m2m_reverse(request: HttpRequest) -> HttpResponse:
    titles = []
    for tag in Tag.objects.all():
        titles += [book.title for book in tag.books.all()]  # here: m2m_reverse
    return texts(titles)


@answer(n_plus_one("Reader.friends", 'prefetch_related("friends")'))
def m2m_to_self(request: HttpRequest) -> HttpResponse:
    names: list[str] = []
    for reader in Reader.objects.all():
        names += [friend.name for friend in reader.friends.all()]  # here: m2m_to_self
    return texts(names)


@answer(n_plus_one("Reader.follows", 'prefetch_related("follows")'))
def m2m_to_self_one_way(request: HttpRequest) -> HttpResponse:
    names: list[str] = []
    for reader in Reader.objects.all():
        names += [other.name for other in reader.follows.all()]  # here: m2m_to_self_one_way
    return texts(names)


@answer(n_plus_one("Reader.followers", 'prefetch_related("followers")'))
def m2m_to_self_the_other_way(request: HttpRequest) -> HttpResponse:
    names: list[str] = []
    for reader in Reader.objects.all():
        names += [other.name for other in reader.followers.all()]  # here: m2m_to_self_the_other_way
    return texts(names)


@answer(n_plus_one("Place.shop", 'select_related("shop")'))
def child_of_a_model_in_two_tables(request: HttpRequest) -> HttpResponse:
    return texts(
        place.shop.code  # here: child_of_a_model_in_two_tables
        for place in Place.objects.all()
    )


@answer(n_plus_one("Place.owner", 'select_related("owner")'))
def fk_of_the_parent_of_a_model_in_two_tables(request: HttpRequest) -> HttpResponse:
    return texts(
        shop.owner.name  # here: fk_of_the_parent_of_a_model_in_two_tables
        for shop in Shop.objects.all()
    )


@answer()
def parent_of_a_model_in_two_tables(request: HttpRequest) -> HttpResponse:
    """Django makes the parent of what the join has read."""
    return texts(shop.place_ptr.name for shop in Shop.objects.all())


@answer(n_plus_one("Sale.shop", 'select_related("shop")'))
def fk_to_field(request: HttpRequest) -> HttpResponse:
    return texts(
        sale.shop.name  # here: fk_to_field
        for sale in Sale.objects.all()
    )


@answer(n_plus_one("Shop.sale_set", 'prefetch_related("sale_set")'))
def reverse_fk_to_field(request: HttpRequest) -> HttpResponse:
    totals: list[int] = []
    for shop in Shop.objects.all():
        totals += [sale.total for sale in shop.sale_set.all()]  # here: reverse_fk_to_field
    return texts(totals)


@answer(n_plus_one("Club.members", 'prefetch_related("members")'))
def m2m_through_forward(request: HttpRequest) -> HttpResponse:
    names = []
    for club in Club.objects.all():
        names += [author.name for author in club.members.all()]  # here: m2m_through_forward
    return texts(names)


@answer(n_plus_one("Author.clubs", 'prefetch_related("clubs")'))
def m2m_through_reverse(request: HttpRequest) -> HttpResponse:
    names = []
    for author in Author.objects.all():
        names += [club.name for club in author.clubs.all()]  # here: m2m_through_reverse
    return texts(names)


@answer(n_plus_one("Club.membership_set", 'prefetch_related("membership_set")'))
def rows_of_through_table(request: HttpRequest) -> HttpResponse:
    roles = []
    for club in Club.objects.all():
        roles += [each.role for each in club.membership_set.all()]  # here: rows_of_through_table
    return texts(roles)


@answer(
    n_plus_one("Membership.club", 'select_related("club")', "club of through"),
    n_plus_one("Membership.author", 'select_related("author")', "author of through"),
)
def fks_of_through_table(request: HttpRequest) -> HttpResponse:
    names = []
    for membership in Membership.objects.all():
        names.append(membership.club.name)  # here: club of through
        names.append(membership.author.name)  # here: author of through
    return texts(names)


@answer(n_plus_one("Comment.target", 'prefetch_related("target")'))
def generic_fk(request: HttpRequest) -> HttpResponse:
    titles = []
    for comment in Comment.objects.all():
        titles.append(comment.target.title)  # here: generic_fk
    return texts(titles)


@answer(n_plus_one("Book.comments", 'prefetch_related("comments")'))
def generic_relation(request: HttpRequest) -> HttpResponse:
    found = []
    for book in Book.objects.all():
        found += [comment.text for comment in book.comments.all()]  # here: generic_relation
    return texts(found)


@answer(
    n_plus_one("Author.books", 'prefetch_related("books")', "outer of nested"),
    n_plus_one("Book.chapter_set", 'prefetch_related("chapter_set")', "inner of nested"),
)
def nested_reverse_fks(request: HttpRequest) -> HttpResponse:
    titles = []
    for author in Author.objects.all():
        for book in author.books.all():  # here: outer of nested
            for chapter in book.chapter_set.all():  # here: inner of nested
                titles.append(chapter.title)
    return texts(titles)


@answer(n_plus_one("Chapter.book", 'select_related("book")'), OF_AUTHOR)
def nested_forward_fks(request: HttpRequest) -> HttpResponse:
    names = []
    for chapter in Chapter.objects.all():
        names.append(chapter.book.author.name)  # here: nested_forward_fks
    return texts(names)


@answer(
    n_plus_one("Book.tags", 'prefetch_related("tags")', "tags of mixed"),
    n_plus_one("Author.publisher", 'select_related("publisher")', "publisher of mixed"),
)
def mixed_behind_select_related(request: HttpRequest) -> HttpResponse:
    found: list[Any] = []
    for book in Book.objects.select_related("author"):
        found.append(book.author.publisher.name)  # here: publisher of mixed
        found += book.tags.all()  # here: tags of mixed
    return texts(found)


@answer(n_plus_one("Book.tags", 'prefetch_related("tags")'), needs="sql")
def prefetch_for_each_row(request: HttpRequest) -> HttpResponse:
    for book in Book.objects.all():
        prefetch_related_objects([book], "tags")  # here: prefetch_for_each_row
    return texts([])


@answer(n_plus_one("Book.tags", 'annotate(Count("tags"))'))
def count_in_method_from_template(request: HttpRequest) -> HttpResponse:
    return render(request, "corpus/numbers.html", {"books": Book.objects.all()})


OF_MEMBER = n_plus_one("Author.membership_set", 'prefetch_related(Prefetch("membership_set", queryset=...))')


@answer(OF_MEMBER)
def rows_of_one_owner_for_each_other_row(request: HttpRequest) -> HttpResponse:
    club = Club.objects.get(name="club 1")
    found: list[Any] = []
    for author in Author.objects.all():
        found += club.membership_set.filter(author=author)  # here: rows_of_one_owner_for_each_other_row
    return texts(found)


@answer(OF_MEMBER)
def rows_of_one_owner_that_was_read_twice(request: HttpRequest) -> HttpResponse:
    clubs = [Club.objects.get(name="club 1"), Club.objects.get(pk=Club.objects.get(name="club 1").pk)]
    found: list[Any] = []
    for number, author in enumerate(Author.objects.all()):
        memberships = clubs[number % 2].membership_set
        found += memberships.filter(author=author)  # here: rows_of_one_owner_that_was_read_twice
    return texts(found)


@answer(n_plus_one("Author.membership_set", 'annotate(Count("membership"))'))
def count_of_one_owner_for_each_other_row(request: HttpRequest) -> HttpResponse:
    club = Club.objects.get(name="club 1")
    return texts(
        club.membership_set.filter(author=author).count()  # here: count_of_one_owner_for_each_other_row
        for author in Author.objects.all()
    )


@answer(
    n_plus_one("Author.membership_set", 'annotate(Count("membership"))', "count of one club"),
    n_plus_one(
        "Author.membership_set",
        'prefetch_related(Prefetch("membership_set", queryset=...))',
        "latest of one club",
    ),
)
def two_statements_of_one_owner_for_each_other_row(request: HttpRequest) -> HttpResponse:
    club = Club.objects.get(name="club 1")
    found: list[Any] = []
    for author in Author.objects.all():
        of_author = club.membership_set.filter(author=author)
        found.append(of_author.count())  # here: count of one club
        found.append(of_author.order_by("-role").first())  # here: latest of one club
    return texts(found)


@answer(n_plus_one("Author.edited", 'prefetch_related(Prefetch("edited", queryset=...))'))
def books_of_one_author_for_each_editor(request: HttpRequest) -> HttpResponse:
    author = Author.objects.get(name="author 1")
    found: list[Any] = []
    for editor in Author.objects.all():
        books = author.books.filter(editor=editor)
        found += books.values_list("title", flat=True)  # here: books_of_one_author_for_each_editor
    return texts(found)


@answer(n_plus_one("Author.books", 'prefetch_related(Prefetch("books", queryset=...))'), needs="joins")
def books_of_one_tag_for_each_author(request: HttpRequest) -> HttpResponse:
    tag = Tag.objects.get(name="tag 1")
    found: list[Any] = []
    for author in Author.objects.all():
        books = tag.books.filter(author=author)
        found += books.values_list("title", flat=True)  # here: books_of_one_tag_for_each_author
    return texts(found)


@answer(n_plus_one("Author.books", 'prefetch_related(Prefetch("books", queryset=...))'))
def several_statements_of_each_owner(request: HttpRequest) -> HttpResponse:
    found: list[Any] = []
    for author in Author.objects.all():
        for price in range(9):
            books = author.books.filter(price=price)
            found += books.values_list("title", flat=True)  # here: several_statements_of_each_owner
    return texts(found)


def of_club(club: Club) -> Any:
    return Membership.objects.filter(club=club, role="chair")


@answer(OF_MEMBER, needs="params")
def rows_of_two_keys_of_which_one_changes(request: HttpRequest) -> HttpResponse:
    club = Club.objects.get(name="club 1")
    found: list[Any] = []
    for author in Author.objects.all():
        found += of_club(club).filter(author=author)  # here: rows_of_two_keys_of_which_one_changes
    return texts(found)


@answer(
    n_plus_one("Club.membership_set", 'prefetch_related(Prefetch("membership_set", queryset=...))'),
    needs="params",
)
def rows_of_two_keys_of_which_the_other_changes(request: HttpRequest) -> HttpResponse:
    author = Author.objects.get(name="author 1")
    found: list[Any] = []
    for club in Club.objects.all():
        found += of_club(club).filter(author=author)  # here: rows_of_two_keys_of_which_the_other_changes
    return texts(found)


@answer(n_plus_one("Author.membership_set", 'annotate(Count("membership"))'), needs="params")
def count_of_two_keys_of_which_one_changes(request: HttpRequest) -> HttpResponse:
    club = Club.objects.get(name="club 1")
    return texts(
        of_club(club).filter(author=author).count()  # here: count_of_two_keys_of_which_one_changes
        for author in Author.objects.all()
    )
