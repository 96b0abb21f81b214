"""What setup_indexes costs a busy PostgreSQL, and how long list_indexes takes over many tables.

``python -m tests.servers postgresql -- python benchmarks/indexes.py --writes`` builds two indexes over a million rows
while another connection writes 50 times a second, and prints how long the writes took and how long they waited for a lock,
as the server saw it. ``python benchmarks/indexes.py --tables 10000`` lists the indexes of that many tables of SQLite, or of
PostgreSQL with a server as above; ``python -m tests.servers mongodb -- python benchmarks/indexes.py --collections 1000``
those of a MongoDB.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import threading
import time
from typing import Any

import common

ROWS = 1_000_000
WRITES_PER_S = 50
LOOKS_PER_S = 100
TABLES_AT_ONCE = 500  # of a transaction
BENCH = "perfsuite_bench"


def database() -> dict[str, Any]:
    """Return the server that the environment names, else a file."""
    get = os.environ.get
    if "PGHOST" not in os.environ:
        return {"ENGINE": common.SQLITE, "NAME": os.path.join(tempfile.mkdtemp(), "db.sqlite3")}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": get("PGDATABASE"),
        "USER": get("PGUSER"),
        "PASSWORD": get("PGPASSWORD"),
        "HOST": get("PGHOST"),
        "PORT": get("PGPORT"),
    }


def bench() -> Any:
    """Return the MongoDB database of this benchmark."""
    import pymongo

    return pymongo.MongoClient(os.environ["TEST_MONGODB_URL"])[BENCH]


def write(connection: Any, took: list[float], done: threading.Event) -> None:
    """Insert and update rows, so many times a second, and note how long each took."""
    connection.inc_thread_sharing()
    number = 0
    with connection.cursor() as cursor:
        while not done.wait(1 / WRITES_PER_S):
            started = time.perf_counter()
            cursor.execute("INSERT INTO bench_leads (tenant, status, at) VALUES (1, 'new', now())")
            cursor.execute("UPDATE bench_leads SET status = 'won' WHERE id = %s", [1 + number * 7919 % ROWS])
            took.append(time.perf_counter() - started)
            number += 1
    connection.close()


def look(connection: Any, waited: list[float], done: threading.Event) -> None:
    """Ask the server how long the writer has been waiting for a lock, many times a second."""
    connection.inc_thread_sharing()
    waits = (
        "SELECT extract(epoch FROM clock_timestamp() - query_start) FROM pg_stat_activity "
        "WHERE wait_event_type = 'Lock' AND (query LIKE 'INSERT INTO bench%' OR query LIKE 'UPDATE bench%')"
    )
    with connection.cursor() as cursor:
        while not done.wait(1 / LOOKS_PER_S):
            cursor.execute(waits)
            waited.extend(float(row[0]) for row in cursor.fetchall())
    connection.close()


def measure_writes() -> None:
    """Build two indexes under writes."""
    from django.db import connection

    from perfsuite.indexes import Index, applying, register
    from perfsuite.indexes.engines import opened

    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS bench_leads")
        cursor.execute(
            "CREATE TABLE bench_leads (id bigserial PRIMARY KEY, tenant int, status text, at timestamptz)"
        )
        cursor.execute(
            "INSERT INTO bench_leads (tenant, status, at) SELECT n %% 100, 'new', now() - n * interval '1 second' "
            "FROM generate_series(1, %s) n",
            [ROWS],
        )
    register("bench_leads", Index("tenant", "-at"), Index("tenant", "status"))
    took: list[float] = []
    waited: list[float] = []
    done = threading.Event()
    threads = [
        threading.Thread(target=write, args=(connection.copy(), took, done)),
        threading.Thread(target=look, args=(connection.copy(), waited, done)),
    ]
    for thread in threads:
        thread.start()
    with opened("default") as engine:
        applying.apply(
            engine, say=print, done=lambda made: print(f"{made.change.name}: {made.seconds:.1f} s")
        )
    done.set()
    for thread in threads:
        thread.join()
    longest = max(waited, default=0.0)
    print(
        f"{len(took)} writes, the longest {max(took) * 1000:.0f} ms; the longest seen waiting for a lock {longest * 1000:.0f} ms"
    )


def measure_list(tables: int) -> None:
    """List the indexes of many tables."""
    from django.db import connection, transaction

    from perfsuite.indexes import listing
    from perfsuite.indexes.engines import opened

    for first in range(0, tables, TABLES_AT_ONCE):
        with transaction.atomic(), connection.cursor() as cursor:
            for number in range(first, min(first + TABLES_AT_ONCE, tables)):
                cursor.execute(f"CREATE TABLE bench_{number} (id integer PRIMARY KEY, a integer, b integer)")
                cursor.execute(f"CREATE INDEX bench_{number}_ab ON bench_{number} (a, b)")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    with opened("default") as engine:
        found = listing.entries(engine)
    took = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    memory = f"peak {peak / 1024:.0f} MiB, {(peak - before) / 1024:.0f} of them for it"
    print(f"{len(found)} indexes of {tables} tables in {took:.2f} s, {memory}")


def measure_collections(collections: int) -> None:
    """List the indexes of many collections."""
    import pymongo

    from perfsuite.indexes import listing
    from perfsuite.indexes.engines import opened

    with pymongo.MongoClient(os.environ["TEST_MONGODB_URL"]) as client:
        client.drop_database(BENCH)
        for number in range(collections):
            made = client[BENCH][f"bench_{number}"]
            made.insert_one({"a": 1, "b": 1})
            made.create_index([("a", 1), ("b", 1)])
        for sizes in (False, True):
            started = time.perf_counter()
            with opened(BENCH) as engine:
                engine.spares_sizes = not sizes  # as list_indexes does without and with --sizes
                found = listing.entries(engine)
            took = time.perf_counter() - started
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(
                f"{len(found)} indexes of {collections} collections {'with' if sizes else 'without'} sizes in {took:.2f} s, "
                f"peak {peak:.0f} MiB"
            )
        client.drop_database(BENCH)


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--writes", action="store_true")
    parser.add_argument("--tables", type=int, default=0)
    parser.add_argument("--collections", type=int, default=0)
    options = parser.parse_args()
    if not (options.writes or options.tables or options.collections):
        parser.error("Say what to run: --tables 10000, --writes or --collections 1000.")
    clients = {BENCH: "__main__.bench"} if options.collections else {}
    common.configure(
        database(),
        apps=["perfsuite.metrics", "perfsuite.indexes"],
        PERFSUITE={"INDEXES": {"CLIENTS": clients}},
    )
    print(common.machine())
    if options.writes:
        measure_writes()
    if options.tables:
        measure_list(options.tables)
    if options.collections:
        measure_collections(options.collections)


if __name__ == "__main__":
    main()
