"""What the cache holds, beside its bars.

Both sides of a ratio run interleaved in this process. A ratio is the median over the rounds, with its quartiles; ``CPU`` is the
same by the processor's time of the thread, which other processes of the machine disturb less. Values are dicts of about 1 KB
unless said. The caches are used directly, not through ``django.core.cache.cache``. It needs django-redis, psutil and a Valkey or
Redis (tests/valkey.py says which), which is started on a free port.

    python benchmarks/caching.py [--only hits,memory] [--rounds 15] [--quick]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from typing import Any

import common

from tests import valkey  # common has put the working tree on the path


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="names of measurements, separated by commas")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument(
        "--quick", action="store_true", help="small sizes: see that it runs, not what it says"
    )
    options = parser.parse_args()
    print(common.machine())
    print(f"python benchmarks/caching.py {' '.join(sys.argv[1:])}".rstrip() + "\n")
    with valkey.valkey() as server:
        import cache_common

        cache_common.set_up(server.url)
        known = measurements()
        chosen = [name for name in options.only.split(",") if name] or list(known)
        if unknown := [name for name in chosen if name not in known]:
            parser.error(f"there is no measurement {unknown[0]!r}; known are {', '.join(known)}")
        effort = cache_common.Effort(3 if options.quick else options.rounds, options.quick)
        rows = []
        for name in chosen:
            for row in known[name](effort):
                print(f"{name}: {row.what}: {row.measured} {row.verdict}", file=sys.stderr, flush=True)
                rows.append(row)
    common.print_table(
        ["what", "measured", "bar", "verdict"],
        [[row.what, row.measured, row.bar, row.verdict] for row in rows],
    )
    return 0


def measurements() -> dict[str, Callable[[Any], Iterator[Any]]]:
    import cache_hosts
    import cache_races
    import cache_redis
    import cache_sizes
    import cache_speed

    modules = (cache_speed, cache_redis, cache_hosts, cache_races, cache_sizes)
    return {name: each for module in modules for name, each in module.MEASUREMENTS.items()}


if __name__ == "__main__":
    raise SystemExit(main())
