"""What is found in small views whose right answer is known: those of tests/queries/corpus, each in a request of its own.

    python benchmarks/corpus.py

Needs what the tests need: pip install -e '.[bench,test]'.
"""

from __future__ import annotations

import re
from collections import Counter
from types import ModuleType
from typing import Any

import common

NOTHING = "nothing"
TITLES = {
    "n_plus_one": "N+1 queries",
    "duplicate": "duplicates",
    "chatty": "chatty requests",
    "slow": "slow statements",
    NOTHING: "nothing to find",
}
# A finding: its kind, what it is about, what to do, and its line.
Found = tuple[str, str, str, str]


def main() -> None:
    set_up()
    from tests.queries.corpus import again, coroutines, nothing, per_row, relations  # noqa: F401 - they fill CASES
    from tests.queries.corpus.answers import CASES, place

    views, right, found, missed, false = (Counter[str]() for _ in range(5))
    for case in CASES.values():
        expected = Counter((each.kind, each.about, each.advice, place(case, each)) for each in case.answers)
        sighted = Counter(found_in(case))
        views.update({kind for kind, *_ in expected} or {NOTHING})
        right.update(of_kinds(expected))
        found.update(of_kinds(expected & sighted))
        missed.update(of_kinds(expected - sighted))
        for kind, *_ in (sighted - expected).elements():
            false[kind if expected else NOTHING] += 1
    kinds = [*TITLES, *sorted((set(views) | set(false)) - set(TITLES))]
    rows: list[list[object]] = [
        [TITLES.get(kind, kind), views[kind], right[kind], found[kind], missed[kind], false[kind]]
        for kind in kinds
    ]
    totals = (right, found, missed, false)
    rows.append(["all", len(CASES), *(each.total() for each in totals)])
    common.print_table(["views with", "views", "findings", "found", "missed", "false"], rows)


def of_kinds(findings: Counter[Found]) -> Counter[str]:
    return Counter(kind for kind, *_ in findings.elements())


def found_in(case: Any) -> list[Found]:
    """Serve a view of the corpus to its last byte, over tables as they were, and return what was sighted."""
    from asgiref.sync import async_to_sync, iscoroutinefunction
    from django.db import transaction
    from django.test import RequestFactory, override_settings

    from perfsuite.metrics import sightings
    from perfsuite.metrics.recorder import recorder
    from perfsuite.monitoring import RequestMetricsMiddleware
    from perfsuite.queries import loading, statements
    from tests.queries.corpus.models import seed

    async def awaited(response: Any) -> Any:
        return await response

    seen: list[Any] = []
    options = {"SLOW_QUERY_MS": case.slow_ms, "N_PLUS_ONE_MS": 1_000}
    tellers: list[Any] = [sightings, statements, loading]
    kept = sightings.sight
    for teller in tellers:
        teller.sight = seen.append
    try:
        with transaction.atomic(), override_settings(PERFSUITE={"QUERIES": options}):
            seed()
            response: Any = RequestMetricsMiddleware(case.view)(RequestFactory().get("/"))
            if iscoroutinefunction(case.view):
                response = async_to_sync(awaited)(response)
            if response.streaming:
                list(response)
            response.close()
            recorder.take()  # works out what the request came to
            transaction.set_rollback(True)
    finally:
        for teller in tellers:
            teller.sight = kept
    return [
        (each.kind, str(each.evidence["about"]), str(each.evidence["advice"]), _place(each.site))
        for each in seen
    ]


def _place(site: str) -> str:
    where = re.match(r"tests/queries/corpus/(\S+)", site)
    return where[1] if where else site


def set_up() -> None:
    import sys

    import perfsuite

    urls = ModuleType("corpus_urls")
    urls.urlpatterns = []  # type: ignore[attr-defined]
    sys.modules["corpus_urls"] = urls
    host = {"ENGINE": common.SQLITE, "NAME": ":memory:"}
    common.configure(
        host, apps=[*perfsuite.APPS, "tests.testapp", "tests.queries.corpus"], ROOT_URLCONF="corpus_urls"
    )
    from django.core.management import call_command

    call_command("migrate", run_syncdb=True, verbosity=0)


if __name__ == "__main__":
    main()
