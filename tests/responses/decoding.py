"""Decoders that read what has come so far, as a browser does."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable
from importlib import import_module
from typing import Any

import brotli
import zstandard

standard_zstd: Any = import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")


def decoder_of(coding: str) -> Callable[[bytes], bytes]:
    """Return a function that takes the next bytes of a body and returns what can be read of it now."""
    if coding == "gzip":
        return zlib.decompressobj(31).decompress
    if coding == "br":
        return brotli.Decompressor().process  # type: ignore[no-any-return]
    decompressor = zstandard.ZstdDecompressor().decompressobj()
    return lambda data: decompressor.decompress(data) if data else b""


def decoded(coding: str, body: bytes) -> bytes:
    """Return a whole body as it was; it must be whole."""
    if coding in ("", "identity"):
        return body
    if coding == "zstd":
        return standard_zstd.decompress(body)  # type: ignore[no-any-return]
    if coding == "br":
        return brotli.decompress(body)  # type: ignore[no-any-return]
    decompressor = zlib.decompressobj(31)
    plain = decompressor.decompress(body)
    assert decompressor.eof
    assert decompressor.unused_data == b""
    return plain
