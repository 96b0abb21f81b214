"""``current_tenant()`` and ``with tenant(...)``."""

from __future__ import annotations

import asyncio
import threading

import pytest

from perfsuite.tenancy import across_tenants, current_tenant, tenant
from perfsuite.tenancy.current import current_reason


def test_outside_of_everything_there_is_no_tenant() -> None:
    assert current_tenant() is None


@pytest.mark.parametrize("tenant_id", [1, 0, -5, "acme", "", None])
def test_inside_the_block_it_is_the_one_given_and_afterwards_it_is_gone(tenant_id: int | str | None) -> None:
    with tenant(tenant_id):
        assert current_tenant() == tenant_id
    assert current_tenant() is None


def test_blocks_nest_and_none_is_a_tenant_like_any() -> None:
    with tenant("outer"):
        with tenant(2):
            with tenant(None):
                assert current_tenant() is None
            assert current_tenant() == 2
        assert current_tenant() == "outer"


def test_an_exception_puts_the_tenant_back() -> None:
    with tenant("outer"):
        with pytest.raises(LookupError), tenant("inner"):
            raise LookupError
        assert current_tenant() == "outer"


@pytest.mark.parametrize("tenant_id", [object(), True, False, 1.5, b"acme", ["acme"], int])
def test_anything_but_a_number_or_a_string_is_refused_with_what_to_write(tenant_id: object) -> None:
    with tenant("outer"):
        with (
            pytest.raises(
                TypeError, match=r"by its id.*write tenant\(company\.pk\), or tenant\(str\(company\.pk\)\)"
            ),
            tenant(tenant_id),  # type: ignore[arg-type]
        ):
            pytest.fail("the block ran")  # pragma: no cover
        assert current_tenant() == "outer"


def test_each_thread_has_its_own() -> None:
    seen: list[object] = []

    def work() -> None:
        seen.append(current_tenant())
        with tenant("of the thread"):
            seen.append(current_tenant())

    with tenant("of the test"):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert current_tenant() == "of the test"

    assert seen == [None, "of the thread"]


def test_each_task_has_its_own_and_starts_with_that_of_its_maker() -> None:
    async def work(number: int) -> tuple[object, object]:
        started_with = current_tenant()
        with tenant(number):
            for _ in range(5):
                await asyncio.sleep(0)
            return started_with, current_tenant()

    async def run() -> None:
        with tenant("maker"):
            results = await asyncio.gather(*(work(number) for number in range(20)))
            assert results == [("maker", number) for number in range(20)]
            assert current_tenant() == "maker"

    asyncio.run(run())


def test_across_tenants_nests_ends_and_leaves_the_tenant_as_it_is() -> None:
    with tenant(5), across_tenants("report"):
        assert (current_tenant(), current_reason()) == (5, "report")
        with across_tenants("part"):
            assert current_reason() == "part"
        assert current_reason() == "report"
    assert current_reason() is None


def test_across_tenants_ends_with_an_exception() -> None:
    with pytest.raises(LookupError), across_tenants("report"):
        raise LookupError
    assert current_reason() is None


@pytest.mark.parametrize("reason", ["", None, 5])
def test_across_tenants_wants_a_reason(reason: object) -> None:
    with pytest.raises(TypeError, match="Say why"), across_tenants(reason):  # type: ignore[arg-type]
        raise AssertionError
