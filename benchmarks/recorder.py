"""What the hot paths cost, one by one: the best of several repeats, in microseconds.

python benchmarks/recorder.py
"""

from __future__ import annotations

import importlib.util
import timeit
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import common

NUMBER = 20_000
REPEATS = 15
SQL = 'SELECT "shop_item"."id", "shop_item"."name" FROM "shop_item" WHERE "shop_item"."id" = %s LIMIT 21'


def main() -> None:
    print(common.machine())
    print("python benchmarks/recorder.py\n")
    common.configure(
        {"ENGINE": common.SQLITE, "NAME": ":memory:"},
        apps=["perfsuite.metrics", "perfsuite.monitoring", "perfsuite.queries"],
    )
    costs = {"an empty function": best_us(lambda: None), **measure()}
    if importlib.util.find_spec("prometheus_client"):
        costs.update(measure_prometheus_client())
    common.print_table(["what", "µs"], [[name, f"{us:.2f}"] for name, us in costs.items()])
    if not importlib.util.find_spec("prometheus_client"):
        print("Not compared, since it is not installed: prometheus_client")


def best_us(call: Callable[[], object], number: int = NUMBER) -> float:
    return min(timeit.repeat(call, number=number, repeat=REPEATS)) / number * 1e6


def measure() -> dict[str, float]:
    from perfsuite.metrics.flusher import flusher
    from perfsuite.metrics.histogram import Histogram
    from perfsuite.metrics.recorder import Recorder
    from perfsuite.metrics.request import Tally, current
    from perfsuite.queries.sql import fold_statements, note_statement

    flusher.stop()  # only the adding is measured here
    histogram, recorder = Histogram(), Recorder()
    request = ("2xx",), ("/shop/<int:pk>/", "GET", "2xx"), ("/shop/<int:pk>/",)
    cursor = SimpleNamespace(cursor=SimpleNamespace(rowcount=-1))
    context = {"connection": SimpleNamespace(alias="default", vendor="sqlite"), "cursor": cursor}

    def one_request() -> None:
        status, route, by_route = request
        recorder.observe_many(
            (
                ("requests.status", status, 1234.5),
                ("requests.route", route, 1234.5),
                ("requests.queries", by_route, 20),
                ("requests.db", by_route, 345.6),
                ("requests.bytes_in", by_route, 0),
                ("requests.bytes_out", by_route, 4096),
            )
        )

    def execute(sql: str, params: Any, many: bool, context: Any) -> None:
        """Stand for the database, at no cost."""

    def twenty(run: Callable[..., Any]) -> Tally:
        tally = Tally()
        current.set(tally)
        for _ in range(20):
            run(execute, SQL, (1,), False, context)
        current.set(None)
        return tally

    def bare(execute: Callable[..., Any], *arguments: Any) -> None:
        execute(*arguments)

    floor = best_us(lambda: twenty(bare), NUMBER // 20)
    noted = best_us(lambda: twenty(note_statement), NUMBER // 20)
    folded = best_us(lambda: fold_statements((twenty(note_statement),), "/shop/<int:pk>/"), NUMBER // 20)
    return {
        "Histogram.add": best_us(lambda: histogram.add(1234.5)),
        "Recorder.observe, adding up included": best_us(
            lambda: recorder.observe("requests.status", ("2xx",), 1234.5)
        ),
        "Recorder.observe_many, the 6 values of a request": best_us(one_request),
        "note_statement, per statement": (noted - floor) / 20,
        "fold_statements and adding up, per statement": (folded - noted) / 20,
    }


def measure_prometheus_client() -> dict[str, float]:
    from prometheus_client import CollectorRegistry, Histogram

    registry = CollectorRegistry()
    plain = Histogram("plain", "without labels", registry=registry)
    labelled = Histogram("labelled", "with labels", ["route", "method", "status"], registry=registry)
    return {
        "prometheus_client Histogram.observe": best_us(lambda: plain.observe(0.0012)),
        "prometheus_client labels(...).observe": best_us(
            lambda: labelled.labels("/shop/<int:pk>/", "GET", "2xx").observe(0.0012)
        ),
    }


if __name__ == "__main__":
    main()
