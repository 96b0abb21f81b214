"""The commands of a shared tier, on connections like those of a django-redis alias: its server, its Sentinel, its authentication.

They are a pool of the tier's own. django-redis keeps one pool for each URL, whoever asked first for whatever timeouts; and what
behoves a breaker, an answer within a bounded time and no second try, need not be what the host wants of its other connections.

Whatever changes something says so on the stream in the same step, so that the order of the stream is the order of the changes.
All keys of one cache begin with its namespace; none of another are ever touched.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from math import inf
from typing import Any
from urllib.parse import quote

from django.core.cache import caches
from django.core.exceptions import ImproperlyConfigured

from perfsuite.caching.coherence import OPS, Message
from perfsuite.caching.entry import Token
from perfsuite.caching.tiers import scripts
from perfsuite.caching.tiers.scripts import STREAM_LENGTH

SCANNED = 1_000
TIMEOUT_S = 1.0  # where the alias has none


class Redis:
    """What a cache does in the Redis or Valkey behind ``alias``; each method raises what redis-py raises."""

    def __init__(self, alias: str, name: str) -> None:
        self.alias = alias
        self.namespace = f"perfsuite:{quote(name, safe='|', errors='surrogatepass')}:"
        self.stream = f"{self.namespace}stream"
        self._seq, self._epoch = f"{self.namespace}seq", f"{self.namespace}epoch"
        self.become_new()

    def become_new(self) -> None:
        """Be known to the others as a process of its own, with connections of its own."""
        self.me = secrets.token_hex(6).encode()
        self._client: Any = None
        self._refusal: type[Exception]
        self._scripts: dict[str, Any] = {}

    @property
    def client(self) -> Any:
        """The raw client of the tier, for all threads."""
        if self._client is None:
            from redis import ResponseError

            self._client, self._refusal = _connected(self.alias), ResponseError
        return self._client

    def let_go(self) -> None:
        """Close the connections that nobody uses now: the server behind them may not be the right one any more."""
        if self._client is not None:
            self._client.connection_pool.disconnect(inuse_connections=False)

    def _named(self, kind: str, name: str) -> bytes:
        return f"{self.namespace}{kind}:{name}".encode("utf-8", "surrogatepass")

    def _key(self, full: str) -> bytes:
        return self._named("k", full)

    def _tag(self, tag: str) -> bytes:
        return self._named("t", tag)

    def _run(self, script: str, keys: Sequence[Any], args: Sequence[Any]) -> Any:
        made = self._scripts.get(script)
        if made is None:
            made = self._scripts[script] = self.client.register_script(script)
        return made(keys=[self.stream, *keys], args=[self.me, *args], client=self.client)

    # Values

    def get(self, full: str) -> bytes | None:
        """Return what is held under a key; nothing is, where it is of another type."""
        client = self.client
        try:
            return client.get(self._key(full))  # type: ignore[no-any-return]
        except self._refusal as exc:
            if "WRONGTYPE" in str(exc):
                return None
            raise

    def get_many(self, fulls: Sequence[str]) -> list[bytes | None]:
        """Return what is held under each key; nothing is, where a key is of another type."""
        return self.client.mget([self._key(full) for full in fulls])  # type: ignore[no-any-return]

    # Hot path: benchmarks/caching.py
    def set_many(self, items: Sequence[tuple[str, bytes, int | None, int, float]]) -> None:
        """Store ``(key, data, milliseconds, digest, expires)`` and tell."""
        if len(items) == 1:  # a script is one command to send and one answer to read, a transaction four
            ((full, data, px, digest, expires),) = items
            args = [_bytes(full), data, "" if px is None else px, digest, repr(expires)]
            self._run(scripts.SET, [self._key(full)], args)
            return
        with self.client.pipeline(transaction=True) as pipe:
            for full, data, px, digest, expires in items:
                pipe.set(self._key(full), data, px=px)
                self._tell(pipe, {"o": "S", "k": _bytes(full), "d": digest, "e": repr(expires)})
            pipe.execute()

    def drop_many(self, fulls: Sequence[str]) -> list[bytes | None]:
        """Delete keys and tell; return what they held."""
        with self.client.pipeline(transaction=True) as pipe:
            pipe.mget([self._key(full) for full in fulls])
            self._drop_all(pipe, fulls)
            return pipe.execute()[0]  # type: ignore[no-any-return]

    def forget_many(self, fulls: Sequence[str]) -> None:
        """Delete keys and tell, without reading what they held."""
        with self.client.pipeline(transaction=True) as pipe:
            self._drop_all(pipe, fulls)
            pipe.execute()

    def _drop_all(self, pipe: Any, fulls: Sequence[str]) -> None:
        for full in fulls:
            pipe.delete(self._key(full))
            self._tell(pipe, {"o": "D", "k": _bytes(full)})

    def add(
        self,
        full: str,
        data: bytes,
        px: int | None,
        digest: int,
        expires: float,
        no_longer: bytes | None = None,
    ) -> bool:
        """Store what is not there, or where ``no_longer`` is, and tell."""
        bad = ["0", b""] if no_longer is None else ["1", no_longer]
        args = [_bytes(full), data, "" if px is None else px, digest, repr(expires), *bad]
        return bool(self._run(scripts.ADD, [self._key(full)], args))

    def touch(self, full: str, end: bytes, px: int | None) -> bool:
        """Give a key another end, ``end`` in its envelope, and tell."""
        args = [_bytes(full), end, "" if px is None else px]
        return bool(self._run(scripts.TOUCH, [self._key(full)], args))

    def incr(self, full: str, delta: int) -> bytes | None:
        """Add to a number and tell: the sum, None for no key, ``b"no"`` where the server cannot count it up."""
        return self._run(scripts.INCR, [self._key(full)], [_bytes(full), delta])  # type: ignore[no-any-return]

    def replace(self, full: str, old: bytes, new: bytes) -> bool:
        """Replace a value that is still ``old``, and tell."""
        return bool(self._run(scripts.REPLACE, [self._key(full)], [_bytes(full), old, new]))

    def clear(self) -> None:
        """Delete all values of this cache, in slices that stall nobody, and tell."""
        self._unlink("k")
        self._tell(self.client, {"o": "C"})

    def _unlink(self, kind: str) -> None:
        """Delete all keys of a kind. The namespace has no character that is special in a pattern."""
        batch: list[bytes] = []
        for key in self.client.scan_iter(match=f"{self.namespace}{kind}:*", count=SCANNED):
            batch.append(key)
            if len(batch) >= SCANNED:
                self.client.unlink(*batch)
                batch.clear()
        if batch:
            self.client.unlink(*batch)

    def _tell(self, pipe: Any, fields: dict[str, Any]) -> None:
        pipe.xadd(self.stream, {"n": self.me, **fields}, maxlen=STREAM_LENGTH, approximate=True)

    # Tags; ``seen`` is a sequence that this process knows, and the server's will not be an earlier one

    def tokens(self, tags: Sequence[str], seen: int) -> list[Token]:
        """Return the tags' tokens, made for those that have none."""
        found = self._run(scripts.TOKENS, [self._seq, *map(self._tag, tags)], [seen, secrets.randbits(48)])
        return [parsed_token(token) for token in found[1:]]

    def sequence(self, seen: int) -> int:
        """Return the sequence of the last invalidation."""
        return int(self._run(scripts.TOKENS, [self._seq], [seen, 0])[0])

    def held_tokens(self, tags: Sequence[str]) -> list[Token | None]:
        """Return the tags' tokens, None for those that have none."""
        found = self.client.mget([self._tag(tag) for tag in tags])
        return [None if token is None else parsed_token(token) for token in found]

    def invalidate(self, tags: Sequence[str], remove: bool, seen: int) -> list[Token]:
        """Give the tags new tokens, tell, and return them."""
        made = self._run(
            scripts.INVALIDATE,
            [self._seq, *map(self._tag, tags)],
            [seen, "R" if remove else "T", secrets.randbits(48), *map(_bytes, tags)],
        )
        return [parsed_token(token) for token in made]

    # Turns

    def lock(self, full: str, ttl_s: float) -> bytes | None:
        """Take the turn to compute a key; return its token, None if another process has it."""
        token = secrets.token_hex(12).encode()
        taken = self.client.set(self._named("f", full), token, nx=True, px=max(1, int(ttl_s * 1_000)))
        return token if taken else None

    def unlock(self, full: str, token: bytes) -> None:
        """Give the turn back, if it is still this one."""
        self._run(scripts.UNLOCK, [self._named("f", full)], [token])

    # The stream

    def position(self, at: bytes) -> tuple[bytes, bytes, bytes, bool]:
        """Return the epoch, the ids of the first and the last message, and whether there is one with the id ``at``.

        The epoch names the data of this server since all was lost. It is asked for by a write, which a server refuses that is not
        fit for one. An empty stream gets a message.
        """
        while True:
            with self.client.pipeline(transaction=True) as pipe:
                pipe.set(self._epoch, secrets.token_hex(8), nx=True)
                pipe.get(self._epoch)
                pipe.xrange(self.stream, count=1)
                pipe.xrevrange(self.stream, count=1)
                pipe.xrange(self.stream, at or "0-1", at or "0-1")
                _, epoch, first, last, there = pipe.execute()
            if first:
                return epoch, first[0][0], last[0][0], bool(there)
            self._tell(self.client, {"o": "N"})

    def begin_anew(self, epoch: bytes, seen: int) -> None:
        """Lose all tokens, which makes a miss of whatever has tags, and have all processes forget what they hold."""
        self._unlink("t")
        self.sequence(seen)
        self._run(scripts.RENEW, [self._epoch], [epoch, secrets.token_hex(8)])

    def read(self, after: bytes, block_ms: int, most: int) -> tuple[bytes, list[Message]]:
        """Wait for messages; return the id of the last one and them, in their order."""
        answer = self.client.xread({self.stream: after}, count=most, block=block_ms)
        messages: list[Message] = []
        for _, entries in answer.items() if isinstance(answer, dict) else answer or ():
            # The third version of the protocol has one list more around them.
            for each in entries[0] if entries and isinstance(entries[0], list) else entries:
                after, fields = each
                messages.append(self._parsed(fields))
        return after, messages

    def _parsed(self, fields: dict[bytes, bytes]) -> Message:
        """Return a message; what cannot be understood, perhaps of a later version, may have been about anything."""
        try:
            token = fields.get(b"t")
            op = fields[b"o"].decode()
            if op not in OPS:
                raise ValueError(op)
            return Message(
                op,
                fields.get(b"n") == self.me,
                fields.get(b"k", b"").decode("utf-8", "surrogatepass"),
                int(fields.get(b"d", b"0")),
                float(fields.get(b"e", b"0")),
                None if token is None else parsed_token(token),
            )
        except (KeyError, ValueError, AttributeError):
            return Message("F", False)

    @property
    def read_timeout_s(self) -> float:
        """How long the connections wait for an answer; a longer wait on the stream would end as a failure."""
        return float(self.client.connection_pool.connection_kwargs["socket_timeout"])


def _connected(alias: str) -> Any:
    """Return a client with a pool of its own, made as the alias makes its own one."""
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    try:
        theirs = caches[alias].client  # type: ignore[attr-defined]  # django-redis has it
        factory, server = theirs.connection_factory, theirs._server[0]  # noqa: SLF001 - no other way says it
    except AttributeError as exc:
        raise ImproperlyConfigured(
            f"CACHES[{alias!r}] is the shared tier of a TieredCache and no cache of django-redis; "
            "write 'BACKEND': 'django_redis.cache.RedisCache'."
        ) from exc
    pool = factory.get_connection_pool(factory.make_connection_params(server))
    kwargs = pool.connection_kwargs
    kwargs.update(
        decode_responses=False, retry=Retry(NoBackoff(), 0), retry_on_timeout=False, retry_on_error=[]
    )
    for name in ("socket_timeout",) if "path" in kwargs else ("socket_timeout", "socket_connect_timeout"):
        if kwargs.get(name) is None:
            kwargs[name] = TIMEOUT_S
    return factory.redis_client_cls(connection_pool=pool, **factory.redis_client_cls_kwargs)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


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
