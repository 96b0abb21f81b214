"""The options of ``PERFSUITE["QUERIES"]``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from perfsuite.conf import Section, option


@dataclass(frozen=True)
class QuerySettings(Section):
    """What counts as slow, as repeated, as too many, as large and as long; what is kept; and which tables belong to tenants."""

    section: ClassVar[str] = "QUERIES"

    slow_query_ms: float = option(
        100.0,
        env="SLOW_QUERY_THRESHOLD",
        minimum=0,
        help="Milliseconds from which on a statement is slow: counted as such and logged.",
    )
    explain_timeout_ms: int = option(
        5_000, minimum=10, maximum=60_000, help="Milliseconds within which a database must give a plan."
    )
    explain_analyze: bool = option(
        False,
        help="Whether a plan that is asked for on PostgreSQL comes from running the statement, in a transaction that can only "
        "read; its functions are then called.",
    )
    explain_daily: bool = option(
        False, help="Whether each slow statement is explained once a day, by one process of all servers."
    )
    explain_scan_rows: int = option(
        10_000,
        minimum=1,
        help="Rows from which on a table that is read whole, for a filter that no index serves, misses an index.",
    )
    explain_mongodb_url: str = option(
        "",
        help="Server of your own MongoDB clients, those of none of DATABASES, to explain their commands on.",
    )
    unbounded_rows: int = option(
        1_000,
        minimum=1,
        help="Rows above which a SELECT without a LIMIT, in a request, is a finding.",
    )
    large_table_rows: int = option(
        100_000,
        minimum=1,
        help="Rows from which on a COUNT(*) before a page of the same rows is a finding; a hundredth of that where it is slow.",
    )
    long_transaction_ms: float = option(
        1_000.0,
        minimum=0,
        help="Milliseconds from which on a transaction held open in a request is a finding.",
    )
    wide_rows: int = option(
        100,
        minimum=1,
        help="Rows of a model from which on a request is told which of their columns it did not use.",
    )
    wide_rows_sample: int = option(
        0,
        minimum=0,
        help="One request in so many is watched for the columns that it uses, none with 0; with DEBUG, every one. Meanwhile "
        "reading an attribute of any model is slower, in all threads.",
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
