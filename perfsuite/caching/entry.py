"""One value in the cache with what is known of it, and its form on the wire of a shared tier.

Values of a few exact types are immutable and kept as they are; all others are pickled, so that a caller who changes what it got
changes nothing in the cache. The surprising rule: a whole number that carries nothing else goes to a shared tier as its decimal
digits, because only those can be counted up there in one step.

``decode`` raises ``BadEnvelope`` for whatever is not one of ours, and for nothing else; the reader counts it and has a miss.
"""

from __future__ import annotations

import pickle
import struct
import zlib
from math import inf
from typing import Any

Token = tuple[int, int, int]  # of a tag: its sequence, something random, the sequence of its last removal
Tags = tuple[tuple[str, Token], ...]

RAW, PICKLED, COMPRESSED = 0, 1, 2
IMMUTABLE = frozenset({str, bytes, int, float, bool, type(None)})
PROTOCOL = 5
# What an entry takes beside the characters of its key and its payload: the objects, their headers, its place in a tier, and what
# the allocator loses in the long run. From 400 in a tier that was just filled to 620 after many turnovers, depending on how full
# the tier's table happens to be: python benchmarks/caching.py --only memory. A tag's: its pair, its name, its place.
OVERHEAD_BYTES = 500
TAG_BYTES = 128

_MAGIC = b"pS"
_VERSION = 1
_HEAD = struct.Struct("<2sBI")  # magic, version, checksum of the rest
_END = struct.Struct("<dI")  # expires and its own checksum: a touch overwrites both in place
_REST = struct.Struct(
    "<BdddH"
)  # form, created, stale_for, cost, number of tags; then the tags and the payload
END_AT, _REST_AT = _HEAD.size, _HEAD.size + _END.size
_TAG = struct.Struct("<HQQQ")
_PICKLED, _TEXT, _BYTES, _ZIPPED = 0, 1, 2, 4
_INT64 = 1 << 63


class BadEnvelope(Exception):
    """What a shared tier holds under a key is no envelope of this version, or a damaged one."""


class Entry:
    """A value and its instants, in seconds since the epoch.

    ``expires`` is when it stops being fresh; for ``stale_for`` seconds more it may be served as stale. ``cost_s`` is how long it
    took to compute. ``checked`` is the state of the tags at which its own were last found valid. A tier adds what it takes there:
    its ``size`` in bytes, the ``hits`` so far, and when it ``leaves`` the tier or must be looked at again.
    """

    size: int
    hits: int
    leaves: float

    __slots__ = (
        "checked",
        "cost_s",
        "created",
        "expires",
        "form",
        "hits",
        "leaves",
        "payload",
        "size",
        "stale_for",
        "tags",
    )

    def __init__(self, payload: Any, form: int, created: float, expires: float, tags: Tags = ()) -> None:
        self.payload = payload
        self.form = form
        self.created = created
        self.expires = expires
        self.stale_for = 0.0
        self.tags = tags
        self.checked = -1
        self.cost_s = 0.0

    @property
    def keep_until(self) -> float:
        """When it stops being of any use."""
        return self.expires + self.stale_for

    def value(self) -> Any:
        """Return the value; one that can be changed is made anew for each caller."""
        if self.form == RAW:
            return self.payload
        return pickle.loads(self.payload if self.form == PICKLED else decompress(self.payload))  # noqa: S301 - what this cache wrote

    def digest(self) -> int:
        """Return a number that equal values with tags of the same names share in every process: a checksum and the length."""
        payload = self.payload
        kind = "pickled" if self.form else type(payload).__name__
        named = repr((kind, sorted([tag for tag, _ in self.tags]))) if self.tags else kind
        if self.form == RAW and type(payload) is not bytes:
            payload = str(payload).encode("utf-8", "surrogatepass")
        seed = zlib.crc32(named.encode("utf-8", "surrogatepass"))
        return zlib.crc32(payload, seed) << 24 | len(payload) & 0xFFFFFF


# Hot path: benchmarks/caching.py
def packed(value: Any) -> tuple[Any, int]:
    """Return a value as an entry holds it, and in which form. What cannot be pickled raises as pickle does."""
    if type(value) in IMMUTABLE:
        return value, RAW
    return pickle.dumps(value, PROTOCOL), PICKLED


# Compression


def compressed(entry: Entry, above: int) -> Entry:
    """Return an entry with its payload compressed where it is larger than ``above`` bytes and a tenth is saved; else itself."""
    if entry.form != PICKLED:
        packed_payload = _large_raw(entry, above)
    else:
        packed_payload = entry.payload if len(entry.payload) > above else None
    if packed_payload is None:
        return entry
    smaller = compress(packed_payload)
    if smaller is None or len(smaller) > 0.9 * len(packed_payload):
        return entry
    return _with_payload(entry, smaller, COMPRESSED)


def expanded(entry: Entry) -> Entry:
    """Return an entry with its payload as the upper tiers hold it; the inverse of ``compressed``."""
    if entry.form != COMPRESSED:
        return entry
    payload = decompress(entry.payload)
    value = pickle.loads(payload)  # noqa: S301 - what this cache wrote
    if type(value) in IMMUTABLE:
        return _with_payload(entry, value, RAW)
    return _with_payload(entry, payload, PICKLED)


def _large_raw(entry: Entry, above: int) -> bytes | None:
    if entry.form == RAW and type(entry.payload) in (str, bytes) and len(entry.payload) > above:
        return pickle.dumps(entry.payload, PROTOCOL)
    return None


def _with_payload(entry: Entry, payload: Any, form: int) -> Entry:
    made = Entry(payload, form, entry.created, entry.expires, entry.tags)
    made.stale_for, made.checked, made.cost_s = entry.stale_for, entry.checked, entry.cost_s
    return made


def compress(payload: bytes) -> bytes | None:
    """Return the payload compressed by Zstandard, or None where there is no such library."""
    codec = _zstd()
    # A copy: what the compressor returns was allocated for the worst case and then cut, and nothing fits into the rests.
    return None if codec is None else bytes(memoryview(codec[0](payload)))


def decompress(payload: bytes) -> bytes:
    """Undo ``compress``."""
    codec = _zstd()
    if codec is None:
        raise BadEnvelope("it is compressed, and 'zstandard' is not installed here")
    plain: bytes = codec[1](payload)
    return plain


_codec: tuple[Any, Any] | bool | None = False


def _zstd() -> tuple[Any, Any] | None:
    global _codec
    if _codec is False:
        try:
            import zstandard
        except ImportError:
            _codec = None
        else:
            # Compressors are not to be shared by threads; making one costs a microsecond.
            _codec = (
                lambda data: zstandard.ZstdCompressor(level=3).compress(data),
                lambda data: zstandard.ZstdDecompressor().decompress(data),
            )
    return _codec  # type: ignore[return-value]  # never False here


# The wire


def encode(entry: Entry, compress_above: int | None) -> bytes:
    """Return an entry as a shared tier stores it."""
    payload, form = entry.payload, _PICKLED
    if entry.form == RAW:
        kind = type(payload)
        if kind is int and not entry.tags and not entry.stale_for and -_INT64 <= payload < _INT64:
            return b"%d" % payload
        if kind is str:
            payload, form = payload.encode("utf-8", "surrogatepass"), _TEXT
        elif kind is bytes:
            form = _BYTES
        else:
            payload = pickle.dumps(payload, PROTOCOL)
    elif entry.form == COMPRESSED:
        form |= _ZIPPED
    if compress_above is not None and not form & _ZIPPED and len(payload) > compress_above:
        smaller = compress(payload)
        if smaller is not None and len(smaller) <= 0.9 * len(payload):
            payload, form = smaller, form | _ZIPPED
    parts = [_REST.pack(form, entry.created, entry.stale_for, entry.cost_s, len(entry.tags))]
    for tag, token in entry.tags:
        name = tag.encode("utf-8", "surrogatepass")
        parts += [_TAG.pack(len(name), *token), name]
    rest = b"".join([*parts, payload])
    return b"".join([_HEAD.pack(_MAGIC, _VERSION, zlib.crc32(rest)), packed_end(entry.expires), rest])


def packed_end(expires: float) -> bytes:
    """Return the end of an entry as it stands in its envelope at ``END_AT``."""
    end = struct.pack("<d", expires)
    return end + struct.pack("<I", zlib.crc32(end))


def decode(data: bytes, now: float) -> Entry:
    """Return the entry that ``encode`` made ``data`` of. Of a bare number the store keeps the time: it never expires here."""
    if data[:2] != _MAGIC:
        return _number(data, now)
    try:
        _, version, checksum = _HEAD.unpack_from(data)
        if version != _VERSION:
            raise BadEnvelope(f"its version is {version}, this is {_VERSION}")
        expires, checksum_of_end = _END.unpack_from(data, END_AT)
        is_whole = zlib.crc32(memoryview(data)[_REST_AT:]) == checksum
        if not is_whole or zlib.crc32(data[END_AT : END_AT + 8]) != checksum_of_end:
            raise BadEnvelope("its checksum does not fit")
        form, created, stale_for, cost_s, count = _REST.unpack_from(data, _REST_AT)
        at, tags = _REST_AT + _REST.size, []
        for _ in range(count):
            length, *token = _TAG.unpack_from(data, at)
            at += _TAG.size
            name = data[at : at + length].decode("utf-8", "surrogatepass")
            tags.append((name, (token[0], token[1], token[2])))
            at += length
        payload: Any = data[at:]
        if form & _ZIPPED:
            payload = decompress(payload)
        kind = form & ~_ZIPPED
        if kind == _TEXT:
            payload = payload.decode("utf-8", "surrogatepass")
        elif kind not in (_BYTES, _PICKLED):
            raise BadEnvelope(f"its form is {form}")
    except BadEnvelope:
        raise
    except Exception as exc:  # anything may be in there, and any of it is only a miss
        raise BadEnvelope(f"it cannot be read: {type(exc).__name__}") from exc
    entry = Entry(payload, PICKLED if kind == _PICKLED else RAW, created, expires, tuple(tags))
    entry.stale_for, entry.cost_s = stale_for, cost_s
    return entry


def _number(data: bytes, now: float) -> Entry:
    digits = data[1:] if data[:1] == b"-" else data
    if not digits.isdigit() or len(digits) > 19:
        raise BadEnvelope("it is not an envelope")
    return Entry(int(data), RAW, now, inf)
