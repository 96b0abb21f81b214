"""Tiered caching: ``"BACKEND": "perfsuite.caching.TieredCache"``. It needs no app to be installed."""

from __future__ import annotations

from perfsuite.caching.tiered import TieredCache

default_app_config = "perfsuite.caching.apps.CachingConfig"

__all__ = ["TieredCache"]
