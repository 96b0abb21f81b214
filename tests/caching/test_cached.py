"""``@cached``: what is kept, under which key, with which tags, and what is refused."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
import threading
import uuid
from typing import Any

import pytest
from asgiref.sync import iscoroutinefunction
from django.core.cache import cache, caches
from django.core.exceptions import ImproperlyConfigured
from django.utils import translation

from perfsuite.caching import cached, invalidate_tags
from perfsuite.caching.cached import CachedFunction
from perfsuite.tenancy import tenant
from tests.caching.conftest import NewCaches
from tests.testapp.models import Author

LOCMEM = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
calls: list[Any] = []


@pytest.fixture(autouse=True)
def _empty(new_caches: NewCaches) -> None:
    new_caches(plain={**LOCMEM, "LOCATION": uuid.uuid4().hex})
    calls.clear()


@cached(60)
def double(number: int, *, times: int = 2) -> int:
    """Multiply."""
    calls.append(number)
    return number * times


def test_a_result_is_computed_once_however_the_arguments_are_written() -> None:
    assert [double(4), double(number=4), double(4, times=2), double(4, times=3)] == [8, 8, 8, 12]
    assert calls == [4, 4]


def test_arguments_of_other_types_are_other_calls() -> None:
    keys = {double.key_for(argument) for argument in (1, "1", True, 1.0, None, "None", (1,), [1])}
    assert len(keys) == 8


def test_two_functions_with_the_same_arguments_have_keys_of_their_own() -> None:
    @cached()
    def other(number: int, *, times: int = 2) -> None: ...

    assert other.key_for(1) != double.key_for(1)
    assert "double" in double.key_for(1)


def test_a_result_of_none_is_kept() -> None:
    @cached(60)
    def nothing() -> None:
        calls.append(1)

    assert nothing() is nothing() is None
    assert calls == [1]


def test_an_exception_is_not_kept() -> None:
    @cached(60)
    def fails() -> None:
        calls.append(1)
        raise LookupError

    for _ in range(2):
        with pytest.raises(LookupError):
            fails()
    assert calls == [1, 1]


def test_it_looks_like_the_function() -> None:
    assert (double.__name__, double.__doc__) == ("double", "Multiply.")
    assert str(inspect.signature(double)) == "(number: 'int', *, times: 'int' = 2) -> 'int'"
    assert double.uncached(5) == 10
    assert not iscoroutinefunction(double)


def test_wrong_arguments_raise_as_the_function_does() -> None:
    with pytest.raises(TypeError, match="missing a required argument: 'number'"):
        double()


def test_invalidate_forgets_one_call() -> None:
    double(1), double(2)
    double.invalidate(number=1)
    double(1), double(2)
    assert calls == [1, 2, 1]


def test_one_thread_computes_for_all() -> None:
    begun, go = threading.Event(), threading.Event()

    @cached(60)
    def slow() -> int:
        calls.append(1)
        begun.set()
        assert go.wait(30)
        return 7

    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(slow())) for _ in range(4)]
    threads[0].start()
    assert begun.wait(30)
    for thread in threads[1:]:
        thread.start()
    go.set()
    for thread in threads:
        thread.join(30)
    assert (found, calls) == ([7] * 4, [1])


# Tags and keys


@cached(60, tags=["tenant:{tenant_id}", "author:{author.pk}", "all"], key="row:{tenant_id}:{author}")
def row(tenant_id: int, author: Author) -> int:
    calls.append(tenant_id)
    return tenant_id


def test_templates_name_arguments_and_their_attributes() -> None:
    author = Author(pk=uuid.UUID(int=3))
    assert row.tags_for(1, author) == ("tenant:1", f"author:{author.pk}", "all")
    assert row.key_for(1, author) == f"row:1:{author.pk}"


@pytest.mark.parametrize("tag", ["tenant:1", f"author:{uuid.UUID(int=3)}", "all"])
def test_invalidating_a_tag_has_it_computed_again(tag: str) -> None:
    author = Author(pk=uuid.UUID(int=3))
    row(1, author), row(1, author)
    invalidate_tags("tenant:2")
    row(1, author)
    assert calls == [1]
    invalidate_tags(tag)
    row(1, author)
    assert calls == [1, 1]


def test_tags_and_key_can_be_callables() -> None:
    @cached(60, tags=lambda *numbers: [f"n:{n}" for n in numbers], key=lambda *numbers: f"sum-{len(numbers)}")
    def total(*numbers: int) -> int:
        return sum(numbers)

    assert total(1, 2) == total(2, 4) == 3
    assert total.tags_for(1, 2) == ("n:1", "n:2")
    invalidate_tags("n:2")
    assert total(2, 4) == 6


def test_a_template_that_names_no_argument_is_refused_where_it_is_written() -> None:
    with pytest.raises(
        ImproperlyConfigured, match=r"names 'tenant_id', which is no argument of .*known are: tenant"
    ):

        @cached(tags=["tenant:{tenant_id}"])
        def wrong(tenant: int) -> None: ...


def test_a_template_may_name_what_arrives_as_further_keywords() -> None:
    @cached(tags=["tenant:{tenant_id}"])
    def open_ended(**fields: int) -> int:
        return 1

    assert open_ended.tags_for(tenant_id=4) == ("tenant:4",)
    with pytest.raises(ImproperlyConfigured, match="names 'tenant_id', which this call"):
        open_ended()


def test_arguments_without_an_identity_are_one_sentence_that_says_to_give_a_key() -> None:
    with pytest.raises(TypeError, match=r"double was called with a value of builtins.object.*write key="):
        double(object())
    with pytest.raises(TypeError, match=r"a testapp\.Author that is not saved yet"):
        double(Author(pk=None))


@pytest.mark.parametrize("wrong", [{"tags": "pages"}, {"vary_on": ["tenants"]}])
def test_options_that_cannot_be_meant_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ImproperlyConfigured), match=r"write"):
        cached(**wrong)


def test_it_wants_its_parentheses() -> None:
    with pytest.raises(TypeError, match=r"write @cached\(\)"):
        cached(lambda: None)


# What else a result depends on


def test_vary_on_keeps_tenants_languages_and_others_apart() -> None:
    flag = "off"

    @cached(60, vary_on=["tenant", "language", "timezone", lambda: flag])
    def greeting() -> str:
        calls.append(1)
        return f"{flag} {translation.get_language()}"

    greeting()
    with tenant(1):
        greeting(), greeting()
    with tenant("1"):
        greeting()
    with translation.override("de"):
        assert greeting() == "off de"
    flag = "on"
    assert greeting() == "on en-us"
    assert len(calls) == 5


def test_a_key_of_ones_own_is_kept_apart_too() -> None:
    @cached(60, key="front", vary_on=["tenant"])
    def front() -> None: ...

    with tenant(1):
        one = front.key_for()
    assert one.startswith("front:")
    assert one != front.key_for()


def test_a_data_class_gives_the_tags_and_the_tier_and_vary_on_its_tenant() -> None:
    @cached(60, data_class="page_data", vary_on=["tenant"])
    def menu() -> None: ...

    @cached(60, data_class="user_data")
    def profile(tenant_id: int, user_id: int) -> int:
        return user_id

    with tenant(5):
        assert menu.tags_for() == ("tenant:5", "pages", "tenant:5/pages")
    with pytest.raises(ImproperlyConfigured, match="'tenant_id' of the data class 'page_data' is None"):
        menu()
    profile(1, 7)
    engine = cache.engine  # type: ignore[attr-defined]
    assert cache.make_key(profile.key_for(1, 7)) in engine.tiers[0].entries


# Methods


class Shelf:
    def __init__(self, name: str) -> None:
        self.name = name

    @cached(60, key="shelf:{self.name}:{row}")
    def books(self, row: int = 0) -> str:
        calls.append((self.name, row))
        return f"{self.name} {row}"

    @classmethod
    @cached(60)
    def size(cls, row: int) -> str:
        calls.append(cls.__name__)
        return cls.__name__

    @staticmethod
    @cached(60)
    def height(row: int) -> int:
        return row


class Case(Shelf):
    pass


def test_methods_are_kept_by_object_class_and_arguments() -> None:
    one, other = Shelf("a"), Shelf("b")
    assert [one.books(), one.books(0), other.books()] == ["a 0", "a 0", "b 0"]
    one.books.invalidate()
    one.books(), other.books()
    assert calls == [("a", 0), ("b", 0), ("a", 0)]
    assert one.books.key_for(3) == "shelf:a:3"
    assert one.books.uncached(4) == "a 4"
    assert one.books.__name__ == "books"
    assert [Shelf.size(1), Case.size(1), Case.size(1), Shelf.height(2)] == ["Shelf", "Case", "Case", 2]
    assert isinstance(Shelf.books, CachedFunction)


# Coroutine functions


@cached(60, tags=["n:{number}"])
async def adouble(number: int) -> int:
    calls.append(number)
    await asyncio.sleep(0)
    return number * 2


def test_a_coroutine_function_stays_one_and_is_computed_once() -> None:
    async def several() -> list[int]:
        found = await asyncio.gather(adouble(1), adouble(1), adouble(2))
        invalidate_tags("n:2")
        found += [await adouble(1), await adouble(2)]
        await adouble.ainvalidate(1)
        return [*found, await adouble(1)]

    assert iscoroutinefunction(adouble)
    assert asyncio.run(several()) == [2, 2, 4, 2, 4, 2]
    assert calls == [1, 2, 2, 1]


def test_an_asynchronous_method_too() -> None:
    class Page:
        @cached(60, key="page")
        async def text(self) -> str:
            calls.append(1)
            return "text"

    async def twice() -> list[str]:
        return [await Page().text(), await Page().text()]

    assert asyncio.run(twice()) == ["text", "text"]
    assert calls == [1]


# Other caches, and none


def test_another_backend_works_without_tags_and_refuses_them_in_one_sentence() -> None:
    @cached(60, cache="plain")
    def plain(number: int) -> int:
        calls.append(number)
        return number

    @cached(60, cache="plain")
    async def aplain(number: int) -> int:
        calls.append(number)
        return number

    @cached(60, cache="plain", tags=["t"])
    def tagged() -> None: ...

    async def twice() -> list[int]:
        return [await aplain(2), await aplain(2)]

    assert [plain(1), plain(1), *asyncio.run(twice())] == [1, 1, 2, 2]
    assert calls == [1, 2]
    assert caches["plain"].get(plain.key_for(1)) == 1
    with pytest.raises(ImproperlyConfigured, match=r"'plain' is no TieredCache, which tags.* need; write"):
        tagged()


def test_switched_off_it_computes_always(settings: Any) -> None:
    settings.PERFSUITE = {"CACHING": {"ENABLED": False}}
    assert [double(1), double(1), asyncio.run(adouble(1))] == [2, 2, 2]
    assert calls == [1, 1, 1]


def test_without_any_app_the_package_works_and_loads_nothing_optional() -> None:
    code = (
        "import sys\n"
        "from django.conf import settings\n"
        "settings.configure(INSTALLED_APPS=[], SECRET_KEY='x', CACHES={'default': {\n"
        "    'BACKEND': 'perfsuite.caching.TieredCache', 'OPTIONS': {'CHANNEL': 'none'}}})\n"
        "import django; django.setup()\n"
        "from perfsuite.caching import cached, data_class, invalidate_on_commit, invalidate_tags\n"
        "@cached(60, data_class='page_data')\n"
        "def f(tenant_id): return object.__name__\n"
        "print(f(1), f(1), [m for m in ('redis', 'django_redis', 'zstandard', 'perfsuite.metrics.models')\n"
        "                   if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("object object []\n", "")
