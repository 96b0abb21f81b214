"""The app that the corpus's models belong to; it has no migrations, so its tables are made with the test database."""

from __future__ import annotations

from django.apps import AppConfig


class CorpusRowsConfig(AppConfig):
    name = "tests.queries.corpus_rows"
    label = "corpus_rows"
