"""The options of ``PERFSUITE["QUERIES"]``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from perfsuite.conf import Section, option


@dataclass(frozen=True)
class QuerySettings(Section):
    """What counts as slow, as repeated, as too many; whether parameters are kept; and which tables belong to tenants."""

    section: ClassVar[str] = "QUERIES"

    slow_query_ms: float = option(
        100.0,
        env="SLOW_QUERY_THRESHOLD",
        minimum=0,
        help="Milliseconds from which on a statement is slow: counted as such and logged.",
    )
    tenant_owned: dict[str, Any] = option(
        {},
        help="Models and tables whose rows belong to tenants, with the field or column that says to which: "
        '`{"shop.Lead": "tenant", "leads_archive": "tenant_id"}`; through another row: `{"shop.Note": "lead__tenant"}`. None '
        "takes a model out that has the attribute `perfsuite_tenant`.",
    )
    tenant_guard: str = option(
        "observe",
        help="What becomes of a statement that reaches such a table without its tenant: `observe` makes it a finding, `warn` "
        "logs it too, `raise` raises `perfsuite.exceptions.UnscopedStatement` in place of running it, `off` does nothing.",
    )
    tenant_guard_always: bool = option(
        False,
        help="Judge statements also where no tenant is current: in commands, tasks, and requests that belong to none.",
    )
    tenant_allowed_routes: tuple[str, ...] = option(
        (),
        help="Routes whose statements may reach the rows of all tenants, with `*` for anything: `/admin/*`.",
    )
    n_plus_one_count: int = option(
        5,
        minimum=2,
        help="Repetitions from which on one line's statement, row by row, is an N+1, if they took N_PLUS_ONE_MS together.",
    )
    n_plus_one_ms: float = option(
        20.0,
        minimum=0,
        help="Milliseconds that fewer than N_PLUS_ONE_ANY_COUNT repetitions must take to be an N+1.",
    )
    n_plus_one_any_count: int = option(
        10, minimum=2, help="Repetitions from which on they are an N+1 however short they took."
    )
    duplicate_count: int = option(
        3,
        minimum=2,
        help="How often a request reads the same with the same parameters until it is a duplicate.",
    )
    chatty_count: int = option(
        50,
        minimum=1,
        help="Statements that a request may run, those of an N+1 or of duplicates apart, before it is chatty.",
    )
    capture_params: bool = option(
        False,
        help="Whether the parameters of remembered statements are kept in the store; they are your users' data.",
    )
    mask_params: str = option(
        "",
        help="Dotted path of a function that takes a statement and the list of its parameters and returns the list that is kept.",
    )
