"""The checks of the caching app: each is raised by what it is about, and a plain project hears nothing."""

from __future__ import annotations

from typing import Any

import pytest
import redis
from django.core import checks

from tests.caching.conftest import TIERED, NewCaches
from tests.valkey import Valkey

LOCMEM = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
REDIS_TIER = {"TIERS": {"cold": {"ALIAS": "shared"}}}


def redis_alias(location: str = "redis://127.0.0.1:1/0", **options: Any) -> dict[str, Any]:
    return {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": location,
        "OPTIONS": {"SOCKET_TIMEOUT": 1, "SOCKET_CONNECT_TIMEOUT": 1, **options},
    }


def found(deploy: bool = False, databases: list[str] | None = None) -> list[checks.CheckMessage]:
    """Run the checks as ``manage.py check`` does, and return what is about this app."""
    messages = checks.run_checks(
        tags=["perfsuite"], include_deployment_checks=deploy, databases=databases or []
    )
    return [message for message in messages if str(message.id).startswith("perfsuite_caching.")]


def ids(**options: Any) -> list[str]:
    return [str(message.id).rpartition(".")[2] for message in found(**options)]


PLAIN = [
    {"default": {"BACKEND": TIERED}},
    {"default": LOCMEM},
    {"default": {"BACKEND": "no.such.Cache"}},
    {"default": {"BACKEND": TIERED, "OPTIONS": REDIS_TIER}, "shared": redis_alias()},
    {"default": {"BACKEND": TIERED, "OPTIONS": {"TIERS": [{"MAX_BYTES": 1000}, {"MAX_BYTES": 1000}]}}},
]


@pytest.mark.parametrize("made", PLAIN)
def test_a_plain_project_hears_nothing(settings: Any, made: Any) -> None:
    settings.CACHES = made
    assert ids(deploy=True) == []


@pytest.mark.parametrize(
    "options", [{"TEIRS": {}}, {"CHANNEL": "pigeon"}, {"TIERS": {"cold": 5}}, {"WAIT": "1"}, [1]]
)
def test_options_that_cannot_be_meant_are_errors_of_their_alias(new_caches: NewCaches, options: Any) -> None:
    new_caches(second={"BACKEND": TIERED, "OPTIONS": options})
    (message,) = found()
    assert message.id == "perfsuite_caching.E001"
    assert message.msg.startswith("CACHES['second']: ")


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ({}, "which is not in CACHES"),
        ({"shared": LOCMEM}, "no cache of django-redis"),
        ({"shared": {}}, "no cache of"),
    ],
)
def test_a_shared_tier_needs_an_alias_of_django_redis(settings: Any, others: Any, said: str) -> None:
    settings.CACHES = {"default": {"BACKEND": TIERED, "OPTIONS": REDIS_TIER}, **others}
    (message,) = found()
    assert message.id == "perfsuite_caching.E002"
    assert said in message.msg
    assert "django_redis.cache.RedisCache" in str(message.hint)


def test_a_shared_tier_without_django_redis_says_what_to_install(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perfsuite.caching.checks.available", lambda module: False)
    settings.CACHES = {"default": {"BACKEND": TIERED, "OPTIONS": REDIS_TIER}, "shared": redis_alias()}
    (message,) = found()
    assert (message.id, message.hint) == (
        "perfsuite_caching.E002",
        "Type: pip install 'django-perfsuite[redis]'",
    )


ODD = [
    ({"TIERS": {"hot": {"MAX_BYTES": 0}}}, "W001", "'hot': None"),
    ({"TIERS": {"cold": {"MAX_BYTES": 1000}}}, "W002", "Give 'cold' the larger"),
    ({**REDIS_TIER, "MAX_ENTRIES": 100}, "W003", "Remove MAX_ENTRIES"),
]


@pytest.mark.parametrize(("options", "number", "hint"), ODD)
def test_tiers_that_work_badly_are_warnings(
    new_caches: NewCaches, options: Any, number: str, hint: str
) -> None:
    new_caches(options, shared=redis_alias())
    (message,) = found()
    assert message.id == f"perfsuite_caching.{number}"
    assert hint in str(message.hint)


def test_settings_of_invalidation_are_checked(settings: Any) -> None:
    settings.PERFSUITE = {
        "CACHING": {
            "DATA_CLASSES": {"odd_data": {"tags": "x"}},
            "INVALIDATE": {"testapp.Bok": ["a"], "testapp.Book": ["author_data", "pages_data"]},
        }
    }
    messages = found()
    assert [str(message.id)[-4:] for message in messages] == ["E003", "E004", "W006"]
    assert messages[1].hint == "Did you mean 'testapp.Book'?"
    assert messages[2].hint == "Write 'page_data', or give the tag another name."


@pytest.mark.parametrize("engine", ["cache", "cached_db"])
def test_sessions_in_the_memory_of_each_process_are_a_warning_for_production(
    settings: Any, new_caches: NewCaches, engine: str
) -> None:
    new_caches()
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
    assert ids() == []
    (message,) = found(deploy=True)
    assert message.id == "perfsuite_caching.W007"
    assert "coherent copies are not shared data" in message.msg
    assert '"OPTIONS": {"TIERS": {"cold": {"ALIAS": "shared"}}}' in str(message.hint)
    new_caches(REDIS_TIER, shared=redis_alias())
    assert ids(deploy=True) == []


def test_throttles_in_the_memory_of_each_process_are_a_warning_for_production(
    settings: Any, new_caches: NewCaches
) -> None:
    new_caches()
    settings.REST_FRAMEWORK = {"DEFAULT_THROTTLE_CLASSES": ["rest_framework.throttling.AnonRateThrottle"]}
    assert ids(deploy=True) == ["W008"]
    settings.REST_FRAMEWORK = {}
    assert ids(deploy=True) == []


def test_a_cache_that_is_switched_off_is_a_warning_for_production(settings: Any) -> None:
    settings.PERFSUITE = {"CACHING": {"ENABLED": False}}
    assert (ids(), ids(deploy=True)) == ([], ["W009"])


@pytest.mark.django_db
def test_a_server_is_asked_only_for_production_and_with_databases(
    new_caches: NewCaches, valkey: Valkey
) -> None:
    client = redis.Redis.from_url(valkey.url)
    new_caches(REDIS_TIER, shared=redis_alias(valkey.url))
    try:
        client.config_set("maxmemory-policy", "allkeys-lru")
        assert ids(deploy=True, databases=["default"]) == []  # without a maximum nothing is dropped
        client.config_set("maxmemory", "50mb")
        assert (ids(databases=["default"]), ids(deploy=True)) == ([], [])
        assert ids(deploy=True, databases=["default"]) == ["W010"]
        client.config_set("maxmemory-policy", "volatile-lru")
        assert ids(deploy=True, databases=["default"]) == []
    finally:
        client.config_set("maxmemory", "0")
        client.config_set("maxmemory-policy", "noeviction")


@pytest.mark.django_db
def test_a_server_that_does_not_answer_is_a_warning(new_caches: NewCaches) -> None:
    new_caches(REDIS_TIER, shared=redis_alias())
    (message,) = found(deploy=True, databases=["default"])
    assert message.id == "perfsuite_caching.W011"
    assert "ConnectionError" in message.msg
