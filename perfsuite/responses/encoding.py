"""What a body becomes for a client: which coding, which bytes, which header fields. Shared by the middleware and the cache.

The surprising rule: compressed, a response is another representation of the same page. So its ETag is a weak one (RFC 9110
8.8.1), and what told of the bytes as they were goes: digests, and that ranges of them can be had.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import lru_cache
from time import perf_counter
from typing import Any, Final, NamedTuple

from perfsuite.metrics.conf import MetricsSettings
from perfsuite.metrics.recorder import recorder
from perfsuite.responses import codings, kinds
from perfsuite.responses.conf import ResponsesSettings
from perfsuite.responses.headers import Get
from perfsuite.responses.negotiation import AS_IS, IDENTITY, Negotiated, negotiate

# They have no body, or a part of one.
NEVER_COMPRESSED: Final = frozenset({204, 205, 206, 304})
# Of the bytes as they were (RFC 9530, RFC 9110 14.3).
OUTDATED: Final = ("Accept-Ranges", "Content-MD5", "Content-Digest", "Repr-Digest", "Digest")
MAX_KEPT_TYPE: Final = 128
# Fields of Accept-Encoding that are remembered; browsers send some 30 characters.
MAX_KNOWN: Final = 512
MAX_KNOWN_FIELD: Final = 256

# Which coding clients get by what they send, under these options.
_known: tuple[ResponsesSettings | None, dict[str | None, Negotiated]] = (None, {})


class Encoded(NamedTuple):
    """A body as it is sent to some clients: its coding, its bytes, and fields to set, or to remove where the value is None."""

    coding: str
    body: bytes
    fields: dict[str, str | None]


def is_negotiable(status: int, get: Get) -> bool:
    """Tell whether a response may be sent compressed at all: by its status, its type, and what it says of itself.

    It then has ``Vary: Accept-Encoding``, compressed or not, however small it is now. Whether its view has said no is asked of
    ``marks.marked``.
    """
    if status < 200 or status in NEVER_COMPRESSED:
        return False
    content_type = get("content-type")
    if not content_type or not _is_compressible(content_type, ResponsesSettings.get().compress_types):
        return False
    if get("content-encoding") is not None or get("content-range") is not None:
        return False
    cache_control = get("cache-control")
    return not cache_control or "no-transform" not in directives(cache_control)


def wants_as_is(meta: Mapping[str, Any]) -> bool:
    """Tell whether a request asks for a body as it is, whatever codings it accepts: no-transform (RFC 9111 5.2.1.6)."""
    cache_control = meta.get("HTTP_CACHE_CONTROL")
    return cache_control is not None and "no-transform" in directives(cache_control)


# Hot path: benchmarks/compression.py
def coding_for(accept_encoding: str | None, length: int | None = None) -> Negotiated:
    """Return what a client gets of a negotiable response whose body has ``length`` bytes, None where that is unknown."""
    options = ResponsesSettings.get()
    if not options.compression_enabled:
        return AS_IS
    known_for, known = _known
    negotiated = known.get(accept_encoding) if options is known_for else None
    if negotiated is None:
        negotiated = _negotiated(accept_encoding, options)
    if length is not None and length < options.compress_min_bytes and not negotiated.refuses_identity:
        return AS_IS
    return negotiated


def _negotiated(accept_encoding: str | None, options: ResponsesSettings) -> Negotiated:
    """Negotiate, and remember it."""
    global _known
    negotiated = negotiate(accept_encoding, codings.offered(options.codings))
    known_for, known = _known
    if options is not known_for or len(known) >= MAX_KNOWN:
        _known = known_for, known = options, {}
    if accept_encoding is None or len(accept_encoding) <= MAX_KNOWN_FIELD:
        known[accept_encoding] = negotiated
    return negotiated


def _forget() -> None:
    global _known
    _known = None, {}


codings.forgetting.append(_forget)


def encoded(body: bytes, get: Get, negotiated: Negotiated) -> Encoded | None:
    """Return a body compressed for a client; None: no smaller, or nothing to be done. Takes the time that compressing takes.

    One that its response calls ``public``, or gives a lifetime for all, is compressed without padding, and to the same bytes
    each time.
    """
    if negotiated.coding == IDENTITY:
        return None
    made = _encode(body, negotiated.coding, padding_for(get))
    if made is None or (len(made) >= len(body) and not negotiated.refuses_identity):
        return None
    return Encoded(negotiated.coding, made, fields(get, negotiated.coding, len(made)))


def _encode(body: bytes, name: str, padding: int) -> bytes | None:
    """Return a body in a coding, None where there is no library for it any more; record the time that it took."""
    coding = codings.coding(name)
    if coding is None:
        return None
    started = perf_counter()
    made = coding.encode(body, level_for(name, len(body)), padding)
    if MetricsSettings.get().enabled:
        recorder.observe(kinds.COMPRESSION, (name,), (perf_counter() - started) * 1e6)
    return made


def record_sent(coding: str, before: int, after: int) -> None:
    """Record a body that is sent compressed, one that was stored so included. Never raises; about a microsecond."""
    if MetricsSettings.get().enabled:
        labels = (coding,)
        recorder.observe_many(((kinds.BYTES_BEFORE, labels, before), (kinds.BYTES_AFTER, labels, after)))


def level_for(name: str, length: int) -> int:
    """Return the level at which so many bytes are compressed."""
    if length > codings.FAST_ABOVE_BYTES:
        return 1
    options = ResponsesSettings.get()
    if name == "zstd":
        return options.zstd_level
    return options.br_level if name == "br" else options.gzip_level


def padding_for(get: Get) -> int:
    """Return how many bytes to pad a response with: a random number, 0 for one that anybody may see."""
    cache_control = get("cache-control")
    if cache_control and not directives(cache_control).isdisjoint({"public", "s-maxage"}):
        return 0
    return codings.random_padding(ResponsesSettings.get().padding_bytes)


def fields(get: Get, coding: str, length: int | None) -> dict[str, str | None]:
    """Return the fields that change where a response is sent in a coding, in ``length`` bytes if that is known."""
    changed: dict[str, str | None] = {
        "Content-Encoding": coding,
        "Content-Length": None if length is None else str(length),
        "Vary": with_accept_encoding(get("vary")),
    }
    etag = get("etag")
    if etag and etag.startswith('"'):
        changed["ETag"] = "W/" + etag
    for name in OUTDATED:
        if get(name.lower()) is not None:
            changed[name] = None
    return changed


def with_accept_encoding(vary: str | None) -> str:
    """Return a Vary field that names Accept-Encoding, which ``*`` does already."""
    if not vary or not vary.strip():
        return "Accept-Encoding"
    names = [name.strip().lower() for name in vary.split(",")]
    return vary if "accept-encoding" in names or "*" in names else f"{vary}, Accept-Encoding"


def directives(cache_control: str) -> set[str]:
    """Return the names of a Cache-Control field's directives, in lower case. What stands in quotes counts too: to be careful."""
    return {part.partition("=")[0].strip(' \t"').lower() for part in cache_control.split(",")}


def _matches(content_type: str, patterns: tuple[str, ...]) -> bool:
    essence = content_type.partition(";")[0].strip().lower()
    return any(fnmatchcase(essence, pattern.lower()) for pattern in patterns)


_matches_kept = lru_cache(maxsize=256)(_matches)


def _is_compressible(content_type: str, patterns: tuple[str, ...]) -> bool:
    return (_matches_kept if len(content_type) <= MAX_KEPT_TYPE else _matches)(content_type, patterns)
