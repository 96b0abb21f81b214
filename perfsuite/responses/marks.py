"""What a view says of the compression of its response: an attribute of the response, or a decorator that sets it.

``response.perfsuite_compress = False`` sends a response as it is; ``True`` has a file compressed that the server would otherwise
send by itself. Whoever has negotiated the coding of a response already marks it with False, too.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Final, TypeVar, cast

from asgiref.sync import iscoroutinefunction
from django.http.response import HttpResponseBase

ATTRIBUTE: Final = "perfsuite_compress"

View = TypeVar("View", bound=Callable[..., Any])


def never_compress_response(view: View) -> View:
    """Send what a view returns as it is: a page that holds a secret beside what strangers can put into it, above all."""
    return _marked(view, compress=False)


def compress_response(view: View) -> View:
    """Compress the files that a view returns, too, which the server could otherwise send by itself."""
    return _marked(view, compress=True)


def mark(response: HttpResponseBase, compress: bool) -> None:
    """Say whether to compress a response, unless its view has said so."""
    response.__dict__.setdefault(ATTRIBUTE, compress)


def marked(response: HttpResponseBase) -> bool | None:
    """Return what was said of a response; None: nothing."""
    return cast("bool | None", response.__dict__.get(ATTRIBUTE))


def _marked(view: View, compress: bool) -> View:
    if iscoroutinefunction(view):

        @wraps(view)
        async def async_view(*args: Any, **kwargs: Any) -> Any:
            response = await view(*args, **kwargs)
            mark(response, compress)
            return response

        return cast(View, async_view)

    @wraps(view)
    def sync_view(*args: Any, **kwargs: Any) -> Any:
        response = view(*args, **kwargs)
        mark(response, compress)
        return response

    return cast(View, sync_view)
