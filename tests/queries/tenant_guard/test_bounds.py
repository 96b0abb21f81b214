"""What the guard remembers of statements that were in order is bounded, however many different ones there are."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest
from django.db import connection

from perfsuite.queries.tenant_guard import guard
from perfsuite.queries.tenant_guard.guard import judge_statement


@pytest.mark.relational
def test_very_many_different_statements_are_remembered_in_bounded_memory(
    guarding: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "MAX_IN_ORDER", 100)
    guarding()
    sizes = []
    context = {"connection": connection, "cursor": SimpleNamespace()}
    for number in range(1_000):
        text = f"SELECT name FROM plain WHERE id = {number}"
        assert judge_statement(lambda *args: "result", text, None, False, context) == "result"
        assert text in guard._in_order
        sizes.append(len(guard._in_order))
    long = f"SELECT name FROM plain WHERE id = '{'x' * guard.MAX_CACHED_CHARS}'"
    judge_statement(lambda *args: "result", long, None, False, context)

    assert max(sizes) == 100
    assert long not in guard._in_order
