"""How right the percentiles are: merged histograms against the exact ones, and against averaging each worker's p95.

The example is an incident: seven of eight workers answer as always, one is slow for a part of the hour. Every line merges one row
per worker and minute, as the store does.

    python benchmarks/percentiles.py [--seed 1]
"""

from __future__ import annotations

import argparse
import math
import random
import statistics

import common

from perfsuite.metrics.histogram import Histogram

WORKERS, MINUTES = 8, 60
QUANTILES = (0.5, 0.95, 0.99)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    seed = parser.parse_args().seed
    print(common.machine())
    print(
        f"python benchmarks/percentiles.py --seed {seed}: {WORKERS} workers, {MINUTES} minutes, milliseconds\n"
    )
    rng = random.Random(seed)
    rows: list[list[object]] = []
    for title, slow_from, slow_until in (("a quiet hour", 0, 0), ("one worker slow for 20 minutes", 20, 40)):
        parts = [part for worker in range(WORKERS) for part in one_worker(rng, worker, slow_from, slow_until)]
        rows += compare(title, parts)
    common.print_table(["case", "", "exact", "merged", "error", "average of the parts", "error"], rows)


def one_worker(rng: random.Random, worker: int, slow_from: int, slow_until: int) -> list[list[float]]:
    """Return the microseconds of each request, minute by minute. A slow minute of a worker also answers fewer."""
    minutes = []
    for minute in range(MINUTES):
        is_slow = worker == 0 and slow_from <= minute < slow_until
        requests, typical = (rng.randint(150, 200), 900_000) if is_slow else (rng.randint(250, 350), 40_000)
        minutes.append([rng.lognormvariate(math.log(typical), 0.6) for _ in range(requests)])
    return minutes


def compare(title: str, parts: list[list[float]]) -> list[list[object]]:
    exact = sorted(value for part in parts for value in part)
    histograms = []
    for part in parts:
        histogram = Histogram()
        for value in part:
            histogram.add(value)
        numbers_of_row = (histogram.count, histogram.sum, histogram.min, histogram.max)
        histograms.append(Histogram.from_bytes(histogram.to_bytes(), *numbers_of_row))
    merged = Histogram()
    for histogram in histograms:
        merged.merge(histogram)
    lines: list[list[object]] = []
    for q in QUANTILES:
        truth = exact[max(1, math.ceil(q * len(exact))) - 1]
        average = statistics.fmean(histogram.quantile(q) for histogram in histograms)
        ours = merged.quantile(q)
        numbers = [f"{us / 1e3:.1f}" for us in (truth, ours, average)]
        line = [numbers[0], numbers[1], error(ours, truth), numbers[2], error(average, truth)]
        lines.append([title, f"p{q * 100:.0f}", *line])
    return lines


def error(value: float, truth: float) -> str:
    return f"{(value / truth - 1) * 100:+.1f} %"


if __name__ == "__main__":
    main()
