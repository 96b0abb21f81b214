"""What observing MongoDB costs: the same ``find`` on loopback by clients with and without perfsuite's listeners, interleaved.

python benchmarks/mongodb.py [--rounds 60]

Needs pymongo and a mongod (tests/mongod.py says where it looks for one). ``empty listeners`` is what pymongo itself takes to call
listeners that do nothing; ``control`` is a second client without any, and shows what the machine alone makes of a difference.
"""

from __future__ import annotations

import argparse
import gc
import random
import statistics
import time
from typing import Any

import common

FINDS = 20  # of a request
REQUESTS = 10  # that are folded together; the recorder waits for about thirty such
DOCUMENTS = 1_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=60)
    rounds = parser.parse_args().rounds
    print(common.machine())
    print(f"python benchmarks/mongodb.py --rounds {rounds}\n")
    from tests.mongod import mongodb

    with mongodb() as server:
        variants = clients(server.url)
        fill(variants["no listener"])
        us = measure(variants, rounds)
        for client in variants.values():
            client.close()
    bare = us["no listener"]
    rows = []
    for name, values in us.items():
        more = [value - without for value, without in zip(values, bare, strict=True)]
        shown = "" if name == "no listener" else f"{statistics.median(more):+.1f}"
        rows.append([name, f"{statistics.median(values):.1f}", f"{min(values):.1f}", shown])
    common.print_table(["find of one document by its key", "median µs", "least µs", "difference µs"], rows)


def clients(url: str) -> dict[str, Any]:
    """Return a client for each variant. Those without perfsuite's listeners are made before they are registered."""
    import pymongo
    from pymongo import monitoring

    def nothing(self: Any, event: Any) -> None:
        """Listen to an event and do nothing."""

    def empty(base: type) -> Any:
        events = [name for name in vars(base) if not name.startswith("_")]
        return type("Empty", (base,), dict.fromkeys(events, nothing))()

    listeners = [empty(monitoring.CommandListener), empty(monitoring.ConnectionPoolListener)]
    made = {
        "no listener": pymongo.MongoClient(url),
        "control": pymongo.MongoClient(url),
        "empty listeners": pymongo.MongoClient(url, event_listeners=listeners),
    }
    common.configure(
        {"ENGINE": common.SQLITE, "NAME": ":memory:"},
        apps=["perfsuite.metrics", "perfsuite.monitoring", "perfsuite.queries"],
    )
    from perfsuite.metrics.flusher import flusher

    flusher.stop()  # its thread would share the processor with what is measured
    made["perfsuite"] = pymongo.MongoClient(url)
    return made


def fill(client: Any) -> None:
    client.shop.orders.insert_many(
        [{"_id": n, "status": random.choice("abc"), "total": n / 7} for n in range(DOCUMENTS)]
    )


def measure(variants: dict[str, Any], rounds: int) -> dict[str, list[float]]:
    """Return the microseconds of a command, one for each round. Working out what a request comes to is part of them."""
    from perfsuite.metrics.recorder import recorder
    from perfsuite.metrics.request import Tally, current, fold

    def some_requests(client: Any) -> float:
        orders = client.shop.orders
        tallies = [Tally() for _ in range(REQUESTS)]
        started = time.perf_counter()
        for tally in tallies:
            current.set(tally)
            for key in random.choices(range(DOCUMENTS), k=FINDS):
                orders.find_one({"_id": key})
        fold(tallies, "/orders/<int:pk>/")
        return (time.perf_counter() - started) / REQUESTS / FINDS * 1e6

    for client in variants.values():
        some_requests(client)
    us: dict[str, list[float]] = {name: [] for name in variants}
    gc.disable()
    for _ in range(rounds):
        for name in random.sample(list(variants), len(variants)):
            us[name].append(some_requests(variants[name]))
        recorder.take()
        gc.collect(0)
    return us


if __name__ == "__main__":
    main()
