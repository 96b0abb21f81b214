"""Answers that are made once and sent many times, and no larger than they must be."""

from __future__ import annotations

from perfsuite.responses.compression import CompressionMiddleware
from perfsuite.responses.marks import compress_response, never_compress_response

default_app_config = "perfsuite.responses.apps.ResponsesConfig"

__all__ = ["CompressionMiddleware", "compress_response", "never_compress_response"]
