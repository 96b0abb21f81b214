"""Views whose answer is known: which of the findings about rows, counts, columns and transactions each must give, and no other."""

default_app_config = "tests.queries.corpus_rows.apps.CorpusRowsConfig"
