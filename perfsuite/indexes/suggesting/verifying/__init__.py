"""Proves a suggested index on a copy of a sample of its table, in a place that is gone afterwards."""

from __future__ import annotations

from perfsuite.indexes.suggesting.verifying.verify import NotVerifiable, verify

__all__ = ["NotVerifiable", "verify"]
