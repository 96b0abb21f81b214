"""Tiered caching: ``"BACKEND": "perfsuite.caching.TieredCache"``. It needs no app to be installed.

``@cached`` keeps what a function returns, ``invalidate_tags`` makes it outdated, a data class names the tags of a kind of data.
"""

from __future__ import annotations

from perfsuite.caching.cached import cached
from perfsuite.caching.classes import data_class, tags_for
from perfsuite.caching.functions import invalidate_on_commit, invalidate_tags
from perfsuite.caching.tiered import TieredCache

default_app_config = "perfsuite.caching.apps.CachingConfig"

__all__ = [
    "TieredCache",
    "cached",
    "data_class",
    "invalidate_on_commit",
    "invalidate_tags",
    "tags_for",
]
