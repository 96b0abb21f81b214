"""What the tenant guard costs: of a statement that came before, of a new one, and of a command of MongoDB's.

Type: python benchmarks/tenant_guard.py
"""

from __future__ import annotations

import os
import statistics
import sys
import timeit
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

SQL = (
    'SELECT "testapp_book"."id", "testapp_book"."author_id", "testapp_book"."title", "testapp_book"."pages" FROM "testapp_book" '
    'INNER JOIN "testapp_author" ON ("testapp_book"."author_id" = "testapp_author"."id") WHERE ("testapp_book"."author_id" = %s '
    'AND "testapp_book"."title" = %s) ORDER BY "testapp_book"."title" ASC LIMIT 21'
)
ROUNDS = 15


def us(work: Callable[[], object], number: int) -> float:
    """Return the median of the microseconds that a call takes."""
    return statistics.median(timeit.repeat(work, number=number, repeat=ROUNDS)) / number * 1e6


def main() -> None:
    """Print the figures."""
    import django

    django.setup()
    from django.db import connection
    from django.test import override_settings

    from perfsuite.queries.fingerprint import without_values
    from perfsuite.queries.tenant_guard.documents import verdict_of_command
    from perfsuite.queries.tenant_guard.guard import in_force, judge_statement
    from perfsuite.queries.tenant_guard.reading import verdict_of
    from perfsuite.tenancy import tenant

    def execute(sql: str, params: object, many: bool, context: object) -> None:
        pass

    context = {"connection": connection}
    text = SQL[:-1]

    def fresh() -> str:
        return text + "1"  # Django makes a new text for each statement too

    def bare() -> None:
        execute(fresh(), (), False, context)

    def judged() -> None:
        judge_statement(execute, fresh(), (), False, context)

    with override_settings(
        PERFSUITE={"QUERIES": {"TENANT_OWNED": {"testapp.Book": "author"}, "TENANT_GUARD": "raise"}}
    ):
        state = in_force.state
        assert state is not None
        with tenant("5"):
            judged()  # now it has come before
            print(f"a statement that came before  {us(judged, 20_000) - us(bare, 20_000):8.2f} us")
        print(
            f"a new one                     {us(lambda: verdict_of(without_values(SQL) or '', state.schema), 200):8.2f} us"
        )
        command = {"find": "testapp_book", "filter": {"$and": [{"author_id": 5}, {"title": "x"}]}}
        print(
            f"a filter of MongoDB's         {us(lambda: verdict_of_command('find', command, state.schema), 2_000):8.2f} us"
        )


if __name__ == "__main__":
    main()
