"""What the cache holds, beside its bars: ``python benchmarks/caching.py [--only NAME,NAME] [--rounds N]``.

Both sides of a ratio run interleaved in this process. Values are dicts of about 1 KB unless said; caches are used directly, not
through ``django.core.cache.cache``. Needs django-redis and a Valkey or Redis (tests/valkey.py says which), which is started on a
free port.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import django  # noqa: E402
from django.conf import settings  # noqa: E402

from tests import valkey  # noqa: E402

Row = tuple[str, str, str, bool | None]  # what, measured, bar, whether it held


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", help="names of measurements, separated by commas")
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    with valkey.valkey() as server:
        set_up(server.url)
        from benchmarks import cache_behaviour, cache_speed

        measurements: dict[str, Callable[[int], list[Row]]] = {
            **cache_speed.MEASUREMENTS,
            **cache_behaviour.MEASUREMENTS,
        }
        chosen = [name for name in arguments.only.split(",") if name] or list(measurements)
        unknown = [name for name in chosen if name not in measurements]
        if unknown:
            parser.error(f"there is no measurement {unknown[0]!r}; known are {', '.join(measurements)}")
        missed = 0
        for name in chosen:
            for what, measured, bar, held in measurements[name](arguments.rounds):
                verdict = "" if held is None else "held" if held else "MISSED"
                print(f"{what:62} {measured:>34}   {bar:24} {verdict}", flush=True)
                missed += held is False
    return missed


def set_up(url: str) -> None:
    tiered = "perfsuite.caching.TieredCache"
    redis = {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": url, "OPTIONS": {"SOCKET_TIMEOUT": 5}}
    behind: dict[str, Any] = {"TIERS": {"cold": {"ALIAS": "redis"}}}
    settings.configure(
        SECRET_KEY="benchmark",
        INSTALLED_APPS=[],
        CACHES={
            "default": {"BACKEND": tiered, "LOCATION": "benchmark"},
            "unchanneled": {"BACKEND": tiered, "LOCATION": "unchanneled", "OPTIONS": {"CHANNEL": "none"}},
            "tiered-redis": {"BACKEND": tiered, "LOCATION": "benchmark-redis", "OPTIONS": behind},
            "locmem": {
                "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
                "OPTIONS": {"MAX_ENTRIES": 100_000},
            },
            "redis": redis,
        },
    )
    django.setup()


if __name__ == "__main__":
    raise SystemExit(main())
