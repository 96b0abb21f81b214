"""The table: each view, what it is run against, and the findings that it must give. Written before there was a detector.

The limits are those of ``LIMITS``: a result set is unbounded above 40 rows, a table large from 50 rows on, a transaction
long from 30 ms on, and columns are looked at from 20 rows on. There are 60 articles under 6 topics.
"""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.core import serializers
from django.core.paginator import Paginator
from django.db import connection, transaction
from django.db.models import Count
from django.forms.models import model_to_dict
from django.template import engines

from tests.queries.corpus_rows.models import Article, Topic

LIMITS = {
    "UNBOUNDED_ROWS": 40,
    "LARGE_TABLE_ROWS": 50,
    "LONG_TRANSACTION_MS": 30.0,
    "SLOW_QUERY_MS": 10_000.0,
    "WIDE_ROWS": 20,
    "WIDE_ROWS_SAMPLE": 1,
}
ARTICLES, TOPICS = 60, 6

UNBOUNDED, COUNT, WIDE, LONG = "unbounded", "count_pagination", "wide_rows", "long_transaction"


@dataclass(frozen=True)
class Case:
    """One view. ``subject`` is a word that must stand in the subject of each finding."""

    name: str
    view: Callable[[], object]
    findings: frozenset[str]
    subject: str = ""


CASES: list[Case] = []


def gives(*findings: str, subject: str = "") -> Callable[[Callable[[], object]], Callable[[], object]]:
    def add(view: Callable[[], object]) -> Callable[[], object]:
        CASES.append(Case(view.__name__, view, frozenset(findings), subject))
        return view

    return add


def every_field(article: Article) -> object:
    return [getattr(article, field.attname) for field in article._meta.concrete_fields]


class Clock:
    """The clock by which transactions are timed: it stands still but for what a view does beside the database."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


CLOCK = Clock()


def hold() -> None:
    """Do for 60 ms what has nothing to do with the database."""
    CLOCK.now += 0.06


# Result sets


@gives(UNBOUNDED, subject="corpus_rows_article")
def a_list_of_everything() -> None:
    for article in Article.objects.all():
        every_field(article)


@gives(UNBOUNDED)
def everything_ordered() -> None:
    for article in Article.objects.order_by("-number"):
        every_field(article)


@gives(UNBOUNDED)
def everything_as_values() -> None:
    list(Article.objects.values("title", "state"))


@gives(UNBOUNDED)
def everything_as_a_flat_list() -> None:
    list(Article.objects.values_list("title", flat=True))


@gives(UNBOUNDED)
def a_filter_that_holds_for_nearly_all() -> None:
    for article in Article.objects.filter(number__gte=5):
        every_field(article)


@gives(UNBOUNDED)
def everything_with_its_topic() -> None:
    for article in Article.objects.select_related("topic"):
        every_field(article), article.topic.name


@gives(UNBOUNDED)
def the_children_of_all_topics_prefetched() -> None:
    for topic in Topic.objects.prefetch_related("articles"):
        for article in topic.articles.all():
            topic.name, every_field(article)


@gives(UNBOUNDED)
def the_length_of_everything() -> None:
    articles = Article.objects.only("id")
    len(articles), [article.pk for article in articles]


@gives(UNBOUNDED)
def every_group_of_an_aggregation() -> None:
    list(Article.objects.values("number").annotate(n=Count("id")))


@gives(UNBOUNDED)
def everything_sliced_in_python() -> None:
    [every_field(article) for article in list(Article.objects.all())[:10]]
    [every_field(article) for article in list(Article.objects.all())]


@gives(UNBOUNDED)
def raw_sql_without_a_limit() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT title FROM corpus_rows_article")
        cursor.fetchall()


@gives()
def a_slice() -> None:
    for article in Article.objects.all()[:30]:
        every_field(article)


@gives()
def a_slice_larger_than_the_limit() -> None:
    """Whoever writes LIMIT 55 has thought of it."""
    for article in Article.objects.all()[:55]:
        every_field(article)


@gives()
def few_that_match() -> None:
    for article in Article.objects.filter(number__lt=10):
        every_field(article)


@gives()
def everything_streamed() -> None:
    for article in Article.objects.iterator(chunk_size=500):
        every_field(article)


@gives()
def values_streamed() -> None:
    list(Article.objects.values_list("title", "body").iterator(chunk_size=500))


@gives()
def what_was_asked_for_by_key() -> None:
    keys = list(Article.objects.values_list("id", flat=True)[:50])
    for article in Article.objects.in_bulk(keys).values():
        every_field(article)


@gives()
def one_of_many() -> None:
    first = Article.objects.order_by("number").first()
    assert first is not None
    every_field(Article.objects.get(pk=first.pk))


@gives()
def whether_there_are_any() -> None:
    assert Article.objects.exists()
    assert Article.objects.filter(state="draft").exists()


@gives()
def an_aggregate_over_all() -> None:
    Article.objects.aggregate(Count("id"))


@gives()
def an_update_of_all() -> None:
    assert Article.objects.update(likes=1) == ARTICLES


@gives()
def a_delete_of_all() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM corpus_rows_article")


@gives()
def many_created_at_once() -> None:
    topic = Topic.objects.first()
    Article.objects.bulk_create([Article(topic=topic, title=str(n)) for n in range(60)])


@gives()
def many_small_results() -> None:
    for topic in Topic.objects.all():
        for article in topic.articles.all():
            every_field(article)


# Counts before pages


# MongoDB answers these too, but for SQL, and for lists of keys whose length its commands' shapes do not tell.
ON_MONGODB = [
    case
    for case in CASES
    if case.name
    not in ("raw_sql_without_a_limit", "a_delete_of_all", "the_children_of_all_topics_prefetched")
]


@gives(COUNT, subject="COUNT")
def a_page_of_all() -> None:
    page = Paginator(Article.objects.order_by("number"), 10).page(2)
    assert page.paginator.count == ARTICLES
    for article in page.object_list:
        every_field(article)


@gives(COUNT)
def the_first_page() -> None:
    for article in Paginator(Article.objects.order_by("number"), 10).page(1).object_list:
        every_field(article)


@gives(COUNT)
def a_page_of_a_filter() -> None:
    for article in (
        Paginator(Article.objects.filter(state="draft").order_by("number"), 10).page(1).object_list
    ):
        every_field(article)


@gives(COUNT)
def a_page_with_its_topics() -> None:
    articles = Article.objects.select_related("topic").order_by("number")
    for article in Paginator(articles, 10).page(3).object_list:
        every_field(article), article.topic.name


@gives(COUNT)
def a_page_of_what_is_distinct() -> None:
    for article in Paginator(Article.objects.distinct().order_by("number"), 10).page(2).object_list:
        every_field(article)


@gives(COUNT)
def a_page_with_an_annotation() -> None:
    topics = Article.objects.values("number").annotate(n=Count("id")).order_by("number")
    list(Paginator(topics, 10).page(2).object_list)


@gives(COUNT)
def a_count_and_a_slice_by_hand() -> None:
    articles = Article.objects.filter(state="draft")
    articles.count()
    for article in articles.order_by("number")[20:30]:
        every_field(article)


@gives()
def a_page_of_a_small_table() -> None:
    [topic.name for topic in Paginator(Topic.objects.order_by("name"), 2).page(1).object_list]


@gives()
def a_page_of_few_that_match() -> None:
    articles = Article.objects.filter(number__lt=15).order_by("number")
    for article in Paginator(articles, 5).page(1).object_list:
        every_field(article)


@gives()
def a_count_alone() -> None:
    assert Article.objects.count() == ARTICLES


@gives()
def a_count_and_a_page_of_another_table() -> None:
    Article.objects.count()
    [topic.name for topic in Topic.objects.order_by("name")[:5]]


@gives()
def a_count_of_all_and_a_page_of_a_filter() -> None:
    """The number stands in the headline, and the page is of something else."""
    Article.objects.count()
    for article in Article.objects.filter(number__lt=15)[:10]:
        every_field(article)


@gives()
def a_count_and_one_row() -> None:
    Article.objects.count()
    every_field(Article.objects.order_by("number").first())  # type: ignore[arg-type]


@gives()
def a_count_and_a_get() -> None:
    first = Article.objects.order_by("number").first()
    assert first is not None
    Article.objects.filter(pk=first.pk).count()
    every_field(Article.objects.get(pk=first.pk))


@gives()
def a_page_without_a_count() -> None:
    for article in Article.objects.order_by("number")[10:21]:
        every_field(article)


# Columns


@gives(WIDE, subject="corpus_rows_article")
def titles_of_whole_rows() -> None:
    [article.title for article in Article.objects.all()[:30]]


@gives(WIDE)
def titles_of_whole_rows_in_a_template() -> None:
    text = "{% for article in articles %}{{ article.title }} {{ article.views }}{% endfor %}"
    engines["django"].from_string(text).render({"articles": Article.objects.all()[:30]})


@gives(WIDE)
def whole_rows_as_strings() -> None:
    [str(article) for article in Article.objects.all()[:30]]


@gives(WIDE)
def topics_of_whole_rows() -> None:
    [article.topic.name for article in Article.objects.select_related("topic")[:30]]


@gives(WIDE, UNBOUNDED)
def titles_of_everything() -> None:
    [article.title for article in Article.objects.all()]


@gives(WIDE)
def keys_of_whole_rows() -> None:
    [article.pk for article in Article.objects.all()[:30]]


@gives()
def titles_of_titles() -> None:
    [article.title for article in Article.objects.only("title")[:30]]


@gives()
def titles_with_the_texts_deferred() -> None:
    [
        (article.title, article.slug, article.state)
        for article in Article.objects.defer("summary", "body", "notes")[:30]
    ]


@gives()
def all_columns_used() -> None:
    [every_field(article) for article in Article.objects.all()[:30]]


@gives()
def the_texts_used_and_little_else() -> None:
    [(article.summary, article.body, article.notes) for article in Article.objects.all()[:30]]


@gives()
def the_texts_of_one_of_them_used() -> None:
    articles = list(Article.objects.all()[:30])
    every_field(articles[7])


@gives()
def titles_of_few_rows() -> None:
    [article.title for article in Article.objects.all()[:10]]


@gives()
def all_columns_as_values() -> None:
    [row["title"] for row in Article.objects.values()[:30]]


@gives()
def narrow_rows() -> None:
    Topic.objects.bulk_create([Topic(name=str(n)) for n in range(30)])
    [topic.pk for topic in Topic.objects.all()[:30]]


@gives()
def rows_that_are_pickled() -> None:
    pickle.dumps(list(Article.objects.all()[:30]))


@gives()
def rows_that_are_copied() -> None:
    for article in Article.objects.all()[:30]:
        copy.copy(article)


@gives()
def rows_read_as_dictionaries() -> None:
    [dict(vars(article)) for article in Article.objects.all()[:30]]


@gives()
def rows_made_into_forms() -> None:
    [model_to_dict(article) for article in Article.objects.all()[:30]]


@gives()
def rows_serialized() -> None:
    serializers.serialize("json", Article.objects.all()[:30])


@gives()
def rows_saved() -> None:
    for article in Article.objects.all()[:30]:
        article.views += 1
        article.save()


@gives()
def rows_kept_for_later() -> None:
    """Who holds them may still read them after the request."""
    KEPT[:] = Article.objects.all()[:30]


KEPT: list[Any] = []

# Transactions


@gives(LONG)
def a_transaction_around_slow_work() -> None:
    with transaction.atomic():
        Topic.objects.create(name="new")
        hold()


@gives(LONG)
def a_transaction_by_decorator() -> None:
    @transaction.atomic
    def work() -> None:
        Topic.objects.create(name="new")
        hold()

    work()


@gives(LONG)
def a_transaction_that_rolls_back() -> None:
    try:
        with transaction.atomic():
            Topic.objects.create(name="new")
            hold()
            raise LookupError
    except LookupError:
        pass


@gives(LONG)
def a_savepoint_inside_of_a_transaction() -> None:
    with transaction.atomic():
        with transaction.atomic():
            Topic.objects.create(name="new")
        hold()


@gives(LONG)
def a_transaction_by_hand() -> None:
    transaction.set_autocommit(False)
    Topic.objects.create(name="new")
    hold()
    transaction.commit()
    transaction.set_autocommit(True)


@gives()
def a_short_transaction() -> None:
    with transaction.atomic():
        Topic.objects.create(name="new")
    hold()


@gives()
def short_transactions_around_slow_work() -> None:
    for _ in range(3):
        with transaction.atomic():
            Topic.objects.create(name="new")
        hold()


@gives()
def slow_work_on_commit() -> None:
    with transaction.atomic():
        Topic.objects.create(name="new")
        transaction.on_commit(hold)


@gives()
def slow_work_without_a_transaction() -> None:
    Topic.objects.create(name="new")
    hold()
