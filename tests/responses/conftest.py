"""The fixtures of this folder."""

from __future__ import annotations

from tests.recorded import recorded

__all__ = ["recorded"]
