"""Views whose answer is known: which findings about rows, counts, columns and transactions each gives, and no other."""

from __future__ import annotations

default_app_config = "tests.queries.corpus_rows.apps.CorpusRowsConfig"
