"""What is kept of a key: never whom it is about."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfsuite.caching.prefixes import OTHER, prefix_of

MD5 = "0f343b0931126a20f133d67c2b018a3b"
SESSION = "k2v0m9q1x7c3b5n8z6a4s2d1f0g9h7j5"
UUID = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"


@pytest.mark.parametrize(
    ("key", "prefix"),
    [
        (f":1:views.decorators.cache.cache_page.prefix.GET.{MD5}.{MD5}.en-us.UTC", "views.decorators.cache.cache_page"),
        (f"views.decorators.cache.cache_page..GET.{MD5}.{MD5}.en-us.UTC", "views.decorators.cache.cache_page"),
        (f":1:views.decorators.cache.cache_header.acme.{MD5}.en-us.UTC", "views.decorators.cache.cache_header"),
        (f":1:template.cache.sidebar.{MD5}", "template.cache.sidebar"),
        ("template.cache.sidebar.alice", OTHER),
        (f":1:django.contrib.sessions.cache{SESSION}", "django.contrib.sessions.cache"),
        (f":1:django.contrib.sessions.cached_db{SESSION}", "django.contrib.sessions.cached_db"),
        ("django.contrib.sessions.cacheSomething else", OTHER),
        ("page:17:body", "page"),
        (":1:page:17:body", "page"),
        (":12:page:17", "page"),
        ("tenant:acme:pages", "tenant"),
        ("shop/orders/17", "shop"),
        ("user-17", "user"),
        ("user_17", "user"),
        ("user-17-cart", "user"),
        (f"lead-{UUID}", "lead"),
        ("user-alice", OTHER),
        ("user_alice:cart", OTHER),
        ("alice.smith:cart", OTHER),
        ("alice@example.org", OTHER),
        ("mail:alice@example.org", OTHER),
        ("mail:alice%40example.org", OTHER),
        ("www.example.org/about", OTHER),
        (MD5, OTHER),
        (f"{MD5}:body", OTHER),
        ("deadbeef:body", OTHER),
        ("deadbeef-1", OTHER),
        (UUID, OTHER),
        (SESSION, OTHER),
        ("4711", OTHER),
        ("alice", OTHER),
        ("User:17", OTHER),
        ("\u0430lice:17", OTHER),
        ("", OTHER),
        (":1:", OTHER),
        ("page:" + "x" * 300, OTHER),
    ],
)  # fmt: skip
def test_a_key_gives_the_word_that_it_begins_with_or_nothing(key: str, prefix: str) -> None:
    assert prefix_of(key) == prefix


@given(st.text(max_size=80))
def test_whatever_the_key_its_prefix_is_a_word_or_other(key: str) -> None:
    found = prefix_of(key)
    assert found == OTHER or (
        key.lstrip(":0123456789").startswith(found) and not any(map(str.isdigit, found))
    )


@given(st.uuids(), st.sampled_from(["{}", "{}:x", "{}-x", "{}/x"]))
def test_an_identifier_is_never_a_prefix(made: object, form: str) -> None:
    for text in (str(made), getattr(made, "hex")):  # noqa: B009 - any object with a hex form
        assert prefix_of(form.format(text)) == OTHER
