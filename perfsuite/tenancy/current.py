"""The tenant in hand, in a ContextVar: right under threads and asyncio, None outside ``tenant`` and TenantMiddleware."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Tenant = int | str

variable: ContextVar[Tenant | None] = ContextVar("perfsuite_tenant", default=None)
across: ContextVar[str | None] = ContextVar("perfsuite_across_tenants", default=None)


def current_tenant() -> Tenant | None:
    """Return the id of the tenant that this code runs for, or None."""
    return variable.get()


@contextmanager
def tenant(tenant_id: Tenant | None) -> Iterator[None]:
    """Run the block for a tenant (for no tenant: None), as a command or a task must; blocks nest.

    An id that is neither a number nor a string raises TypeError: an object would later compare unequal to itself.
    """
    if tenant_id is not None and (isinstance(tenant_id, bool) or not isinstance(tenant_id, (int, str))):
        raise TypeError(
            f"A tenant is named by its id, a number or a string, not by {tenant_id!r}; write tenant(company.pk), or "
            "tenant(str(company.pk)) where keys are UUIDs or ObjectIds."
        )
    previous = variable.get()
    variable.set(tenant_id)
    try:
        yield
    finally:
        variable.set(previous)


def current_reason() -> str | None:
    """Return why this code may reach the rows of all tenants, or None if it may not."""
    return across.get()


@contextmanager
def across_tenants(reason: str) -> Iterator[None]:
    """Run the block for the rows of all tenants: the tenant guard says nothing of it. ``current_tenant()`` stays what it is.

    The reason is for who reads the code. One that is empty raises TypeError.
    """
    if not reason or not isinstance(reason, str):
        raise TypeError(f'Say why, not {reason!r}: write with across_tenants("nightly report"):')
    previous = across.get()
    across.set(reason)
    try:
        yield
    finally:
        across.set(previous)
