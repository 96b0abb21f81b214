"""The panel's JSON: the cards of one range, built once for all who look at the same time."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

from perfsuite.exceptions import StoreUnavailable
from perfsuite.metrics.conf import MetricsSettings
from perfsuite.metrics.query import Window
from perfsuite.metrics.reading import one_reading
from perfsuite.metrics.recorder import recorder
from perfsuite.panel.cards.base import CardContext, CardData, Level, load, message
from perfsuite.panel.cards.reader import EmptyReader, StoreReader
from perfsuite.panel.conf import PanelSettings

logger = logging.getLogger("perfsuite.panel")

# Several admins with an open page share one answer for this long.
KEPT_S = 2.0
DEFAULT_RANGE = "1h"


@dataclass(frozen=True)
class Range:
    """A choice of the page: how far it looks back and how finely it draws, in seconds."""

    id: str
    title: str
    seconds: int
    step: int


RANGES = {
    each.id: each
    for each in (
        Range("15m", "The last 15 minutes", 900, 10),
        Range("1h", "The last hour", 3_600, 60),
        Range("6h", "The last 6 hours", 6 * 3_600, 300),
        Range("24h", "The last 24 hours", 24 * 3_600, 600),
        Range("7d", "The last 7 days", 7 * 86_400, 3_600),
    )
}

Payload = dict[str, Any]

_lock = threading.Lock()
_kept: dict[str, tuple[float, Payload]] = {}
_logged: set[str] = set()


def payload(chosen: Range) -> Payload:
    """Return the JSON of a range, at most ``KEPT_S`` seconds old. Never raises for what a card or the store does."""
    with _lock:
        held = _kept.get(chosen.id)
        if held is None or time.monotonic() - held[0] >= KEPT_S:
            held = _kept[chosen.id] = (time.monotonic(), build(chosen, time.time()))
        return held[1]


def forget(**kwargs: object) -> None:
    """Build the next answer anew, whatever its age."""
    with _lock:
        _kept.clear()


setting_changed.connect(forget, dispatch_uid="perfsuite.panel.payload")


def build(chosen: Range, now: float) -> Payload:
    """Build the JSON of a range as of ``now``, in seconds since the epoch."""
    # The window ends with the running step, so that points stay where they are from poll to poll.
    end = (int(now) // chosen.step + 1) * chosen.step
    window = Window(end - chosen.seconds, end)
    view = CardContext(window, window.previous(), chosen.step, chosen.id, now, StoreReader())
    notices = _Notices()
    with one_reading():
        cards = [
            card for path in PanelSettings.get().cards if (card := _card(path, view, notices)) is not None
        ]
        _add_health(view, notices)
    return {
        "generated_at": round(now, 3),
        "range": chosen.id,
        "ranges": list(RANGES),
        "poll_s": PanelSettings.get().poll_s,
        "window": {"start": window.start, "end": window.end, "step": chosen.step},
        "notices": notices.shown,
        "cards": cards,
    }


class _Notices:
    """The sentences over the cards, each once."""

    def __init__(self) -> None:
        self.shown: list[dict[str, str]] = []

    def add(self, level: Level, text: str) -> None:
        notice = {"level": level, "text": text}
        if notice not in self.shown:
            self.shown.append(notice)


def _card(path: str, view: CardContext, notices: _Notices) -> CardData | None:
    try:
        card = load(path)
    except ImproperlyConfigured as exc:
        return message(path, path.rpartition(".")[2], f"{exc} See manage.py check.", "error")
    try:
        return card.data(view)
    except StoreUnavailable as exc:
        notices.add("error", str(exc))
    except Exception as exc:  # noqa: BLE001 - a card may be anyone's; the others stay
        return _failed(card.id, card.title, path, exc)
    try:
        # Once more as over an empty store: the page keeps its shape.
        return card.data(_emptied(view))
    except Exception:  # noqa: BLE001 - it reads the store by itself; the notice says what is wrong
        return message(card.id, card.title, "No numbers while the store is away.")


def _failed(card_id: str, title: str, path: str, exc: Exception) -> CardData:
    if path not in _logged:
        _logged.add(path)
        logger.error("The card %s failed; the other cards are shown.", path, exc_info=exc)
    text = f"Card {title} failed: {type(exc).__name__}, see the log of perfsuite.panel."
    return message(card_id, title, text, "error")


def _emptied(view: CardContext) -> CardContext:
    return CardContext(view.window, view.previous, view.step, view.range, view.now, EmptyReader())


def _add_health(view: CardContext, notices: _Notices) -> None:
    """Say what keeps the numbers from being there or from being whole."""
    for sentence in recorder.disabled_hooks.values():
        notices.add("error", sentence)
    if not MetricsSettings.get().enabled:
        notices.add(
            "warning",
            "Measuring is switched off: remove ENABLE_PERFORMANCE_MONITORING=false from the environment, "
            "or set PERFSUITE['METRICS']['ENABLED'] to True, and restart.",
        )
    try:
        failures = view.read.totals_by("self.failures", view.window, "hook")
        empty = not any(point.count for series in view.requests_by_status.values() for point in series)
    except StoreUnavailable as exc:
        notices.add("error", str(exc))
        return
    for hook, counter in sorted(failures.items()):
        times = f"{counter.sum:.0f} time{'' if counter.sum == 1 else 's'}"
        notices.add(
            "warning",
            f"The hook {hook} failed {times} in this range, so that some numbers are missing; see the log.",
        )
    if empty and MetricsSettings.get().enabled:
        notices.add(
            "info",
            "No requests in this range yet. The first numbers come about 10 seconds after the first request.",
        )
