"""What is known of one request and the answer in the making: ``request.perfsuite``."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from django.http import HttpRequest

from perfsuite.responses import identity, keys
from perfsuite.responses.config import Config
from perfsuite.responses.policy import Request

EVERYONE, TENANT, USER = "everyone", "tenant", "user"
_CONTENT_FIELDS = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}

# The exchange that this code runs for, so that invalidated tags can be told to the client.
current: ContextVar[Exchange | None] = ContextVar("perfsuite_exchange", default=None)


@dataclass(frozen=True)
class ViewOptions:
    """What ``@cache_response`` says."""

    timeout: float | None = None
    tags: tuple[str, ...] | Callable[..., Iterable[str]] = ()
    per: str = EVERYONE
    fields: tuple[str, ...] = ()  # header fields that the page depends on
    cookies: tuple[str, ...] = ()  # and cookies
    stale_for: float | None = None

    @property
    def directive(self) -> str:
        """Return what the policy is told, as a field of RFC 9213; "" if the response's own fields are to count."""
        if self.timeout is None:
            return ""
        stale = (
            ""
            if not self.stale_for
            else f", stale-while-revalidate={int(self.stale_for)}, stale-if-error={int(self.stale_for)}"
        )
        return f"max-age={int(self.timeout)}{stale}"


class RequestFields:
    """The fields of a request by their names in lower case, looked up in ``META`` when asked for."""

    __slots__ = ("meta",)

    def __init__(self, meta: dict[str, Any]) -> None:
        self.meta = meta

    def get(self, name: str, default: Any = None) -> Any:
        """Return a field, or ``default``."""
        found = self.meta.get(_CONTENT_FIELDS.get(name) or "HTTP_" + name.upper().replace("-", "_"))
        return default if found is None else found

    def __getitem__(self, name: str) -> str:
        found = self.get(name)
        if found is None:
            raise KeyError(name)
        return str(found)

    def __contains__(self, name: object) -> bool:
        return self.get(str(name)) is not None


class Bystander:
    """What ``request.perfsuite`` is where the cache has no part in the request, so that a view may add its tags all the same."""

    def __init__(self, tags: set[str] | None = None) -> None:
        self.tags: set[str] = set() if tags is None else tags


class Exchange:
    """A request on its way to its view. Hosts add to ``tags``, a set: what is in it in the end, the page carries."""

    __slots__ = (
        "answered", "asked_at", "config", "cookies", "failure", "forwarded", "host", "invalidated", "key", "language", "mark",
        "never", "options", "outcome", "path", "query", "reason", "refreshing", "request", "response", "scheme",
        "seconds", "shared", "store", "tags", "tenant", "user", "user_key", "varies",
    )  # fmt: skip

    def __init__(self, request: HttpRequest, config: Config) -> None:
        self.request = request
        self.config = config
        self.tags: set[str] = set()
        self.options: ViewOptions | None = None
        self.never = False
        self.answered = False  # by the hook inside the other middlewares
        self.refreshing = False  # nobody waits for the answer
        self.shared = False  # the answer is stored, and fresh, for others who wait
        self.varies = False  # there are variants of what it asks for
        self.invalidated: dict[str, None] = {}
        self.outcome = self.reason = ""
        self.forwarded = (
            ""  # what was wrong with the page that is stored, as Cache-Status says it: "stale" or "request"
        )
        self.seconds = 0.0
        self.user: tuple[str, str, str, str] | None = None
        self.user_key = ""
        self.response: Any = None  # the view's
        self.failure: BaseException | None = None  # the view's

    def place(self, key: str, parts: tuple[str, str, str, str], tenant: Any, language: str | None) -> None:
        """Say what is asked for, and for whom."""
        self.key = key
        self.scheme, self.host, self.path, self.query = parts
        self.tenant, self.language = tenant, language

    def begin(self, store: Any) -> None:
        """Note the instant before anything is made, and watch what the view looks at."""
        self.store = store
        self.asked_at = time.time()
        self.mark = store.mark()
        self.cookies = identity.watch_cookies(self.request, self.config.own_cookies)
        self.request.perfsuite = self  # type: ignore[attr-defined]

    def end(self) -> None:
        """Let go of the request. The two hold each other, and what does is freed by the garbage collector alone, which costs a
        request without a page a third of its time here.
        """
        self.request.perfsuite = Bystander(self.tags)  # type: ignore[attr-defined]

    @property
    def missed(self) -> str:
        """Why the request was not answered with what is stored, as Cache-Status says it (RFC 9211 2.2)."""
        return self.forwarded or ("vary-miss" if self.varies else "uri-miss")

    def key_for_user(self) -> str:
        """Return the key of the page for the user who is logged in."""
        pk, backend, password, session = self.user or ("", "", "", "")
        whose = keys.partition(
            tenant=self.tenant,
            language=self.language,
            user=pk,
            backend=backend,
            password=password,
            session=session,
        )
        return keys.page_key(self.scheme, self.host, self.path, self.query, whose)

    @property
    def uri(self) -> str:
        """The absolute URI of the request."""
        query = f"?{self.request.META.get('QUERY_STRING')}" if self.request.META.get("QUERY_STRING") else ""
        return f"{self.scheme}://{self.host}{quote(self.path, safe='/:@!$&()*+,;=~', errors='surrogateescape')}{query}"

    @property
    def uri_tag(self) -> str:
        """The tag by which all that is stored for the URI is dropped."""
        return keys.uri_tag(self.scheme, self.host, self.path, self.query)

    def as_policy_sees_it(self) -> Request:
        """Return the request for the policy; its URI only where the policy asks for it."""
        return Request(self.request.method or "", "", RequestFields(self.request.META))  # type: ignore[arg-type]
