"""The panel's cards. One is a class with ``id``, ``title`` and ``data(view)``, named by its dotted path in the settings."""

from __future__ import annotations

from perfsuite.panel.cards.base import Card, CardContext, CardData, chart, load, message, table, tiles
from perfsuite.panel.cards.reader import Reader, StoreReader

__all__ = [
    "Card",
    "CardContext",
    "CardData",
    "Reader",
    "StoreReader",
    "chart",
    "load",
    "message",
    "table",
    "tiles",
]
