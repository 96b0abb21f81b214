"""``@cached``: a function whose results are kept, computed once for all who want the same, with tags that make them outdated.

The key is made of the function's name and its arguments, so a changed body still finds what the old one left: give ``key`` or
clear the cache where that matters. What depends on more than the arguments must say so by ``vary_on``.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, TypeVar

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.core.cache import caches
from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone, translation

from perfsuite.caching import classes, identity, templates
from perfsuite.caching.conf import CachingSettings
from perfsuite.caching.functions import tiered
from perfsuite.caching.tiered import TieredCache

F = TypeVar("F", bound=Callable[..., Any])
Tags = Iterable[str] | Callable[..., Iterable[str]]

MAX_NAME = 120
_MISSING = object()


def _tenant() -> Any:
    from perfsuite.tenancy import current_tenant

    return current_tenant()


# What ``vary_on`` may name: the name of the field in templates, and what returns it.
VARYING: dict[str, tuple[str, Callable[[], Any]]] = {
    "tenant": ("tenant_id", _tenant),
    "language": ("language", translation.get_language),
    "timezone": ("timezone", timezone.get_current_timezone_name),
}


def cached(
    timeout: Any = DEFAULT_TIMEOUT,
    *,
    tags: Tags = (),
    key: str | Callable[..., str] | None = None,
    vary_on: Sequence[str | Callable[[], Any]] = (),
    stale_for: float | None = None,
    tier: str | None = None,
    data_class: str | None = None,
    cache: str = "default",
) -> Callable[[F], CachedFunction[F]]:
    """Keep what a function, a coroutine function or a method returns, ``timeout`` seconds long (None: for good).

    ``tags`` and ``key`` are templates with the names of the arguments, ``"tenant:{tenant_id}"``, or callables that get them.
    ``vary_on`` names what else the result depends on: "tenant", "language", "timezone", or callables without arguments.
    ``data_class`` gives the tags and the tier of one. Below ``@classmethod`` and ``@staticmethod``, not above them.
    """
    if callable(timeout):
        raise TypeError("@cached takes its options in parentheses; write @cached() or @cached(60).")
    if isinstance(tags, (str, bytes)):
        raise TypeError(f"tags is {tags!r}; write a list of strings, such as [{tags!r}].")
    for name in vary_on:
        if not callable(name) and name not in VARYING:
            raise ImproperlyConfigured(
                f"vary_on names {name!r}; write {', '.join(map(repr, VARYING))} or a callable."
            )
    options = _Options(timeout, tags, key, tuple(vary_on), stale_for, tier, data_class, cache)

    def decorate(function: F) -> CachedFunction[F]:
        return CachedFunction(function, options)

    return decorate


class _Options:
    """The arguments of ``cached``."""

    def __init__(self, timeout: Any, tags: Tags, key: Any, vary_on: Any, *others: Any) -> None:
        self.timeout, self.key, self.vary_on = timeout, key, vary_on
        self.tags: Any = tags if callable(tags) else tuple(tags)
        self.stale_for, self.tier, self.data_class, self.cache = others

    @property
    def templates(self) -> tuple[str, ...]:
        """The templates that name arguments."""
        given = () if callable(self.tags) else self.tags
        return (*given, self.key) if isinstance(self.key, str) else given

    @property
    def supplied(self) -> set[str]:
        """The fields that ``vary_on`` adds to the arguments."""
        return {VARYING[name][0] for name in self.vary_on if not callable(name)}


class CachedFunction(Generic[F]):
    """A function whose results are kept. Called like it; ``uncached`` is the function itself."""

    __name__: str

    def __init__(self, function: F, options: _Options) -> None:
        functools.update_wrapper(self, function)
        self.uncached = function
        self._options = options
        self._signature = inspect.signature(function)
        self._name = f"{function.__module__}.{function.__qualname__}"
        self._is_async = iscoroutinefunction(function)
        if self._is_async:
            markcoroutinefunction(self)
        self._check_fields()

    def _check_fields(self) -> None:
        kinds = [each.kind for each in self._signature.parameters.values()]
        if inspect.Parameter.VAR_KEYWORD in kinds:
            return
        known = {*self._signature.parameters, *self._options.supplied}
        for template in self._options.templates:
            for path in templates.fields_of(template):
                if path.partition(".")[0] not in known:
                    raise ImproperlyConfigured(
                        f"{template!r} names {path!r}, which is no argument of {self._name}; "
                        f"known are: {', '.join(sorted(known)) or 'none'}."
                    )

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else _Method(self, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return the result that is kept, or compute it; what the function raises is raised and not kept."""
        if not CachingSettings.get().enabled:
            return self.uncached(*args, **kwargs)
        if self._is_async:
            return self._acall(args, kwargs)
        compute = functools.partial(self.uncached, *args, **kwargs)
        cache, key, options, more = self._prepared(args, kwargs)
        return cache.get_or_set(key, compute, options.timeout, **more)

    async def _acall(self, args: Any, kwargs: Any) -> Any:
        compute = functools.partial(self.uncached, *args, **kwargs)
        cache, key, options, more = self._prepared(args, kwargs)
        if isinstance(cache, TieredCache):
            return await cache.aget_or_set(key, compute, options.timeout, **more)
        # Django's own aget_or_set would store the coroutine, and before 4.0 there is none.
        found = await _in_thread(lambda: caches[options.cache].get(key, _MISSING))
        if found is _MISSING:
            found = await compute()
            await _in_thread(lambda: caches[options.cache].set(key, found, options.timeout))
        return found

    def key_for(self, *args: Any, **kwargs: Any) -> str:
        """Return the key under which the result of a call is kept."""
        return self._key(args, kwargs, self._arguments(args, kwargs))

    def tags_for(self, *args: Any, **kwargs: Any) -> tuple[str, ...]:
        """Return the tags that the result of a call carries."""
        return self._tags(args, kwargs, self._arguments(args, kwargs))

    def invalidate(self, *args: Any, **kwargs: Any) -> None:
        """Forget the result of a call. A computation under way may still store what it began with; tags refuse that."""
        caches[self._options.cache].delete(self.key_for(*args, **kwargs))

    async def ainvalidate(self, *args: Any, **kwargs: Any) -> None:
        """Do the same without blocking the event loop."""
        key = self.key_for(*args, **kwargs)
        await _in_thread(lambda: caches[self._options.cache].delete(key))

    def _prepared(self, args: Any, kwargs: Any) -> tuple[Any, str, _Options, dict[str, Any]]:
        options = self._options
        arguments = self._arguments(args, kwargs)
        key, tags = self._key(args, kwargs, arguments), self._tags(args, kwargs, arguments)
        cache: Any = caches[options.cache]
        if tags or options.stale_for is not None or options.tier is not None:
            cache = tiered(options.cache, "tags, stale_for and tier")
        if not isinstance(cache, TieredCache):
            return cache, key, options, {}
        tier = options.tier
        if tier is None and options.data_class is not None:
            tier = classes.named(options.data_class).tier
        return cache, key, options, {"tags": tags, "tier": tier, "stale_for": options.stale_for}

    def _arguments(self, args: Any, kwargs: Any) -> dict[str, Any]:
        """Return the arguments by name, with defaults and what ``vary_on`` supplies; TypeError as the call itself has it."""
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return bound.arguments

    def _fields(self, arguments: dict[str, Any]) -> templates.Lookup:
        fields = {
            VARYING[name][0]: VARYING[name][1]() for name in self._options.vary_on if not callable(name)
        }
        for name, value in arguments.items():
            if self._signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD:
                fields.update(value)
            else:
                fields[name] = value
        return templates.from_arguments(fields)

    def _key(self, args: Any, kwargs: Any, arguments: dict[str, Any]) -> str:
        options = self._options
        varied = [each() if callable(each) else VARYING[each][1]() for each in options.vary_on]
        if callable(options.key):
            key = str(options.key(*args, **kwargs))
        elif options.key is not None:
            key = self._filled(options.key, arguments)
        else:
            try:
                return f"{self._name[:MAX_NAME]}:{identity.digest([self._name, list(arguments.items()), varied])}"
            except identity.NoIdentity as exc:
                raise identity.NoIdentity(
                    f"{self._name} was called with {exc}, which has no stable identity; "
                    "write key=, a template such as 'report:{report.pk}' or a callable."
                ) from None
        return f"{key}:{identity.digest(varied)}" if varied else key

    def _tags(self, args: Any, kwargs: Any, arguments: dict[str, Any]) -> tuple[str, ...]:
        options = self._options
        if callable(options.tags):
            tags = tuple(options.tags(*args, **kwargs))
        else:
            tags = tuple([self._filled(tag, arguments) for tag in options.tags])
        if options.data_class is not None:
            tags += classes.named(options.data_class).filled(self._fields(arguments))
        return tags

    def _filled(self, template: str, arguments: dict[str, Any]) -> str:
        if "{" not in template and "}" not in template:
            return template
        try:
            return templates.fill(template, self._fields(arguments))
        except KeyError as exc:
            raise ImproperlyConfigured(
                f"{template!r} names {exc.args[0]!r}, which this call of {self._name} does not have."
            ) from None


class _Method:
    """A cached method of an object: the object is the first argument of whatever is called."""

    __slots__ = ("__self__", "_cached")

    def __init__(self, cached_function: CachedFunction[Any], instance: Any) -> None:
        self._cached = cached_function
        self.__self__ = instance

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._cached(self.__self__, *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._cached, name)
        if name in ("uncached", "key_for", "tags_for", "invalidate", "ainvalidate"):
            return functools.partial(found, self.__self__)
        return found


async def _in_thread(do: Callable[[], Any]) -> Any:
    return await sync_to_async(do, thread_sensitive=False)()
