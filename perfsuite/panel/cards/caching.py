"""The caches: how many reads they answer and from where, what their memory holds, and whether a server is away.

All cards are left out while no cache is read. Reads are counted exactly; times and prefixes are those of one read in
``SAMPLE_EVERY``, or of every call where the cache is not a ``TieredCache``.
"""

from __future__ import annotations

from collections.abc import Mapping

from perfsuite.caching.engine import SAMPLE_EVERY
from perfsuite.metrics.histogram import Histogram
from perfsuite.metrics.query import Window
from perfsuite.panel.cards.base import (
    US_PER_MS,
    CardContext,
    CardData,
    Column,
    Line,
    Tile,
    change,
    chart,
    message,
    percent,
    shares,
    table,
    tiles,
)
from perfsuite.panel.conf import PanelSettings

MISSES = ("miss", "absent")
# From the bottom of the stack to its top: the answers of a TieredCache.
ANSWERS = (
    ("hot", "L1 hot"),
    ("warm", "L2 warm"),
    ("cold", "L3 cold"),
    ("stale", "Stale"),
    ("miss", "Miss"),
)
TIERS = {"hot": "L1 hot", "warm": "L2 warm", "cold": "L3 cold"}
ROWS = 10
ALL = 1_000
# A cache is away now if it was at one of the last flushes.
NOW_S = 30


class Breaker:
    """Says that a shared tier is away, or was; left out otherwise."""

    id = "cache-breaker"
    title = "Shared cache"

    def data(self, view: CardContext) -> CardData | None:
        """Return the sentences, or None."""
        times = _of_event(view, "breaker opened")
        now = Window(int(view.now) // 10 * 10 - NOW_S, view.window.end)
        away = {
            name for name, flag in view.read.totals_by("cache.breaker_open", now, "cache").items() if flag.max
        }
        failures = _of_event(view, "server failure")
        sentences = [
            _breaker_sentence(name, name in away, times.get(name, 0), failures.get(name, 0))
            for name in sorted({*times, *away})
        ]
        if not sentences:
            return None
        return message(self.id, self.title, " ".join(sentences), "error" if away else "warning")


def _of_event(view: CardContext, event: str) -> dict[str, int]:
    rows = view.read.top("cache.events", view.window, ("cache", "event"), "sum", ALL, percentiles=False)
    return {row.labels["cache"]: round(row.value.sum) for row in rows if row.labels["event"] == event}


def _breaker_sentence(name: str, is_away: bool, times: int, failures: int) -> str:
    calls = f"{failures:,} failed call{'' if failures == 1 else 's'} in this range"
    if is_away:
        return (
            f"The server behind the cache {name} does not answer ({calls}). Each process goes on with its own memory "
            "and asks again by itself; see the log of perfsuite.caching."
        )
    often = "once" if times == 1 else f"{times:,} times"
    return f"The server behind the cache {name} was away {often} ({calls}) and answers again."


class Figures:
    """Hit rate, reads, their time, and what was saved by waiting or by an old value."""

    id = "cache-figures"
    title = "Caches"

    def data(self, view: CardContext) -> CardData | None:
        """Return the tiles, or None."""
        reads = _reads(view, view.window)
        whole = sum(reads.values())
        if not whole:
            return None
        before = _reads(view, view.previous)
        rate, rate_before = _hit_rate(reads), _hit_rate(before)
        times = view.read.totals("cache.time", view.window, {"operation": "get"})
        waited = sum(_of_event(view, "coalesced").values())
        shown = [
            Tile(
                "cache_hit_rate",
                "Hit rate",
                rate,
                unit="%",
                delta=change(rate, rate_before, sum(before.values())),
                better="up",
                target=PanelSettings.get().cache_hit_rate_target_percent,
            ),
            Tile(
                "cache_reads",
                "Reads / min",
                round(60 * whole / view.elapsed_s, 2),
                better="neutral",
                hint=f"{whole:,} in this range",
            ),
            Tile(
                "cache_read_p95",
                "Read p95",
                round(times.quantile(0.95), 2) if times.count else None,
                unit="µs",
                hint=f"average {times.mean:.3g} µs" if times.count else "not measured yet",
            ),
            Tile(
                "cache_stale",
                "Served stale",
                percent(reads.get("stale", 0), whole),
                unit="%",
                better="neutral",
                hint="old value, no wait",
            ),
            Tile(
                "cache_coalesced",
                "Computations saved",
                waited,
                digits=0,
                better="neutral",
                hint="took another's result",
            ),
        ]
        return tiles(self, shown, hint="all caches together", size="small")


def _reads(view: CardContext, window: Window) -> dict[str, int]:
    """Return the reads of all caches by answer."""
    found = view.read.totals_by("cache.reads", window, "answer")
    return {answer: round(counter.sum) for answer, counter in found.items()}


def _hit_rate(reads: Mapping[str, int]) -> float:
    whole = sum(reads.values())
    return percent(whole - sum(reads.get(answer, 0) for answer in MISSES), whole)


class Answers:
    """Which share of the reads each tier answered, over time; left out without a ``TieredCache``."""

    id = "cache-answers"
    title = "Where reads are answered"

    def data(self, view: CardContext) -> CardData | None:
        """Return the chart, or None."""
        found = view.read.series_by("cache.reads", view.window, view.step, "answer")
        layers = [(answer, label, found[answer]) for answer, label in ANSWERS if answer in found]
        if not layers:
            return None
        return chart(
            self,
            view,
            shares(layers),
            unit="%",
            hint="share of the reads of the tiered caches",
            width="half",
            stacked=True,
            empty="No reads in this range yet.",
        )


class Memory:
    """What the tiers in memory hold, against what they may hold."""

    id = "cache-memory"
    title = "Cache memory"

    def data(self, view: CardContext) -> CardData | None:
        """Return the table, or None."""
        held = _by_tier(view, "cache.bytes")
        if not held:
            return None
        budgets, entries = _by_tier(view, "cache.budget"), _by_tier(view, "cache.entries")
        gone = view.read.top(
            "cache.evictions", view.window, ("cache", "tier", "reason"), "sum", ALL, percentiles=False
        )
        evicted = {tuple(row.labels.values()): round(row.value.sum) for row in gone}
        rejected = _by_tier(view, "cache.rejected")
        several = len({cache for cache, _ in held}) > 1
        lines: list[Line] = []
        for cache, tier in sorted(held, key=lambda place: (place[0], list(TIERS).index(place[1]))):
            most, budget = held[cache, tier].max, budgets[cache, tier].max
            lines.append(
                [
                    *([cache] if several else []),
                    TIERS[tier],
                    most,
                    budget,
                    percent(most, budget),
                    entries[cache, tier].max,
                    evicted.get((cache, tier, "bytes"), 0),
                    evicted.get((cache, tier, "expiry"), 0),
                    round(rejected[cache, tier].sum) if (cache, tier) in rejected else 0,
                ]
            )
        columns = [
            *([Column("cache", "Cache", "text")] if several else []),
            Column("tier", "Tier", "text"),
            Column("bytes", "Held", "bytes"),
            Column("budget", "Budget", "bytes"),
            Column("full", "Full", "share"),
            Column("entries", "Entries"),
            Column("evicted", "Pushed out"),
            Column("expired", "Expired"),
            Column("rejected", "Too large"),
        ]
        return table(self, columns, lines, hint="the most of one process in this range")


def _by_tier(view: CardContext, kind: str) -> dict[tuple[str, str], Histogram]:
    rows = view.read.top(kind, view.window, ("cache", "tier"), "sum", ALL, percentiles=False)
    return {
        (row.labels["cache"], row.labels["tier"]): row.value for row in rows if row.labels["tier"] in TIERS
    }


class Caches:
    """Every cache in ``CACHES`` that is read or written, by its reads."""

    id = "caches"
    title = "Caches by alias"

    def data(self, view: CardContext) -> CardData | None:
        """Return the table, or None."""
        reads: dict[str, dict[str, int]] = {}
        for row in view.read.top(
            "cache.reads", view.window, ("cache", "answer"), "sum", ALL, percentiles=False
        ):
            reads.setdefault(row.labels["cache"], {})[row.labels["answer"]] = round(row.value.sum)
        sets = view.read.totals_by("cache.sets", view.window, "cache")
        if not reads and not sets:
            return None
        deletes = view.read.totals_by("cache.deletes", view.window, "cache")
        times = view.read.totals_by("cache.time", view.window, "cache")
        failed = _of_event(view, "failed")
        lines: list[Line] = [
            [
                name,
                *_read_cells(reads.get(name, {})),
                round(sets[name].sum) if name in sets else 0,
                _deletes(reads.get(name, {}), deletes.get(name)),
                *_time_cells(times.get(name)),
                failed.get(name, 0),
            ]
            for name in {*reads, *sets}
        ]
        lines.sort(key=lambda line: (-float(line[1] or 0), str(line[0])))
        columns = (
            Column("cache", "Cache", "text"),
            Column("reads", "Reads"),
            Column("hit_rate", "Hit rate", "percent"),
            Column("sets", "Sets"),
            Column("deletes", "Deletes"),
            Column("avg", "Call, average", "duration"),
            Column("p95", "Call, p95", "duration"),
            Column("failed", "Failed"),
        )
        return table(self, columns, lines, hint="of a tiered cache, calls are reads", sorted_by="reads")


def _read_cells(reads: Mapping[str, int]) -> Line:
    return [sum(reads.values()), _hit_rate(reads) if reads else None]


def _deletes(reads: Mapping[str, int], deletes: Histogram | None) -> int | None:
    """Return the deleted keys, None of a tiered cache, which does not count them."""
    if deletes is not None:
        return round(deletes.sum)
    return 0 if "found" in reads or "absent" in reads else None


def _time_cells(times: Histogram | None) -> Line:
    return [times.mean / US_PER_MS, times.quantile(0.95) / US_PER_MS] if times else [None, None]


class Prefixes:
    """The keys by what they begin with: where the reads go, and which of them find nothing."""

    id = "cache-prefixes"
    title = "Keys by prefix"

    def data(self, view: CardContext) -> CardData | None:
        """Return the table, or None."""
        groups: dict[str, dict[str, int]] = {}
        for row in view.read.top(
            "cache.prefixes", view.window, ("prefix", "answer"), "sum", ALL, percentiles=False
        ):
            groups.setdefault(row.labels["prefix"], {})[row.labels["answer"]] = round(row.value.sum)
        if not groups:
            return None
        counts = {prefix: sum(answers.values()) for prefix, answers in groups.items()}
        whole = sum(counts.values())
        lines: list[Line] = [
            [prefix, _hit_rate(groups[prefix]), percent(counts[prefix], whole)]
            for prefix in sorted(counts, key=lambda prefix: (-counts[prefix], prefix))[:ROWS]
        ]
        columns = (
            Column("prefix", "Keys begin with", "text"),
            Column("hit_rate", "Hit rate", "percent"),
            Column("share", "Share of reads", "share"),
        )
        hint = f"from one read in {SAMPLE_EVERY}"
        return table(self, columns, lines, hint=hint, sorted_by="share", width="half")
