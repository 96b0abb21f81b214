"""Answers that are made once and sent many times, and no larger than they must be.

What a host imports from here is loaded when it asks for it: the app alone, in a process that answers nothing, needs none of it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
_MODULES = {
    "CompressionMiddleware": "compression",
    "ResponseCacheMiddleware": "caching",
    "cache_response": "decorators",
    "compress_response": "marks",
    "drop_user": "tagging",
    "never_cache_response": "decorators",
    "never_compress_response": "marks",
}


def __getattr__(name: str) -> Any:
    """Return what is exported under a name (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    return found
