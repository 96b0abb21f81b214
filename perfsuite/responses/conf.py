"""The options of ``PERFSUITE["RESPONSES"]``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from perfsuite.conf import Section, option


@dataclass(frozen=True)
class ResponsesSettings(Section):
    """How responses are compressed."""

    section: ClassVar[str] = "RESPONSES"

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
