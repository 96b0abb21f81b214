"""How often a SQLite host finds its database locked, with perfsuite's store in a file of its own and in the host's file.

One thread runs read-then-write transactions while another flushes without a pause, which is the worst case: a site
flushes every ten seconds per process. The host waits for a lock up to ``--timeout`` seconds; but a transaction that has
read and now wants to write cannot wait for one that has written since.

    python benchmarks/locks.py [--transactions 2000] [--timeout 5]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import common

STORES = {"no store at all": "", "a file of its own": "own", "the host's file": "shared"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--transactions", type=int, default=2_000)
    parser.add_argument("--timeout", type=float, default=5.0)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker is not None:
        work(options.worker, options.transactions, options.timeout)
        return
    print(common.machine())
    print(f"python benchmarks/locks.py {' '.join(sys.argv[1:])}".rstrip() + "\n")
    rows = []
    for title, store in STORES.items():
        command = [sys.executable, __file__, "--worker", store, "--transactions", str(options.transactions)]
        command += ["--timeout", str(options.timeout)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        said = json.loads(done.stdout)
        rows.append([title, options.transactions, said["locked"], said["flushes"], f"{said['seconds']:.1f}"])
    common.print_table(["the store is", "transactions", "database is locked", "flushes", "seconds"], rows)


def work(store: str, transactions: int, timeout: float) -> None:
    with tempfile.TemporaryDirectory(prefix="perfsuite-bench-") as folder:
        host = {
            "ENGINE": common.SQLITE,
            "NAME": str(Path(folder) / "host.sqlite3"),
            "OPTIONS": {"timeout": timeout},
        }
        options = {"METRICS": {"DATABASE": "default"}} if store == "shared" else {}
        common.configure(host, apps=["perfsuite.metrics", "perfsuite.monitoring"], PERFSUITE=options)
        print(json.dumps(transact(transactions, flushes=bool(store))))


def transact(transactions: int, flushes: bool) -> dict[str, float]:
    from django.core.management import call_command
    from django.db import OperationalError, connection, connections, transaction

    from perfsuite.metrics.flusher import flusher
    from perfsuite.metrics.recorder import recorder

    recorder.on_first = None  # flushed by the loop below only
    call_command("migrate", verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE counter (n integer)")
        cursor.execute("INSERT INTO counter VALUES (0)")
    stop = threading.Event()
    said = {"locked": 0, "flushes": 0, "seconds": 0.0}

    def flush() -> None:
        while flushes and not stop.is_set():
            recorder.observe("requests.status", ("2xx",), 1_000)
            said["flushes"] += flusher.flush()
        connections.close_all()

    thread = threading.Thread(target=flush)
    thread.start()
    started = time.perf_counter()
    for _ in range(transactions):
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SELECT n FROM counter")
                n = cursor.fetchone()[0]
                cursor.execute("UPDATE counter SET n = %s", [n + 1])
        except OperationalError:
            said["locked"] += 1
    said["seconds"] = time.perf_counter() - started
    stop.set()
    thread.join()
    return said


if __name__ == "__main__":
    main()
