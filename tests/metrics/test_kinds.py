"""The declaration of kinds."""

from __future__ import annotations

import pytest

from perfsuite.metrics import kinds
from perfsuite.metrics.kinds import Kind


@pytest.fixture(autouse=True)
def _own_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinds, "_kinds", dict(kinds._kinds))


def test_a_declared_kind_is_found_and_another_is_not() -> None:
    made = kinds.declare(Kind("test.kinds", "us", ("route",)))
    assert kinds.lookup("test.kinds") is made
    assert kinds.lookup("test.kinds.other") is None


def test_declaring_the_same_again_is_harmless() -> None:
    kinds.declare(Kind("test.kinds", "us", ("route",)))
    kinds.declare(Kind("test.kinds", "us", ("route",)))


def test_declaring_another_of_the_same_name_is_refused() -> None:
    kinds.declare(Kind("test.kinds", "us", ("route",)))
    with pytest.raises(ValueError, match=r"'test\.kinds' is already declared"):
        kinds.declare(Kind("test.kinds", "bytes", ("route",)))


def test_every_kind_of_the_suite_fits_its_column_and_has_a_cap() -> None:
    for name, kind in kinds._kinds.items():
        assert len(name) <= 60
        assert kind.cap >= 1
        assert kind.unit in {"us", "bytes", "count"}
