"""The options of ``PERFSUITE["RESPONSES"]``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from perfsuite.conf import Section, option


@dataclass(frozen=True)
class ResponsesSettings(Section):
    """What is kept of responses, for how long, what is said of it, and how they are compressed."""

    section: ClassVar[str] = "RESPONSES"

    # The response cache.
    cache_enabled: bool = option(
        True, env="CACHE_ENABLED", help="False turns the response cache off; each request runs its view."
    )
    alias: str = option("default", help="The cache in `CACHES` that keeps responses.")
    default_timeout_s: int = option(
        0,
        minimum=0,
        help="Seconds that a 200 is fresh which says nothing about it; 0: only what says so is kept.",
    )
    query: str = option(
        "as-is",
        help="Which query strings are the same page: 'as-is', 'sorted' (the order does not matter), or 'allowed' (only the "
        "parameters of QUERY_ALLOWED count, in any order).",
    )
    query_allowed: tuple[str, ...] = option((), help="The parameters that count where QUERY is 'allowed'.")
    max_body_bytes: int = option(
        1_048_576, minimum=1, help="Bytes of a body above which a response is not kept."
    )
    max_variants: int = option(16, minimum=1, maximum=1_000, help="Variants (`Vary`) that one URL may have.")
    max_vary_names: int = option(
        32, minimum=1, maximum=1_000, help="Fields in `Vary` above which a response is not kept."
    )
    keep_stale_s: int = option(
        3_600, minimum=0, help="Seconds that a stale response is kept which can be validated."
    )
    heuristic_fraction: float = option(
        0.0,
        minimum=0,
        maximum=1,
        help="Share of the time since Last-Modified that a response is fresh which states no lifetime (RFC 9111 4.2.2).",
    )
    heuristic_max_s: int = option(86_400, minimum=0, help="The most that comes to, in seconds.")
    heuristic_default_s: int = option(
        0, minimum=0, help="Seconds that such a response is fresh which has no Last-Modified either."
    )
    stale_while_revalidate_s: int = option(
        0, minimum=0, help="Seconds that a stale response is served while it is refreshed, if it names none."
    )
    stale_if_error_s: int = option(
        0, minimum=0, help="Seconds that a stale response is served where the view fails, if it names none."
    )
    s_maxage_forbids_stale: bool = option(
        True,
        help="Whether s-maxage forbids stale responses, as RFC 9111 5.2.2.10 says; many CDNs let stale-while-revalidate win.",
    )
    obey_requests: bool = option(
        True,
        help="Whether a request's no-cache, max-age, min-fresh and Pragma are obeyed, such as those of a browser's reload.",
    )
    accept_stale: bool = option(
        True,
        help="Whether a request's max-stale and stale-if-error are obeyed, which ask for stale responses.",
    )
    targeted: tuple[str, ...] = option(
        ("CDN-Cache-Control",), help="The fields of RFC 9213 that speak to this cache, the first one counts."
    )
    public_cookies: tuple[str, ...] = option(
        (),
        help="Cookies that may be read without the page depending on them; reading any other keeps a page from being stored "
        "for everyone.",
    )
    wait_s: float = option(
        5.0, minimum=0, help="Seconds that a request waits for an identical one; then it runs its view."
    )
    lock_s: float = option(
        3.0,
        minimum=1,
        help="Seconds after which another process may make the page that one is making, which may have died. Less than WAIT_S, "
        "so that those who wait take over.",
    )
    hit_for_miss_s: float = option(
        10.0,
        minimum=0,
        help="Seconds that requests do not wait for each other after an answer nobody else could use.",
    )
    etags: bool = option(True, help="Whether a response that is kept gets an ETag if it has none.")
    headers: bool = option(True, help="Whether Cache-Status and Server-Timing say how the response was made.")
    name: str = option("perfsuite", help="The name of this cache in Cache-Status.")
    tag_headers: tuple[str, ...] = option(
        (), help="Fields that carry a response's tags to a CDN: 'Surrogate-Key', 'Cache-Tag'."
    )
    invalidate_header: bool = option(
        True,
        help="Whether the answer to a POST, PUT, PATCH or DELETE names the tags that it invalidated in X-Perfsuite-Invalidate.",
    )
    # Compression.
    compression_enabled: bool = option(
        True,
        env="COMPRESSION_ENABLED",
        help="False turns CompressionMiddleware off; every body is sent as it is.",
    )
    codings: tuple[str, ...] = option(
        ("zstd", "br", "gzip"),
        help="Content codings, the one to prefer first among those that a client likes equally. One whose package is not "
        "installed is left out.",
    )
    compress_types: tuple[str, ...] = option(
        (
            "text/*",
            "*/json",
            "*/*+json",
            "*/xml",
            "*/*+xml",
            "*/javascript",
            "application/x-javascript",
            "application/x-ndjson",
            "application/wasm",
            "application/vnd.ms-fontobject",
            "font/otf",
            "font/ttf",
            "image/bmp",
            "image/x-icon",
        ),
        help="Content types that are compressed; `*` stands for anything.",
    )
    compress_min_bytes: int = option(
        500, minimum=0, help="Bytes below which a body is sent as it is: it fits into a packet anyway."
    )
    zstd_level: int = option(3, minimum=1, maximum=9, help="Level of zstd for bodies of up to 256 KiB.")
    br_level: int = option(4, minimum=0, maximum=6, help="Quality of br for bodies of up to 256 KiB.")
    gzip_level: int = option(
        6,
        minimum=1,
        maximum=9,
        help="Level of gzip for bodies of up to 256 KiB. Larger ones get level 1 of each.",
    )
    padding_bytes: int = option(
        100,
        minimum=0,
        maximum=256,
        help="Up to how many random bytes a body that may hold secrets gets, against BREACH; 0: none.",
    )
    compress_aside_bytes: int = option(
        65_536,
        minimum=0,
        help="Bytes from which on a body is compressed in a thread under ASGI, off the event loop.",
    )
