"""What the caches hold, as ``inspect_caches`` shows it. Looking changes nothing: no hit is counted and no token is made.

Memory tiers are those of the process that looks. A command is not the running site: of the site it sees what is in Redis.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from math import inf
from typing import Any

from django.conf import settings

from perfsuite.caching.engine import Engine, reading
from perfsuite.caching.entry import BadEnvelope, Entry, decode
from perfsuite.caching.functions import is_tiered, tiered
from perfsuite.caching.tiered import TieredCache

Row = dict[str, Any]


def cache_state(alias: str) -> Row:
    """Return what a cache is in this process: its channel, its tiers, its counts, and whether its server answers."""
    params = settings.CACHES[alias]
    if not is_tiered(params):
        return {"alias": alias, "backend": params.get("BACKEND", ""), "tiered": False}
    engine = tiered(alias, "tiers").engine
    hits = sum(reading(tier.hits) for tier in engine.tiers)
    hits += 0 if engine.shared is None else reading(engine.shared.hits)
    counts = {name: reading(counter) for name, counter in vars(engine.counts).items()}
    asked = hits + counts["misses"]
    return {
        "alias": alias,
        "backend": params["BACKEND"],
        "tiered": True,
        "channel": engine.options.channel_in_use,
        "hits": hits,
        **counts,
        "hit_rate": hits / asked if asked else None,
        "tiers": [*map(_memory_tier, engine.tiers), *_shared_tier(engine)],
    }


def _memory_tier(tier: Any) -> Row:
    return {
        "tier": tier.name,
        "where": "memory",
        "entries": len(tier.entries),
        "bytes": tier.bytes,
        "max_bytes": tier.max_bytes,
        "hits": reading(tier.hits),
        "promotions": tier.promotions,
        "evicted": tier.by_bytes,
        "expired": tier.by_expiry,
        "rejected": tier.rejected,
    }


def _shared_tier(engine: Engine) -> list[Row]:
    if engine.shared is None:
        return []
    shared = engine.shared
    return [
        {
            "tier": shared.name,
            "where": shared.redis.alias,
            "hits": reading(shared.hits),
            "breaker": "open" if shared.breaker.is_open else "closed",
            "failures": shared.breaker.failed,
            "answers": why_away(engine) or True,
        }
    ]


def why_away(engine: Engine) -> str:
    """Return why the server of a shared tier does not answer, or the empty string."""
    try:
        engine.shared.redis.client.ping()
    except Exception as exc:  # noqa: BLE001 - whatever it is, it is what is to be shown
        return f"{type(exc).__name__}: {exc}"
    return ""


def key_state(alias: str, key: str) -> list[Row]:
    """Return what each tier holds under a key: its size, its instants, its tags, and whether it is good."""
    cache = tiered(alias, "tiers")
    engine, full, now = cache.engine, cache.make_key(key), time.time()
    rows: list[Row] = []
    for tier in engine.tiers:
        entry = tier.entries.get(full)
        row = {"alias": alias, "tier": tier.name, "where": "memory"}
        if entry is None:
            rows.append({**row, "state": "not there"})
        else:
            tokens = {tag: engine.tags.tokens.get(tag) for tag, _ in entry.tags}
            rows.append({**row, "bytes": entry.size, **_entry(entry, tokens, now)})
    return rows + _shared_key_state(cache, alias, full, now)


def _shared_key_state(cache: TieredCache, alias: str, full: str, now: float) -> list[Row]:
    shared = cache.engine.shared
    if shared is None:
        return []
    row: Row = {"alias": alias, "tier": shared.name, "where": shared.redis.alias}
    data = shared.redis.get(full)
    if data is None:
        return [{**row, "state": "not there"}]
    row["bytes"] = len(data)
    try:
        entry = decode(data, now)
    except BadEnvelope as exc:
        return [{**row, "state": f"damaged: {exc}"}]
    names = [tag for tag, _ in entry.tags]
    held = shared.redis.held_tokens(names) if names else []
    return [{**row, **_entry(entry, dict(zip(names, held, strict=True)), now)}]


def _entry(entry: Entry, tokens: dict[str, Any], now: float) -> Row:
    outdated = [tag for tag, token in entry.tags if tokens[tag] != token]
    if now >= entry.keep_until:
        state = "expired"
    elif outdated:
        state = f"outdated by {', '.join(outdated)}"
    else:
        state = "fresh" if now < entry.expires else "stale"
    return {
        "state": state,
        "created": _instant(entry.created),
        "expires": _instant(entry.expires),
        "kept_until": _instant(entry.keep_until),
        "cost_s": entry.cost_s,
        "tags": [tag for tag, _ in entry.tags],
    }


def tag_state(alias: str, tag: str) -> Row:
    """Return a tag's token: the sequences of its last invalidation and of its last removal; None for one that has none."""
    engine = tiered(alias, "tags").engine
    if engine.shared is None:
        where, token = "memory", engine.tags.tokens.get(tag)
    else:
        where, token = engine.shared.redis.alias, engine.shared.redis.held_tokens([tag])[0]
    return {
        "alias": alias,
        "tag": tag,
        "where": where,
        "sequence": token[0] if token else None,
        "removed": token[2] if token else None,
    }


def nobody_told(alias: str) -> str:
    """Return why what a command does to a cache reaches no other process, or the empty string."""
    engine = tiered(alias, "tags").engine
    if engine.shared is not None:
        if engine.shared.pending:
            return f"the server of {engine.shared.redis.alias!r} does not answer"
        return ""
    if engine.channel is None:
        return "it has no channel, so other processes go on with what they hold"
    return (
        "no other process of this user on this host has it open; a site that runs as another user is not reached"
        if engine.channel.is_alone()
        else ""
    )


def _instant(seconds: float) -> str | None:
    return None if seconds == inf else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
