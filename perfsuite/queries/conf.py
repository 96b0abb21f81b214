"""The options of ``PERFSUITE["QUERIES"]``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from perfsuite.conf import Section, option


@dataclass(frozen=True)
class QuerySettings(Section):
    """What counts as slow, and which tables belong to tenants."""

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
