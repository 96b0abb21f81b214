"""The commands of a shared tier, on the raw connection of a django-redis alias: its pools, its Sentinel, its authentication.

Whatever changes something says so on the stream in the same step, so that the order of the stream is the order of the changes.
All keys of one cache begin with its namespace; none of another are ever touched.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Sequence
from math import inf
from typing import Any

from django.core.cache import caches

from perfsuite.caching.coherence import Message
from perfsuite.caching.entry import EXPIRES_AT, Token

STREAM_LENGTH = 10_000
TOKEN_TTL_MS = 7 * 86_400_000
SCANNED = 1_000

# A script says what it did on the stream, KEYS[1], as ARGV[1].
_TELL = f"redis.call('XADD', KEYS[1], 'MAXLEN', '~', {STREAM_LENGTH}, '*', 'n', ARGV[1], 'o', "
# Stores under KEYS[2] what is not there, or what is there and is just the value given as no longer good.
_ADD = f"""
local held = redis.call('GET', KEYS[2])
if held and held ~= ARGV[7] then return 0 end
if ARGV[4] == '' then redis.call('SET', KEYS[2], ARGV[3]) else redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[4]) end
{_TELL} 'S', 'k', ARGV[2], 'd', ARGV[5], 'e', ARGV[6])
return 1
"""
# Gives a key its new end; the instant in its envelope too, if it has one.
_TOUCH = f"""
if redis.call('EXISTS', KEYS[2]) == 0 then return 0 end
if redis.call('GETRANGE', KEYS[2], 0, 1) == 'pS' then redis.call('SETRANGE', KEYS[2], {EXPIRES_AT}, ARGV[3]) end
if ARGV[4] == '' then redis.call('PERSIST', KEYS[2]) else redis.call('PEXPIRE', KEYS[2], ARGV[4]) end
{_TELL} 'D', 'k', ARGV[2])
return 1
"""
_INCR = f"""
if redis.call('EXISTS', KEYS[2]) == 0 then return false end
if redis.call('GETRANGE', KEYS[2], 0, 1) == 'pS' then return 'envelope' end
local sum = redis.call('INCRBY', KEYS[2], ARGV[3])
{_TELL} 'D', 'k', ARGV[2])
return sum
"""
# Replaces a value that is still the one that was read; its end stays.
_REPLACE = f"""
if redis.call('GET', KEYS[2]) ~= ARGV[3] then return 0 end
local left = redis.call('PTTL', KEYS[2])
if left > 0 then redis.call('SET', KEYS[2], ARGV[4], 'PX', left) else redis.call('SET', KEYS[2], ARGV[4]) end
{_TELL} 'D', 'k', ARGV[2])
return 1
"""
# KEYS[2] is the sequence of invalidations. It never goes back: after a loss of all data it begins with the time.
_INVALIDATE = f"""
local seq = redis.call('INCR', KEYS[2])
if seq < 1000000000 then
  local now = redis.call('TIME')
  seq = now[1] * 1000 + math.floor(now[2] / 1000)
  redis.call('SET', KEYS[2], string.format('%.0f', seq))
end
local made, text = {{}}, string.format('%.0f', seq)
for i = 3, #KEYS do
  local held, removed = redis.call('GET', KEYS[i]), '0'
  if held then removed = string.match(held, '%.(%d+)$') end
  if ARGV[2] == 'R' then removed = text end
  local token = text .. '.' .. ARGV[3] .. '.' .. removed
  redis.call('SET', KEYS[i], token, 'PX', {TOKEN_TTL_MS})
  {_TELL} ARGV[2], 'k', ARGV[i + 1], 't', token)
  made[#made + 1] = token
end
return made
"""
# The tokens of the tags. One that is not there was lost, or never was: it is made, as old as can be said, which is now.
_TOKENS = f"""
local seq = redis.call('GET', KEYS[2])
if not seq then
  local now = redis.call('TIME')
  seq = string.format('%.0f', now[1] * 1000 + math.floor(now[2] / 1000))
  redis.call('SET', KEYS[2], seq)
end
local found = {{}}
for i = 3, #KEYS do
  local token = redis.call('GET', KEYS[i])
  if token then
    redis.call('PEXPIRE', KEYS[i], {TOKEN_TTL_MS})
  else
    token = seq .. '.' .. ARGV[2] .. '.0'
    redis.call('SET', KEYS[i], token, 'PX', {TOKEN_TTL_MS})
  end
  found[#found + 1] = token
end
return found
"""
_UNLOCK = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"


class Redis:
    """What a cache does in the Redis or Valkey behind ``alias``; each method raises what redis-py raises."""

    def __init__(self, alias: str, namespace: str) -> None:
        self.alias = alias
        self.namespace = namespace
        self._scripts: dict[str, Any] = {}
        self.stream = f"{namespace}stream"
        self._seq, self._epoch = f"{namespace}seq", f"{namespace}epoch"
        self.become_new()

    def become_new(self) -> None:
        """Be known to the others as a process of its own."""
        self.me = secrets.token_hex(6).encode()
        self.pid = os.getpid()

    @property
    def client(self) -> Any:
        """The raw client of the alias, for this thread."""
        return caches[self.alias].client.get_client(write=True)  # type: ignore[attr-defined]  # django-redis has it

    def _key(self, full: str) -> str:
        return f"{self.namespace}k:{full}"

    def _tag(self, tag: str) -> str:
        return f"{self.namespace}t:{tag}"

    def _run(self, script: str, keys: Sequence[str], args: Sequence[Any]) -> Any:
        made = self._scripts.get(script)
        if made is None:
            made = self._scripts[script] = self.client.register_script(script)
        return made(keys=[self.stream, *keys], args=[self.me, *args], client=self.client)

    # Values

    def get(self, full: str) -> bytes | None:
        """Return what is held under a key."""
        return self.client.get(self._key(full))  # type: ignore[no-any-return]

    def get_many(self, fulls: Sequence[str]) -> list[bytes | None]:
        """Return what is held under each key."""
        return self.client.mget([self._key(full) for full in fulls])  # type: ignore[no-any-return]

    def set_many(self, items: Iterable[tuple[str, bytes, int | None, int, float]]) -> None:
        """Store ``(key, data, milliseconds, digest, expires)`` and tell."""
        with self.client.pipeline(transaction=True) as pipe:
            for full, data, px, digest, expires in items:
                pipe.set(self._key(full), data, px=px)
                self._tell(pipe, {"o": "S", "k": full, "d": digest, "e": repr(expires)})
            pipe.execute()

    def drop_many(self, fulls: Sequence[str]) -> list[bytes | None]:
        """Delete keys and tell; return what they held."""
        with self.client.pipeline(transaction=True) as pipe:
            for full in fulls:
                pipe.get(self._key(full))
                pipe.delete(self._key(full))
                self._tell(pipe, {"o": "D", "k": full})
            return pipe.execute()[::3]  # type: ignore[no-any-return]

    def add(
        self, full: str, data: bytes, px: int | None, digest: int, expires: float, no_longer: bytes = b""
    ) -> bool:
        """Store what is not there, or where ``no_longer`` is, and tell."""
        args = [full, data, "" if px is None else px, digest, repr(expires), no_longer]
        return bool(self._run(_ADD, [self._key(full)], args))

    def touch(self, full: str, packed_expires: bytes, px: int | None) -> bool:
        """Give a key another end, and tell."""
        return bool(self._run(_TOUCH, [self._key(full)], [full, packed_expires, "" if px is None else px]))

    def incr(self, full: str, delta: int) -> int | bytes | None:
        """Add to a number and tell: the sum, None for no key, bytes where the server cannot count it up."""
        from redis import ResponseError

        try:
            return self._run(_INCR, [self._key(full)], [full, delta])  # type: ignore[no-any-return]
        except ResponseError as exc:
            if "overflow" in str(exc) or "not an integer" in str(exc):
                return b""
            raise

    def replace(self, full: str, old: bytes, new: bytes) -> bool:
        """Replace a value that is still ``old``, and tell."""
        return bool(self._run(_REPLACE, [self._key(full)], [full, old, new]))

    def clear(self) -> None:
        """Delete all values of this cache, in slices that stall nobody, and tell."""
        client = self.client
        pattern = f"{self.namespace}k:*"
        for char in "\\[]?":
            pattern = pattern.replace(char, f"\\{char}")
        batch: list[bytes] = []
        for key in client.scan_iter(match=pattern, count=SCANNED):
            batch.append(key)
            if len(batch) >= SCANNED:
                client.unlink(*batch)
                batch.clear()
        if batch:
            client.unlink(*batch)
        self._tell(client, {"o": "C"})

    def _tell(self, pipe: Any, fields: dict[str, Any]) -> None:
        pipe.xadd(self.stream, {"n": self.me, **fields}, maxlen=STREAM_LENGTH, approximate=True)

    # Tags

    def tokens(self, tags: Sequence[str]) -> list[Token]:
        """Return the tags' tokens, made for those that have none."""
        found = self._run(_TOKENS, [self._seq, *map(self._tag, tags)], [secrets.randbits(48)])
        return [parsed_token(token) for token in found]

    def sequence(self) -> int:
        """Return the sequence of the last invalidation."""
        self.tokens([])
        return int(self.client.get(self._seq) or 0)

    def held_tokens(self, tags: Sequence[str]) -> list[Token | None]:
        """Return the tags' tokens, None for those that have none."""
        found = self.client.mget([self._tag(tag) for tag in tags])
        return [None if token is None else parsed_token(token) for token in found]

    def invalidate(self, tags: Sequence[str], remove: bool) -> list[Token]:
        """Give the tags new tokens, tell, and return them."""
        made = self._run(
            _INVALIDATE,
            [self._seq, *map(self._tag, tags)],
            ["R" if remove else "T", secrets.randbits(48), *tags],
        )
        return [parsed_token(token) for token in made]

    # Turns

    def lock(self, full: str, ttl_s: float) -> bytes | None:
        """Take the turn to compute a key; return its token, None if another process has it."""
        token = secrets.token_bytes(12)
        taken = self.client.set(f"{self.namespace}f:{full}", token, nx=True, px=max(1, int(ttl_s * 1_000)))
        return token if taken else None

    def unlock(self, full: str, token: bytes) -> None:
        """Give the turn back, if it is still this one."""
        self.client.eval(_UNLOCK, 1, f"{self.namespace}f:{full}", token)

    # The stream

    def epoch(self) -> bytes:
        """Return what names the data of this server since it last lost all."""
        client = self.client
        client.set(self._epoch, secrets.token_hex(8), nx=True)
        return client.get(self._epoch) or b""

    def bounds(self) -> tuple[bytes, bytes]:
        """Return the ids of the first and the last message; an empty stream gets one."""
        client = self.client
        last = client.xrevrange(self.stream, count=1)
        if not last:
            self._tell(client, {"o": "N"})
            last = client.xrevrange(self.stream, count=1)
        first = client.xrange(self.stream, count=1)
        return first[0][0], last[0][0]

    def read(self, after: bytes, block_ms: int, most: int) -> tuple[bytes, list[Message]]:
        """Wait for messages; return the id of the last one and them, in their order."""
        answer = self.client.xread({self.stream: after}, count=most, block=block_ms)
        messages: list[Message] = []
        for _, entries in answer.items() if isinstance(answer, dict) else answer or ():
            for each in entries[0] if entries and isinstance(entries[0], list) else entries:
                after, fields = each
                messages.append(self._parsed(fields))
        return after, messages

    def _parsed(self, fields: dict[bytes, bytes]) -> Message:
        token = fields.get(b"t")
        return Message(
            fields.get(b"o", b"N").decode(),
            fields.get(b"n") == self.me,
            fields.get(b"k", b"").decode("utf-8", "surrogatepass"),
            int(fields.get(b"d", b"0")),
            float(fields.get(b"e", b"0")),
            None if token is None else parsed_token(token),
        )

    @property
    def read_timeout_s(self) -> float | None:
        """How long the alias's connections wait for an answer; a longer wait on the stream would end as a failure."""
        timeout = self.client.connection_pool.connection_kwargs.get("socket_timeout")
        return None if timeout is None else float(timeout)


def parsed_token(text: bytes) -> Token:
    """Return the token that a script wrote as text."""
    seq, random, removed = text.split(b".")
    return int(seq), int(random), int(removed)


def milliseconds(keep_until: float, now: float, ttl_s: float | None) -> int | None:
    """Return how long a value is kept, None for good; at least one millisecond."""
    left = keep_until - now
    if ttl_s is not None:
        left = min(left, ttl_s)
    return None if left == inf else max(1, int(left * 1_000))
