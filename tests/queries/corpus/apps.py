"""The corpus as an app of its own, so that its models have tables in the test's database."""

from __future__ import annotations

from django.apps import AppConfig


class CorpusConfig(AppConfig):
    name = "tests.queries.corpus"
    label = "corpus"
