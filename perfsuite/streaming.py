"""Follow a streaming response to its last byte.

A middleware has returned long before a streaming body runs, so what it had put into a ContextVar is gone then.
``follow`` puts the value back around every chunk and tells when the body has ended, whichever way it ends. The
value is set and put back rather than reset by token, because a server may run the chunks in another context.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import ContextVar
from typing import Any, Generic, TypeVar

from django.http import StreamingHttpResponse
from django.http.response import HttpResponseBase

T = TypeVar("T")
Done = Callable[[int, BaseException | None], None]


def follow(response: HttpResponseBase, variable: ContextVar[T], value: T, done: Done | None = None) -> None:
    """Run each chunk of a streaming ``response`` with ``variable`` set to ``value``.

    ``done(sent_bytes, failure)`` is called once: after the last chunk, after an error, or when the server closes the
    response. ``failure`` is what the body raised, a ``GeneratorExit`` where the client left in the middle, else None.
    The body of a FileResponse that the server may send by itself (``wsgi.file_wrapper``) is left alone: only its end is
    seen, and ``sent_bytes`` is its Content-Length.
    """
    end = _Once(done)
    if getattr(response, "file_to_stream", None) is not None:
        end.sent, end.whole = _content_length(response), True
        _call_on_close(response, end)
    elif isinstance(response, StreamingHttpResponse):
        if getattr(response, "is_async", False):
            chunks: Any = _async_chunks(response.streaming_content, variable, value, end)  # type: ignore[arg-type]
        else:
            chunks = _Chunks(iter(response.streaming_content), variable, value, end)  # type: ignore[arg-type]
        response.streaming_content = chunks
        _call_on_close(response, end)


def _content_length(response: HttpResponseBase) -> int:
    text = str(response.get("Content-Length", ""))
    return int(text) if text.isascii() and text.isdigit() else 0


def _call_on_close(response: HttpResponseBase, end: _Once) -> None:
    close = response.close

    def close_and_end() -> None:
        try:
            close()
        finally:
            end(GeneratorExit() if end.sent and not end.whole else None)

    response.close = close_and_end  # type: ignore[method-assign]


class _Once:
    """Calls ``done`` with the bytes sent and what went wrong, the first time only."""

    def __init__(self, done: Done | None) -> None:
        self.sent = 0
        self.whole = False
        self._done = done

    def __call__(self, failure: BaseException | None = None) -> None:
        done, self._done = self._done, None
        if done is not None:
            done(self.sent, failure)


class _Chunks(Generic[T]):
    def __init__(self, chunks: Iterator[bytes], variable: ContextVar[T], value: T, end: _Once) -> None:
        self._chunks, self._variable, self._value, self._end = chunks, variable, value, end

    def __iter__(self) -> _Chunks[T]:
        return self

    def __next__(self) -> bytes:
        previous = self._variable.get(None)
        self._variable.set(self._value)
        try:
            chunk = next(self._chunks)
            self._end.sent += len(chunk)
            return chunk
        except StopIteration:
            self._end()
            raise
        except BaseException as exc:
            self._end(exc)
            raise
        finally:
            self._variable.set(previous)  # type: ignore[arg-type]


async def _async_chunks(
    chunks: AsyncIterator[bytes], variable: ContextVar[T], value: T, end: _Once
) -> AsyncIterator[bytes]:
    """Do the same for an async body; a generator, because the event loop ends even one that a server merely drops."""
    try:
        while True:
            previous = variable.get(None)
            variable.set(value)
            try:
                chunk = await chunks.__anext__()
            except StopAsyncIteration:
                end()
                return
            except BaseException as exc:
                end(exc)
                raise
            finally:
                variable.set(previous)  # type: ignore[arg-type]
            end.sent += len(chunk)
            yield chunk
    except BaseException as exc:
        end(exc)
        raise
