"""Compress a body while it is made, chunk by chunk.

What the client has received can be read by it: each chunk is flushed, so that a server-sent event is out before the next one is
made. Only a file's chunks, which come of themselves, are not. A body that breaks stays broken: it gets no end that would make
it look whole.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any

from perfsuite.responses.aside import aside
from perfsuite.responses.codings import Stream

# Called once with the bytes before and after, however the body ends.
Done = Callable[[int, int], None]


def compressed(chunks: Iterable[bytes], stream: Stream, flush: bool, done: Done) -> Iterator[bytes]:
    """Yield the chunks compressed."""
    before = after = 0
    try:
        for chunk in chunks:
            if not chunk:
                continue
            before += len(chunk)
            made = stream.feed(chunk, flush)
            if made:
                after += len(made)
                yield made
        made = stream.finish()
        after += len(made)
        yield made
    finally:
        done(before, after)


async def async_compressed(
    chunks: AsyncIterator[bytes], stream: Stream, flush: bool, done: Done, aside_bytes: int
) -> AsyncIterator[bytes]:
    """Do the same with an async body; chunks of ``aside_bytes`` or more are compressed in a thread."""
    before = after = 0
    try:
        async for chunk in chunks:
            if not chunk:
                continue
            before += len(chunk)
            if len(chunk) >= aside_bytes:
                made = await aside(stream.feed, chunk, flush)
            else:
                made = stream.feed(chunk, flush)
            if made:
                after += len(made)
                yield made
        made = stream.finish()
        after += len(made)
        yield made
    finally:
        done(before, after)
        close: Any = getattr(chunks, "aclose", None)
        if close is not None:
            await close()
