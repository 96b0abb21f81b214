"""A panel for django-debug-toolbar: where the time of a request went, what its statements repeat, and what to change.

Write ``"perfsuite.queries.toolbar.PerfsuitePanel"`` in ``DEBUG_TOOLBAR_PANELS``. It sends no statement, and takes nothing while
it is off; while it is on, the line of each statement is looked up, which costs some microseconds each. Sync and async. What the
toolbar keeps of it is plain data. N+1 is told from three repetitions on, since a developer's tables are small; all else that one
request shows is told as in production, but for columns that nobody uses.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any

from debug_toolbar.panels import Panel
from django.apps import apps
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.html import format_html

from perfsuite.metrics.conf import MetricsSettings
from perfsuite.metrics.guard import Guard
from perfsuite.metrics.request import Tally, in_hand
from perfsuite.queries.advice import advise
from perfsuite.queries.conf import QuerySettings
from perfsuite.queries.findings import limits
from perfsuite.queries.following import Block, Followed, Ran
from perfsuite.queries.grouping import KINDS, Group, found_in, groups_of
from perfsuite.queries.notes import Transaction
from perfsuite.queries.row_findings import COUNT_PAGINATION, UNBOUNDED, of_transaction, remarkable, sightings
from perfsuite.queries.slow_advice import advise_slow
from perfsuite.queries.tenant_guard.guard import unscoped_in
from perfsuite.queries.tenant_guard.reports import message

# Of a request that runs more, the rest is only counted.
MAX_STATEMENTS = 5_000
MAX_GROUPS = 200
MAX_CHARS = 2_000
REPEATS = 3
OF_ROWS = {UNBOUNDED: "Unbounded result", COUNT_PAGINATION: "Count before each page"}
FAILED = "The panel failed, and the log says why."

guard = Guard("queries.toolbar")


class PerfsuitePanel(Panel):  # type: ignore[misc]  # the toolbar has no types
    """The statements of one request by fingerprint, with their lines and the findings of this very request."""

    title = "Statements"
    nav_title = "perfsuite"
    nav_icon = "perfsuite_queries/toolbar.svg"
    template = "perfsuite_queries/toolbar.html"
    is_async = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._block: Block | None = None
        self._began = self._took = self._cache_s = 0.0

    @property
    def nav_subtitle(self) -> str:
        """Return the numbers that matter: ``24 statements in 31.4 ms, 1 finding``."""
        stats = self.get_stats()
        if not stats:
            return ""
        if stats["reason"]:
            return "off"
        found = len(stats["findings"])
        told = f", {found} finding{'' if found == 1 else 's'}" if found else ""
        count = stats["count"]
        return f"{count:,} statement{'' if count == 1 else 's'} in {stats['ms']:,.1f} ms{told}"

    @property
    def content(self) -> str:
        """Return the HTML of the panel. Where the app is not installed, its templates are not there either."""
        stats = self.get_stats()
        if not stats or stats["reason"]:
            return format_html("<p>{}</p>", stats.get("reason") or FAILED)
        try:
            return render_to_string(self.template, stats)
        except Exception as exc:  # noqa: BLE001 - the guard's
            guard.failed(exc)
            return format_html("<p>{}</p>", FAILED)

    def enable_instrumentation(self) -> None:
        """Follow the statements of the request in hand."""
        if self._block is not None or _why_not() or not guard.on:
            return
        try:
            tally = in_hand()
            self._cache_s = 0.0 if tally is None else tally.cache_s
            self._began = perf_counter()
            block = Block(Followed(MAX_STATEMENTS))
            block.begin()
            self._block = block
        except Exception as exc:  # noqa: BLE001 - the guard's
            guard.failed(exc)

    def disable_instrumentation(self) -> None:
        """Follow no more."""
        if self._block is None or self._took:
            return
        try:
            try:
                self._took = perf_counter() - self._began
                tally = in_hand()
                self._cache_s = 0.0 if tally is None else max(0.0, tally.cache_s - self._cache_s)
            finally:
                self._block.end()
        except Exception as exc:  # noqa: BLE001 - the guard's
            guard.failed(exc)

    def generate_stats(self, request: HttpRequest, response: HttpResponse) -> None:
        """Work out what the statements come to."""
        try:
            reason = _why_not() or ("" if self._block else FAILED)
            stats = {"reason": reason, "findings": []}
            if self._block is not None:
                route = Tally(request).route()
                stats |= stats_of(self._block.followed, self._took, self._cache_s, route)
            self.record_stats(stats)
        except Exception as exc:  # noqa: BLE001 - the guard's
            guard.failed(exc)
        finally:
            # An old toolbar keeps the panels of its last requests, and with each thousands of statements.
            self._block = None


def _why_not() -> str:
    """Return why there is nothing to follow, "" as a rule."""
    if not apps.is_installed("perfsuite.queries"):
        return 'perfsuite.queries is not in INSTALLED_APPS; write "INSTALLED_APPS = [..., *perfsuite.APPS]".'
    if not MetricsSettings.get().enabled:
        return "ENABLE_PERFORMANCE_MONITORING is off, so no statement is seen."
    return ""


def stats_of(followed: Followed, took_s: float, cache_s: float, route: str) -> dict[str, Any]:
    """Return what a request's statements come to, as plain data; times in milliseconds."""
    ran = followed.ran()
    seconds = sum(each.seconds for each in ran)
    mongodb_s = sum(each.seconds for each in ran if each.by_mongodb)
    parts = {
        "SQL": seconds - mongodb_s,
        "MongoDB": mongodb_s,
        "Cache": cache_s,
        # Of statements side by side nothing may be left for it.
        "Python": max(0.0, took_s - seconds - cache_s),
    }
    findings = [*_findings(ran), *_of_transactions(followed), *_of_tenants(followed, route)]
    told = {(each["fingerprint"], each["alias"]) for each in findings}
    groups = groups_of(ran, first=dict.fromkeys(told))
    return {
        "count": len(ran),
        "ms": seconds * 1e3,
        "took_ms": took_s * 1e3,
        "parts": [
            {"name": name, "ms": part * 1e3, "share": 100 * part / took_s if took_s else 0.0}
            for name, part in parts.items()
            if part or name == "Python" or (name == "SQL" and not mongodb_s)
        ],
        "databases": _databases(ran),
        "findings": findings,
        "groups": [_shown(group) for group in groups[:MAX_GROUPS]],
        "groups_left_out": max(0, len(groups) - MAX_GROUPS),
        "reads_memory": _reads_memory(),
        "left_out": followed.left_out,
    }


def _reads_memory() -> bool:
    """Tell whether a cache answers from memory: such reads cost less than a clock, and nobody times them."""
    return any(str(cache.get("BACKEND", "")).endswith(".TieredCache") for cache in settings.CACHES.values())


def _databases(ran: Sequence[Ran]) -> list[dict[str, Any]]:
    of: dict[str, list[float]] = {}
    for each in ran:
        of.setdefault(each.alias, []).append(each.seconds)
    return [{"alias": alias, "count": len(all_), "ms": sum(all_) * 1e3} for alias, all_ in sorted(of.items())]


def _findings(ran: Sequence[Ran]) -> list[dict[str, Any]]:
    """Return what to change, the largest saving first."""
    found = found_in(ran, replace(limits(), n_plus_one_any_count=min(REPEATS, limits().n_plus_one_any_count)))
    told = [
        _finding(
            KINDS[each.kind],
            each.shape.fingerprint,
            each.alias,
            each.site.where,
            each.count,
            advise(each).sentence,
        )
        for each in sorted(found, key=lambda each: -each.saving_s)
    ]
    slow_s = QuerySettings.get().slow_query_ms / 1e3
    slowest: dict[tuple[str, str], Ran] = {}
    repeated = {(each.shape.fingerprint, each.alias) for each in found}
    for each in sorted(ran, key=lambda each: -each.seconds):
        key = each.shape.fingerprint, each.alias
        if each.seconds >= slow_s and key not in repeated:
            slowest.setdefault(key, each)
    for each in slowest.values():
        site = each.site.where if each.site is not None else ""
        sentence = advise_slow(each.shape).sentence
        told.append(_finding("Slow", each.shape.fingerprint, each.alias, site, 1, sentence))
    return [*told, *_of_rows(ran)]


def _of_rows(ran: Sequence[Ran]) -> Iterator[dict[str, Any]]:
    """Yield what is found about the rows that statements returned, the largest saving first."""
    fingerprints = {(each.statement[0], each.alias): each.shape.fingerprint for each in ran}
    statements = [each.statement for each in ran]
    found = sightings(statements, remarkable(statements), "", lambda text, alias: fingerprints[text, alias])
    for each in sorted(found, key=lambda each: -each.saving_us):
        times, sentence = each.evidence["times"], each.evidence["sentence"]
        yield _finding(OF_ROWS[each.kind], each.subject, each.alias, each.site, times, sentence)


def _of_transactions(followed: Followed) -> Iterator[dict[str, Any]]:
    """Yield the transactions that were held open long, the longest first."""
    held = [each for each in followed.remarks if isinstance(each, Transaction)]
    for each in sorted(held, key=lambda each: -each.seconds):
        sentence = of_transaction(each, "").evidence["sentence"]
        yield _finding("Long transaction", "", each.alias, each.site, 1, sentence)


def _of_tenants(followed: Followed, route: str) -> Iterator[dict[str, Any]]:
    """Yield the statements that reached a tenant's table without the tenant; in ``raise`` there are none."""
    notes = [each for each in followed.remarks if not isinstance(each, Transaction)]
    found = Counter((*each[:3], tuple(each[3])) for each in unscoped_in(notes, route))
    for (fingerprint, alias, site, unscoped), count in found.items():
        yield _finding("Tenant not named", fingerprint, alias, site, count, message(unscoped[0], site))


def _finding(kind: str, fingerprint: str, alias: str, site: str, count: int, sentence: str) -> dict[str, Any]:
    return {
        "kind": kind,
        "fingerprint": fingerprint,
        "alias": alias,
        "site": site,
        "count": count,
        "sentence": sentence,
    }


def _shown(group: Group) -> dict[str, Any]:
    text = group.fingerprint
    return {
        "fingerprint": text if len(text) <= MAX_CHARS else text[: MAX_CHARS - 1] + "…",
        "alias": group.alias,
        "count": len(group.ran),
        "ms": group.seconds * 1e3,
        "slowest_ms": max(each.seconds for each in group.ran) * 1e3,
        "failed": sum(each.failed for each in group.ran),
        "sites": list(group.sites()),
    }
