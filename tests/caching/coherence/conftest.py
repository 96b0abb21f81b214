"""The caches of the shared tier's tests."""

from __future__ import annotations

from tests.caching.tiers.conftest import faulty, pair

__all__ = ["faulty", "pair"]
