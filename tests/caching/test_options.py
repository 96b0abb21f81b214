"""What ``OPTIONS`` may say, and the one sentence for what it may not."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from perfsuite.caching.options import read

MIB = 1 << 20


def test_by_default_there_are_three_tiers_in_memory_and_the_channel_of_the_host() -> None:
    options = read({})
    assert [(tier.name, tier.max_bytes, tier.ttl_s) for tier in options.tiers] == [
        ("hot", MIB, 300.0),
        ("warm", 10 * MIB, 1_800.0),
        ("cold", 100 * MIB, 86_400.0),
    ]
    assert options.shared is None
    assert options.channel_in_use == "host"


@pytest.mark.parametrize("name", ["cold", "COLD", "L3", "l3"])
def test_one_line_puts_redis_behind_memory_and_its_channel_with_it(name: str) -> None:
    options = read({"TIERS": {name: {"ALIAS": "shared"}}})
    assert [tier.name for tier in options.memory] == ["hot", "warm"]
    assert options.shared is not None
    assert (options.shared.alias, options.shared.ttl_s) == ("shared", None)
    assert options.channel_in_use == "redis"


@pytest.mark.parametrize(
    ("tiers", "names"),
    [
        ([{"MAX_BYTES": 5}], ["warm"]),
        ([{"MAX_BYTES": 5}, {"ALIAS": "shared"}], ["warm", "cold"]),
        ([{}, {}, {}], ["hot", "warm", "cold"]),
        ({"hot": None}, ["warm", "cold"]),
        ({"hot": None, "warm": None}, ["cold"]),
    ],
)
def test_a_list_is_the_whole_and_a_dict_changes_what_it_names(tiers: Any, names: list[str]) -> None:
    assert [tier.name for tier in read({"TIERS": tiers}).tiers] == names


def test_a_tier_keeps_the_defaults_of_what_it_does_not_name() -> None:
    warm = read({"TIERS": {"warm": {"TTL": 5}}}).tiers[1]
    assert (warm.max_bytes, warm.ttl_s, warm.compress_above) == (10 * MIB, 5.0, None)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["STALE_FOR"], "OPTIONS is ['STALE_FOR'] for TieredCache; write a dict"),
        ({"TEIRS": {}}, "'TEIRS' for TieredCache. Did you mean 'TIERS'?"),
        ({"TIERS": {"tepid": {}}}, "the unknown tier 'tepid'; write hot, warm, cold"),
        ({"TIERS": {"hot": {"MAXBYTES": 1}}}, "Did you mean 'MAX_BYTES'?"),
        ({"TIERS": {"hot": {"MAX_BYTES": "1MB"}}}, "MAX_BYTES is '1MB'; write a whole number"),
        ({"TIERS": {"hot": {"MAX_BYTES": True}}}, "MAX_BYTES is True; write a whole number"),
        ({"TIERS": {"hot": {"TTL": -1}}}, "TTL is -1; write a number, 0 or more"),
        ({"TIERS": {"hot": 5}}, "The tier 'hot' is 5; write a dict"),
        ({"TIERS": {"hot": {"ALIAS": "shared"}}}, "Only the last tier can have an 'ALIAS'"),
        ({"TIERS": {"cold": {"ALIAS": 5}}}, "ALIAS is 5; write the name of a django-redis cache"),
        ({"TIERS": {"hot": None, "warm": None, "cold": None}}, "keep at least one"),
        ({"TIERS": []}, "a list of one to three tiers"),
        ({"TIERS": "hot"}, "a list of one to three tiers"),
        ({"CHANNEL": "pigeon"}, "write one of auto, redis, host, none"),
        ({"CHANNEL": "redis"}, "without a tier in Redis"),
        ({"WAIT": "long"}, "OPTIONS['WAIT'] is 'long'; write a number"),
        ({"RUN_DIR": 5}, "OPTIONS['RUN_DIR'] is 5; write a string"),
    ],
)
def test_what_cannot_be_meant_is_said_in_one_sentence(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ImproperlyConfigured) as caught:
        read(options)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
