"""The corpus: in each view exactly the findings that its answer names, no other, and no failure inside."""

from __future__ import annotations

import django
import pytest
from asgiref.sync import async_to_sync, iscoroutinefunction
from django.db import connection
from django.test import RequestFactory

from tests.queries.corpus import again, coroutines, nothing, per_row, relations  # noqa: F401 - they fill CASES
from tests.queries.corpus.answers import CASES, Case, marked, place
from tests.queries.corpus.models import seed

IS_MONGODB = connection.vendor in ("djongo", "mongodb")


def able(case: Case) -> bool:
    """Tell whether this database and this Django have what a case needs."""
    lacks = {"async"} if django.VERSION < (4, 2) else set()
    if IS_MONGODB:
        lacks |= {"sql"}
    return not case.needs & lacks


ABLE = [case for case in CASES.values() if able(case)]


def test_the_corpus_is_large_and_each_answer_marks_a_line() -> None:
    assert len([case for case in CASES.values() if case.answers]) >= 60
    assert len([case for case in CASES.values() if not case.answers]) >= 30
    used = {place(case, answer) for case in CASES.values() for answer in case.answers}
    assert used - {""} == set(marked().values())


@pytest.mark.django_db
@pytest.mark.parametrize("case", ABLE, ids=lambda case: case.name)
def test_each_view_answers(case: Case) -> None:
    seed()
    request = RequestFactory().get("/")
    view = async_to_sync(case.view) if iscoroutinefunction(case.view) else case.view
    response = view(request)
    assert response.status_code == 200
    if response.streaming:
        list(response)
