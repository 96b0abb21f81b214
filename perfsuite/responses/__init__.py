"""Answers that are made once and sent many times, and no larger than they must be."""

from __future__ import annotations

from perfsuite.responses.caching import ResponseCacheMiddleware
from perfsuite.responses.compression import CompressionMiddleware
from perfsuite.responses.decorators import cache_response, never_cache_response
from perfsuite.responses.marks import compress_response, never_compress_response
from perfsuite.responses.tagging import drop_user

default_app_config = "perfsuite.responses.apps.ResponsesConfig"

__all__ = [
    "CompressionMiddleware",
    "ResponseCacheMiddleware",
    "cache_response",
    "compress_response",
    "drop_user",
    "never_cache_response",
    "never_compress_response",
]
