"""Models with every kind of relation that Django has."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib.contenttypes.fields import GenericForeignKey, GenericRelation
from django.contrib.contenttypes.models import ContentType
from django.db import models


class Keyed(models.Model):
    """A key that every database takes, MongoDB included."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)

    class Meta:
        abstract = True


class Publisher(Keyed):
    name = models.CharField(max_length=100)
    slug = models.CharField(max_length=100)

    def __str__(self) -> str:
        return self.name


class Author(Keyed):
    name = models.CharField(max_length=100)
    bio = models.TextField(default="")
    publisher = models.ForeignKey(Publisher, on_delete=models.CASCADE)

    def __str__(self) -> str:
        return self.name

    @property
    def house(self) -> str:
        return Publisher.objects.get(slug="house").name  # here: duplicate_in_property


class Profile(Keyed):
    author = models.OneToOneField(Author, on_delete=models.CASCADE, related_name="profile")
    website = models.CharField(max_length=100)

    def __str__(self) -> str:
        return self.website


class Tag(Keyed):
    name = models.CharField(max_length=100)

    def __str__(self) -> str:
        return self.name


class Comment(Keyed):
    # Without a constraint, since the table is made before those of apps with migrations.
    content_type = models.ForeignKey(ContentType, on_delete=models.CASCADE, db_constraint=False)
    object_id = models.UUIDField()
    target = GenericForeignKey()
    text = models.CharField(max_length=100)

    def __str__(self) -> str:
        return self.text


class Book(Keyed):
    title = models.CharField(max_length=100)
    pages = models.IntegerField(default=0)
    price = models.IntegerField(default=0)
    author = models.ForeignKey(Author, on_delete=models.CASCADE, related_name="books")
    editor = models.ForeignKey(Author, on_delete=models.CASCADE, related_name="edited")
    tags = models.ManyToManyField(Tag, related_name="books")
    comments = GenericRelation(Comment)

    def __str__(self) -> str:
        return f"{self.title} by {self.author.name}"  # here: forward_fk_in_str

    @property
    def author_name(self) -> str:
        return self.author.name  # here: forward_fk_in_property

    def number_of_tags(self) -> int:
        return self.tags.count()  # here: count_in_method_from_template


class Chapter(Keyed):
    book = models.ForeignKey(Book, on_delete=models.CASCADE)
    title = models.CharField(max_length=100)

    def __str__(self) -> str:
        return self.title


class Club(Keyed):
    name = models.CharField(max_length=100)
    members = models.ManyToManyField(Author, through="Membership", related_name="clubs")

    def __str__(self) -> str:
        return self.name


class Membership(Keyed):
    club = models.ForeignKey(Club, on_delete=models.CASCADE)
    author = models.ForeignKey(Author, on_delete=models.CASCADE)
    role = models.CharField(max_length=100)

    def __str__(self) -> str:
        return self.role


class Category(Keyed):
    name = models.CharField(max_length=100)
    parent = models.ForeignKey("self", null=True, on_delete=models.CASCADE, related_name="children")

    def __str__(self) -> str:
        return self.name


class Reader(Keyed):
    """Rows that are related to others of their own table, in both ways that Django has."""

    name = models.CharField(max_length=100)
    friends = models.ManyToManyField("self")
    follows = models.ManyToManyField("self", symmetrical=False, related_name="followers")

    def __str__(self) -> str:
        return self.name


class Place(Keyed):
    name = models.CharField(max_length=100)
    owner = models.ForeignKey(Author, on_delete=models.CASCADE, related_name="places")

    def __str__(self) -> str:
        return self.name


class Shop(Place):
    """A model whose rows are in two tables."""

    code = models.CharField(max_length=100, unique=True)

    def __str__(self) -> str:
        return self.code


class Sale(Keyed):
    """A foreign key to a column that is not the primary key."""

    shop = models.ForeignKey(Shop, to_field="code", on_delete=models.CASCADE)
    total = models.IntegerField(default=0)

    def __str__(self) -> str:
        return str(self.total)


class LogLine(Keyed):
    text = models.CharField(max_length=100)

    def __str__(self) -> str:
        return self.text


ROWS = 12


def seed() -> None:
    """Fill the tables: so many of everything, each related to others than its neighbours."""
    numbers = range(ROWS)
    publishers = Publisher.objects.bulk_create(
        [Publisher(name=f"publisher {n}", slug=f"house{n or ''}") for n in numbers]
    )
    authors = Author.objects.bulk_create(
        [Author(name=f"author {n}", bio="long", publisher=publishers[n]) for n in numbers]
    )
    Profile.objects.bulk_create([Profile(author=author, website="example.org") for author in authors])
    tags = Tag.objects.bulk_create([Tag(name=f"tag {n}") for n in numbers])
    books = Book.objects.bulk_create(
        [Book(title=f"book {n}", pages=n, price=n, author=authors[n], editor=authors[n - 1]) for n in numbers]
    )
    labels = Book.tags.through
    labels._default_manager.bulk_create(
        [labels(book=books[n], tag=tags[m]) for n in numbers for m in (n, n - 1)]
    )
    Chapter.objects.bulk_create([Chapter(book=book, title="one") for book in books])
    clubs = Club.objects.bulk_create([Club(name=f"club {n}") for n in numbers])
    Membership.objects.bulk_create(
        [Membership(club=clubs[n], author=authors[n], role="chair") for n in numbers]
    )
    of_books = ContentType.objects.get_for_model(Book)
    Comment.objects.bulk_create(
        [Comment(content_type=of_books, object_id=book.pk, text="good") for book in books]
    )
    parents = Category.objects.bulk_create([Category(name=f"parent {n}") for n in numbers])
    Category.objects.bulk_create([Category(name=f"child {n}", parent=parents[n]) for n in numbers])
    readers = Reader.objects.bulk_create([Reader(name=f"reader {n}") for n in numbers])
    through: tuple[Any, ...] = (Reader.friends.through, Reader.follows.through)
    for pairs in through:
        pairs._default_manager.bulk_create(
            [pairs(from_reader=readers[n], to_reader=readers[n - 1]) for n in numbers]
        )
    places = Place.objects.bulk_create([Place(name=f"place {n}", owner=authors[n]) for n in numbers])
    for n, place in enumerate(places):
        Shop(place_ptr=place, code=f"shop {n}").save_base(raw=True, force_insert=True)
    Sale.objects.bulk_create([Sale(shop_id=f"shop {n}", total=n) for n in numbers])
    LogLine.objects.bulk_create([LogLine(text=f"line {n}") for n in numbers])
