"""The fixtures of this folder."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.management import call_command

from perfsuite.indexes import registry
from tests.indexes import world


@pytest.fixture(autouse=True)
def _nothing_declared() -> Iterator[None]:
    registry.unregister_all()
    yield
    registry.unregister_all()


@pytest.fixture
def leads(transactional_db: None) -> Iterator[str]:
    """Return the name of an empty table of leads."""
    world.make_table()
    yield world.LEADS
    world.drop_table()


@pytest.fixture
def run() -> Callable[..., Any]:
    """Return a function that runs a command and returns its exit code, its output and what it says beside."""

    def runs(name: str, *arguments: str) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        code = 0
        try:
            call_command(name, *arguments, stdout=out, stderr=err)
        except SystemExit as exc:
            code = int(str(exc.code or 0))
        return code, out.getvalue(), err.getvalue()

    return runs
