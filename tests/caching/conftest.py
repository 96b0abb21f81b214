"""The fixtures of this folder."""

from __future__ import annotations

import pytest

from perfsuite.caching import engine
from perfsuite.metrics.recorder import recorder
from tests.recorded import recorded

__all__ = ["recorded"]


@pytest.fixture
def no_caches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no caches of other tests, whose names would use up the caps of what is recorded."""
    monkeypatch.setattr(engine, "_engines", {})
    recorder.take()
    recorder._known.clear()
