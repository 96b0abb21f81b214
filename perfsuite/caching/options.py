"""The options of one cache, ``CACHES[alias]["OPTIONS"]``, as they are meant; what is wrong with them, in one sentence each."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from perfsuite.caching.tiers.memory import TierOptions

MIB = 1 << 20
HOT, WARM, COLD = "hot", "warm", "cold"
NAMES = (HOT, WARM, COLD)
ALSO_CALLED = {"l1": HOT, "l2": WARM, "l3": COLD}
DEFAULTS = {
    HOT: TierOptions(HOT, 1 * MIB, 300.0),
    WARM: TierOptions(WARM, 10 * MIB, 1_800.0),
    COLD: TierOptions(COLD, 100 * MIB, 86_400.0, compress_above=1024),
}
CHANNELS = ("auto", "redis", "host", "none")
_TIER_KEYS = ("ALIAS", "COMPRESS_ABOVE", "MAX_BYTES", "TTL")


@dataclass(frozen=True)
class CacheOptions:
    """What ``OPTIONS`` says; times in seconds. Read docs/reference/caching.md for what each of them does."""

    tiers: tuple[TierOptions, ...]
    channel: str = "auto"
    run_dir: str = ""
    stale_for: float = 0.0
    refresh_at: float = 0.9
    wait: float = 5.0
    lock_ttl: float = 30.0
    failures: int = 3
    retry_after: float = 0.5
    max_staleness: float = 60.0

    @property
    def memory(self) -> tuple[TierOptions, ...]:
        """The tiers in the memory of the process."""
        return tuple(tier for tier in self.tiers if not tier.alias)

    @property
    def shared(self) -> TierOptions | None:
        """The tier that processes share, if there is one."""
        return self.tiers[-1] if self.tiers and self.tiers[-1].alias else None

    @property
    def channel_in_use(self) -> str:
        """The channel, where it is chosen by itself: that of the shared tier, else that of the host."""
        if self.channel != "auto":
            return self.channel
        return "redis" if self.shared else "host"


def read(options: Mapping[str, Any]) -> CacheOptions:
    """Return the options; raise ImproperlyConfigured with one sentence for what cannot be meant."""
    if not isinstance(options, Mapping):
        raise ImproperlyConfigured(
            f"OPTIONS is {options!r} for TieredCache; write a dict such as {{'STALE_FOR': 60}}."
        )
    known = {field.name.upper(): field for field in fields(CacheOptions)}
    values: dict[str, Any] = {"tiers": tuple(DEFAULTS.values())}
    for key, value in options.items():
        name = key.upper()
        if name in ("MAX_ENTRIES", "CULL_FREQUENCY"):  # Django's own
            continue
        if name not in known:
            raise ImproperlyConfigured(
                f"OPTIONS has the unknown option {key!r} for TieredCache. {_meant(name, list(known))}"
            )
        values[known[name].name] = (
            _tiers(value) if name == "TIERS" else _checked(name, value, known[name].type)
        )
    made = CacheOptions(**values)
    if made.channel not in CHANNELS:
        raise ImproperlyConfigured(
            f"OPTIONS['CHANNEL'] is {made.channel!r}; write one of {', '.join(CHANNELS)}."
        )
    if made.channel == "redis" and made.shared is None:
        raise ImproperlyConfigured(
            "OPTIONS['CHANNEL'] is 'redis' without a tier in Redis; give the last tier an 'ALIAS', or write 'host'."
        )
    return made


def _tiers(given: object) -> tuple[TierOptions, ...]:
    """Return the tiers: a dict changes those it names, None taking one away; a list is the whole, from hot to cold."""
    if isinstance(given, Mapping):
        chosen = dict(DEFAULTS)
        for key, value in given.items():
            name = ALSO_CALLED.get(str(key).lower(), str(key).lower())
            if name not in DEFAULTS:
                raise ImproperlyConfigured(f"TIERS has the unknown tier {key!r}; write {', '.join(NAMES)}.")
            if value is None:
                del chosen[name]
            else:
                chosen[name] = _tier(name, value)
        found = tuple(chosen.values())
    elif (
        isinstance(given, Sequence) and not isinstance(given, (str, bytes)) and 1 <= len(given) <= len(NAMES)
    ):
        names = {1: (WARM,), 2: (WARM, COLD), 3: NAMES}[len(given)]
        found = tuple(_tier(name, value) for name, value in zip(names, given, strict=True))
    else:
        raise ImproperlyConfigured(
            f"TIERS is {given!r}; write a dict such as {{'cold': {{'ALIAS': 'shared'}}}}, or a list of one to three tiers."
        )
    if not found:
        raise ImproperlyConfigured("TIERS leaves no tier; keep at least one.")
    if any(tier.alias for tier in found[:-1]):
        raise ImproperlyConfigured(
            "Only the last tier can have an 'ALIAS'; the ones before it are in memory."
        )
    return found


def _tier(name: str, given: object) -> TierOptions:
    if not isinstance(given, Mapping):
        raise ImproperlyConfigured(
            f"The tier {name!r} is {given!r}; write a dict such as {{'MAX_BYTES': 1048576}}."
        )
    for key in given:
        if key not in _TIER_KEYS:
            raise ImproperlyConfigured(
                f"The tier {name!r} has the unknown option {key!r}. {_meant(str(key), _TIER_KEYS)}"
            )
    where = f"The tier {name!r}: "
    alias = given.get("ALIAS", "")
    if not isinstance(alias, str):
        raise ImproperlyConfigured(
            f"{where}ALIAS is {alias!r}; write the name of a django-redis cache in CACHES."
        )
    tier = replace(DEFAULTS[name], alias=alias)
    if alias:
        # What is shared lasts as long as it was stored for, and the server knows its own limits.
        tier = replace(tier, max_bytes=0, ttl_s=None)
    if "MAX_BYTES" in given:
        tier = replace(tier, max_bytes=_number(where + "MAX_BYTES", given["MAX_BYTES"], int))
    if "TTL" in given:
        ttl = given["TTL"]
        tier = replace(tier, ttl_s=None if ttl is None else float(_number(where + "TTL", ttl, float)))
    if "COMPRESS_ABOVE" in given:
        above = given["COMPRESS_ABOVE"]
        tier = replace(
            tier, compress_above=None if above is None else _number(where + "COMPRESS_ABOVE", above, int)
        )
    return tier


def _checked(name: str, value: Any, kind: object) -> Any:
    if kind == "str":
        if not isinstance(value, str):
            raise ImproperlyConfigured(f"OPTIONS[{name!r}] is {value!r}; write a string.")
        return value
    return _number(f"OPTIONS[{name!r}]", value, int if kind == "int" else float)


def _number(where: str, value: Any, kind: type) -> Any:
    allowed = (int,) if kind is int else (int, float)
    if isinstance(value, bool) or not isinstance(value, allowed) or not 0 <= value < float("inf"):
        meant = "a whole number, 0 or more" if kind is int else "a number, 0 or more"
        raise ImproperlyConfigured(f"{where} is {value!r}; write {meant}.")
    return kind(value)


def _meant(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word.upper(), known, n=1, cutoff=0.5)
    return f"Did you mean {close[0]!r}?" if close else f"Known are: {', '.join(sorted(known))}."
