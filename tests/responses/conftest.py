"""The fixtures of this folder."""

from __future__ import annotations

from tests.recorded import recorded
from tests.responses.asking import compressing

__all__ = ["compressing", "recorded"]
