"""TenantMiddleware: the tenant of a request, in every kind of view, body and resolver."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import django
import pytest
from asgiref.sync import async_to_sync
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpResponse
from django.test import AsyncClient, Client, RequestFactory

from perfsuite.tenancy import TenantMiddleware, current_tenant
from perfsuite.tenancy.middleware import load_resolver

pytestmark = pytest.mark.urls("tests.tenancy.resolvers")
MIDDLEWARE = "perfsuite.tenancy.TenantMiddleware"
HERE = "tests.tenancy.resolvers"
RESOLVERS = ["from_query", "async_from_query"]


def use(settings: Any, resolver: str) -> None:
    settings.MIDDLEWARE = [MIDDLEWARE]
    settings.PERFSUITE = {"TENANCY": {"RESOLVER": f"{HERE}.{resolver}" if resolver else ""}}


def sync_get(path: str) -> Any:
    return Client(raise_request_exception=False).get(path)


def async_get(path: str) -> Any:
    return async_to_sync(AsyncClient(raise_request_exception=False).get)(path)


BOTH = pytest.mark.parametrize("get", [sync_get, async_get])


@BOTH
@pytest.mark.parametrize("resolver", RESOLVERS)
def test_a_view_runs_for_the_tenant_that_the_resolver_gives(settings: Any, get: Any, resolver: str) -> None:
    use(settings, resolver)

    assert get("/view/?tenant=acme").content == b"'acme'"
    assert get("/async/view/?tenant=acme").content == b"'acme' 'acme' 'acme'"
    assert get("/view/").content == b"None"
    assert current_tenant() is None


@BOTH
def test_a_number_stays_a_number(settings: Any, get: Any) -> None:
    use(settings, "number")
    assert get("/view/").content == b"7"


@BOTH
def test_a_block_inside_the_view_nests_and_a_new_thread_knows_no_tenant(settings: Any, get: Any) -> None:
    use(settings, "from_query")

    assert get("/nested/?tenant=acme").content == b"'other' 'acme'"
    assert get("/other-thread/?tenant=acme").content == b"None"


@BOTH
def test_after_an_exception_in_the_view_the_tenant_is_gone(settings: Any, get: Any) -> None:
    use(settings, "from_query")

    assert get("/fails/?tenant=acme").status_code == 500
    assert current_tenant() is None


@pytest.mark.parametrize("resolver", RESOLVERS)
def test_a_streamed_body_runs_for_the_tenant(settings: Any, resolver: str) -> None:
    use(settings, resolver)
    chunks = []
    for chunk in sync_get("/stream/?tenant=acme").streaming_content:
        assert current_tenant() is None
        chunks.append(chunk)

    assert chunks == [b"'acme'", b"'acme'"]


@pytest.mark.skipif(django.VERSION < (4, 2), reason="async streaming came with Django 4.2")
@pytest.mark.parametrize("resolver", RESOLVERS)
def test_an_async_streamed_body_runs_for_the_tenant(settings: Any, resolver: str) -> None:
    use(settings, resolver)

    async def read() -> list[bytes]:
        response = await AsyncClient().get("/async/stream/?tenant=acme")
        assert current_tenant() is None
        return [chunk async for chunk in response.streaming_content]

    assert async_to_sync(read)() == [b"'acme'", b"'acme'"]


def test_twenty_async_requests_at_once_run_each_for_their_own_tenant(settings: Any) -> None:
    use(settings, "async_from_query")

    async def run() -> list[bytes]:
        client = AsyncClient()
        paths = [f"/async/view/?tenant={number}" for number in range(20)]
        return [response.content for response in await asyncio.gather(*map(client.get, paths))]

    assert async_to_sync(run)() == [f"'{n}' '{n}' '{n}'".encode() for n in range(20)]


def test_twenty_threads_run_each_for_their_own_tenant(settings: Any) -> None:
    use(settings, "from_query")
    with ThreadPoolExecutor(20) as pool:
        contents = pool.map(lambda n: Client().get(f"/view/?tenant={n}").content, range(20))

    assert list(contents) == [f"'{n}'".encode() for n in range(20)]


@BOTH
@pytest.mark.parametrize(
    ("resolver", "status"),
    [("fails", 500), ("async_fails", 500), ("refuses", 403), ("gives_an_object", 500)],
)
def test_what_the_resolver_raises_is_answered_as_django_does(
    settings: Any, get: Any, resolver: str, status: int
) -> None:
    use(settings, resolver)

    assert get("/view/").status_code == status
    assert current_tenant() is None


def test_a_resolver_that_gives_an_object_is_told_what_to_give(settings: Any) -> None:
    use(settings, "gives_an_object")
    with pytest.raises(TypeError, match="by its id"):
        Client().get("/view/")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("", 'needs PERFSUITE = {"TENANCY": {"RESOLVER"'),
        (f"{HERE}.missing", "which cannot be imported"),
        ("no_such_module.resolve", "which cannot be imported"),
        ("resolve", "which cannot be imported"),
        (f"{HERE}.NOT_A_FUNCTION", "which is not a function"),
    ],
)
def test_a_resolver_that_cannot_be_used_is_a_wrong_configuration(settings: Any, path: str, said: str) -> None:
    settings.PERFSUITE = {"TENANCY": {"RESOLVER": path}}
    with pytest.raises(ImproperlyConfigured) as raised:
        TenantMiddleware(lambda request: HttpResponse())

    assert said in str(raised.value)
    assert path in str(raised.value)


def test_the_resolver_is_loaded_once_and_not_for_each_request(settings: Any) -> None:
    use(settings, "from_query")
    middleware = TenantMiddleware(lambda request: HttpResponse(repr(current_tenant())))
    settings.PERFSUITE = {}
    with pytest.raises(ImproperlyConfigured):
        load_resolver()

    assert middleware(RequestFactory().get("/?tenant=acme")).content == b"'acme'"  # type: ignore[union-attr]
