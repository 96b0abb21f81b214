"""What is found in sources, and what is not."""

from __future__ import annotations

import pytest

from perfsuite.queries.djongo_move.in_sources import scan


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("Lead.objects.raw('SELECT 1')", "QuerySet.raw()"),
        ("Lead.objects.filter(a=1).extra(where=['x'])", "QuerySet.extra()"),
        ("cursor.execute('SELECT 1')", "A cursor runs SQL"),
        ("connection.cursor().execute('SELECT 1')", "A cursor runs SQL"),
        ("self.cur.executemany('INSERT', rows)", "A cursor runs SQL"),
        ("migrations.RunSQL('CREATE INDEX')", "runs SQL"),
        ("RunSQL('CREATE INDEX')", "runs SQL"),
        ("queryset.annotate(x=RawSQL('1', []))", "RawSQL"),
        ("from djongo import models", "djongo is imported"),
        ("from djongo.models import fields", "djongo is imported"),
        ("import djongo.models", "djongo is imported"),
        ("Lead.objects.mongo_aggregate([])", "mongo_aggregate() is a method of djongo's manager"),
        ("from django.db.models.functions import Lower, SHA1", "SHA1 is not supported"),
        ("Page.objects.prefetch_related('tags')", "prefetch_related('tags')"),
        ("Page.objects.prefetch_related('tags__kind')", "prefetch_related('tags__kind')"),
        ("Page.objects.bulk_create(rows, ignore_conflicts=True)", "bulk_create(ignore_conflicts=...)"),
        ("def f(:", "Python cannot read this file"),
    ],
)
def test_what_stands_in_the_way_is_found_with_its_line_and_what_to_write(line: str, words: str) -> None:
    (found,) = scan(f"x = 1\n{line}\n", "app/views.py", {"tags"})
    assert (found.kind, found.place) == ("source", "app/views.py:2")
    assert words in found.what
    assert found.instead


@pytest.mark.parametrize(
    "line",
    [
        "# Lead.objects.raw('SELECT 1')",
        "text = 'cursor.execute(1)'",
        "executor.execute(job)",
        "from .djongo import helper",
        "from django.db.models.functions import Lower",
        "Page.objects.prefetch_related('author')",
        "Page.objects.prefetch_related(Prefetch('author'))",
        "Page.objects.bulk_create(rows, ignore_conflicts=False)",
        "logging.info('x', extra={})",
        "raw = 1",
    ],
)
def test_what_does_not_is_left_alone(line: str) -> None:
    assert scan(f"{line}\n", "views.py", {"tags"}) == []


def test_two_on_one_line_are_two() -> None:
    assert len(scan("Lead.objects.raw('x').extra()", "views.py")) == 2
