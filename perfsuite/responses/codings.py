"""The content codings: zstd, br and gzip, each in one go and as a stream that holds nothing back.

gzip is always there; zstd comes with Python 3.14, ``zstandard`` or ``backports.zstd``, and br with ``brotli`` or ``brotlicffi``.
What is not installed is left out.

The surprising rule: a body may be *padded* with up to some hundred bytes that say nothing, a random number of them. Who can put
text into a page and see how long the page is once compressed learns by and by what else is in it (the BREACH attack); with
padding that takes very many more tries. Each format has a place for it that every decoder skips: gzip the name of a file
(RFC 1952 2.3.1), zstd blocks of no bytes (RFC 8878 3.1.1.2), br a block of metadata (RFC 7932 9.2).
"""

from __future__ import annotations

import logging
import secrets
import zlib
from collections import deque
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from typing import Any, Final, Protocol

logger = logging.getLogger("perfsuite.responses")

NAMES: Final = ("zstd", "br", "gzip")
# A body of up to so many bytes gets the level that is set, a larger one the fastest (benchmarks/compression.py --levels).
FAST_ABOVE_BYTES: Final = 262_144
# What a stream may look back, 64 KiB, and the size of its tables, as powers of two. Thousands may be open: at the library's
# own sizes one of zstd holds 835 KiB instead of 195 and sends no less.
STREAM_WINDOW: Final = 16
STREAM_TABLES: Final = 14
# One of a higher quality holds 553 KiB instead of 294.
STREAM_BR_LEVEL: Final = 3

_GZIP_WITH_NAME = b"\x1f\x8b\x08\x08\0\0\0\0\0\xff"
_GZIP_HEAD_BYTES = 10
_ZSTD_NO_BYTES = b"\0\0\0"  # a raw block that is not the last and holds nothing


class Stream(Protocol):
    """One body that is compressed part by part."""

    def feed(self, chunk: bytes, flush: bool) -> bytes:
        """Take a chunk; with ``flush``, the client can read all of it from what was returned so far."""

    def finish(self) -> bytes:
        """Return the end of the body."""


class Coding(Protocol):
    """A content coding. Its methods may be called from any thread, and release the interpreter while they work."""

    name: str

    def encode(self, body: bytes, level: int, padding: int) -> bytes:
        """Return the body compressed, with ``padding`` bytes or a few less that say nothing."""

    def stream(self, level: int, padding: int) -> Stream:
        """Begin a body that is compressed part by part."""


def random_padding(below: int) -> int:
    """Return how many bytes to pad with, at random and less than ``below``."""
    return secrets.randbelow(below) if below > 0 else 0


# gzip


class Gzip:
    """gzip, by the zlib that Python has."""

    name = "gzip"

    def encode(self, body: bytes, level: int, padding: int) -> bytes:
        """Return the body as one member."""
        deflate = zlib.compressobj(level, zlib.DEFLATED, 31)
        return _named(deflate.compress(body) + deflate.flush(), padding)

    def stream(self, level: int, padding: int) -> Stream:
        """Begin a member."""
        return _GzipStream(level, padding)


class _GzipStream:
    def __init__(self, level: int, padding: int) -> None:
        self._deflate = zlib.compressobj(level, zlib.DEFLATED, 31)
        self._padding = padding
        self._begun = False

    def feed(self, chunk: bytes, flush: bool) -> bytes:
        made = self._deflate.compress(chunk)
        return self._headed(made + self._deflate.flush(zlib.Z_SYNC_FLUSH) if flush else made)

    def finish(self) -> bytes:
        return self._headed(self._deflate.flush())

    def _headed(self, made: bytes) -> bytes:
        if self._begun or not made:
            return made
        self._begun = True
        return _named(made, self._padding)


def _named(member: bytes, padding: int) -> bytes:
    """Give a gzip member a file name of so many bytes, as Django's GZipMiddleware does."""
    if padding <= 0:
        return member
    return b"".join((_GZIP_WITH_NAME, b"a" * (padding - 1), b"\0", member[_GZIP_HEAD_BYTES:]))


# br


class Brotli:
    """br, by ``brotli`` or ``brotlicffi``, which are alike."""

    name = "br"

    def __init__(self, module: Any) -> None:
        self._compressor = module.Compressor
        self._compress: Callable[..., bytes] = module.compress

    def encode(self, body: bytes, level: int, padding: int) -> bytes:
        """Return the body as one stream."""
        if padding <= 0:
            return self._compress(body, quality=level)
        compressor = self._compressor(quality=level)
        return b"".join(
            (compressor.flush(), _metadata(padding), compressor.process(body), compressor.finish())
        )

    def stream(self, level: int, padding: int) -> Stream:
        """Begin a stream."""
        return _BrotliStream(
            self._compressor(quality=min(level, STREAM_BR_LEVEL), lgwin=STREAM_WINDOW), padding
        )


class _BrotliStream:
    def __init__(self, compressor: Any, padding: int) -> None:
        self._compressor = compressor
        # A flush ends at a whole byte, where a block of metadata may begin.
        self._head: bytes = compressor.flush() + _metadata(padding) if padding > 0 else b""

    def feed(self, chunk: bytes, flush: bool) -> bytes:
        made: bytes = self._compressor.process(chunk)
        return self._headed(made + self._compressor.flush() if flush else made)

    def finish(self) -> bytes:
        return self._headed(self._compressor.finish())

    def _headed(self, made: bytes) -> bytes:
        if not made:
            return made
        head, self._head = self._head, b""
        return head + made


def _metadata(padding: int) -> bytes:
    """Return a metadata block of so many bytes, for where a stream stands at a whole byte."""
    if padding <= 2:
        return b""
    # Bits, the lowest first: not the last (0); metadata (11); reserved (0); one byte of length (10); the length less 1.
    skipped = min(padding - 2, 256)
    return (0b010110 | (skipped - 1) << 6).to_bytes(2, "little") + bytes(skipped)


# zstd


class _Zstd:
    """What the libraries for zstd have in common."""

    name = "zstd"

    def encode(self, body: bytes, level: int, padding: int) -> bytes:
        """Return the body as one frame."""
        return _blocked(self._encode(body, level), padding)

    def _encode(self, body: bytes, level: int) -> bytes:
        raise NotImplementedError


class StandardZstd(_Zstd):
    """zstd, by ``compression.zstd`` of Python 3.14 or ``backports.zstd``, which are alike."""

    def __init__(self, module: Any) -> None:
        self._module = module

    def _encode(self, body: bytes, level: int) -> bytes:
        made: bytes = self._module.compress(body, level)
        return made

    def stream(self, level: int, padding: int) -> Stream:
        """Begin a frame."""
        name = self._module.CompressionParameter
        options = {
            name.compression_level: level,
            name.window_log: STREAM_WINDOW,
            name.hash_log: STREAM_TABLES,
            name.chain_log: STREAM_TABLES,
        }
        compressor = self._module.ZstdCompressor(options=options)
        block, frame = compressor.FLUSH_BLOCK, compressor.FLUSH_FRAME
        return _ZstdStream(
            compressor.compress, lambda: compressor.flush(block), lambda: compressor.flush(frame), padding
        )


class Zstandard(_Zstd):
    """zstd, by ``zstandard``."""

    def __init__(self, module: Any) -> None:
        self._module = module
        # A compressor is one thread's at a time, and making one takes as long as compressing 2 KB; a few are kept.
        self._idle: deque[tuple[int, Any]] = deque(maxlen=8)

    def _encode(self, body: bytes, level: int) -> bytes:
        try:
            made_for, compressor = self._idle.pop()
        except IndexError:
            made_for, compressor = 0, None
        if compressor is None or made_for != level:
            compressor = self._module.ZstdCompressor(level=level)
        made: bytes = compressor.compress(body)
        if len(body) <= FAST_ABOVE_BYTES:  # one that has seen more keeps larger tables
            self._idle.append((level, compressor))
        return made

    def stream(self, level: int, padding: int) -> Stream:
        """Begin a frame."""
        parameters = self._module.ZstdCompressionParameters.from_level(
            level, window_log=STREAM_WINDOW, hash_log=STREAM_TABLES, chain_log=STREAM_TABLES
        )
        compressor = self._module.ZstdCompressor(compression_params=parameters).compressobj()
        block, frame = self._module.COMPRESSOBJ_FLUSH_BLOCK, self._module.COMPRESSOBJ_FLUSH_FINISH
        return _ZstdStream(
            compressor.compress, lambda: compressor.flush(block), lambda: compressor.flush(frame), padding
        )


class _ZstdStream:
    def __init__(
        self,
        compress: Callable[[bytes], bytes],
        flush: Callable[[], bytes],
        finish: Callable[[], bytes],
        padding: int,
    ) -> None:
        self._compress, self._flush, self._finish = compress, flush, finish
        self._padding = padding
        self._begun = False

    def feed(self, chunk: bytes, flush: bool) -> bytes:
        made = self._compress(chunk)
        return self._headed(made + self._flush() if flush else made)

    def finish(self) -> bytes:
        return self._headed(self._finish())

    def _headed(self, made: bytes) -> bytes:
        if self._begun or not made:
            return made
        self._begun = True
        return _blocked(made, self._padding)


def _blocked(frame: bytes, padding: int) -> bytes:
    """Put blocks of no bytes between the header of a frame and its first block, three bytes each."""
    blocks = padding // len(_ZSTD_NO_BYTES)
    if blocks <= 0:
        return frame
    # RFC 8878 3.1.1.1: what the header holds is said by its descriptor, the byte behind the magic number.
    descriptor = frame[4]
    is_single_segment = descriptor >> 5 & 1
    window, dictionary = 1 - is_single_segment, (0, 1, 2, 4)[descriptor & 3]
    content_size = (is_single_segment, 2, 4, 8)[descriptor >> 6]
    end = 5 + window + dictionary + content_size
    return b"".join((frame[:end], _ZSTD_NO_BYTES * blocks, frame[end:]))


# Which of them there are.

_LIBRARIES: Final[dict[str, tuple[tuple[str, Callable[[Any], Any]], ...]]] = {
    "zstd": (
        ("compression.zstd", StandardZstd),
        ("zstandard", Zstandard),
        ("backports.zstd", StandardZstd),
    ),
    "br": (("brotli", Brotli), ("brotlicffi", Brotli)),
    "gzip": (("zlib", lambda module: Gzip()),),
}
_found: dict[str, Coding | None] = {}


def coding(name: str) -> Coding | None:
    """Return a coding by its name, or None where it is unknown or no library for it can be imported."""
    try:
        return _found[name]
    except KeyError:
        if name not in _LIBRARIES:
            return None
        found = _found[name] = _find(name)
        return found


@lru_cache(maxsize=32)
def offered(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return those of ``names`` that can be used here, in their order."""
    return tuple(name for name in dict.fromkeys(names) if coding(name) is not None)


def look_again() -> None:
    """Forget which libraries there are; needed only after one was installed or removed."""
    _found.clear()
    offered.cache_clear()
    for forget in forgetting:
        forget()


forgetting: list[Callable[[], None]] = []  # called when it is looked again


def _find(name: str) -> Coding | None:
    for module, make in _LIBRARIES[name]:
        try:
            made: Coding = make(import_module(module))
        except Exception as exc:  # noqa: BLE001 - a library that cannot even be imported is one that there is not
            logger.debug("%s is not used for %s: %s", module, name, exc)
        else:
            return made
    logger.debug("Nothing is sent as %s: there is no library for it.", name)
    return None
