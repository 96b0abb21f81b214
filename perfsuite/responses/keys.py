"""Keys: of a page (what is asked for, and for whom), of a variant of it, and of the tag that stands for its URI.

Parts are never joined without their lengths, so no two different requests share a key. A query string that is too long to be
looked into counts as it is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import lru_cache
from hashlib import blake2b
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

# So many URIs share a tag on average where a site has many more than that; few enough for the tables of tags.
URI_TAGS = 16_384
MAX_QUERY_CHARS = 8_192
MAX_PARAMETERS = 200
AS_IS, SORTED, ALLOWED = "as-is", "sorted", "allowed"
INTERNAL = "perfsuite:"
_PORTS = {"http": ":80", "https": ":443"}


# Hot path: benchmarks/responses.py
def page_key(scheme: str, host: str, path: str, query: str, partition: str = "") -> str:
    """Return the key of what is asked for; ``partition`` says for whom, made by ``partition``."""
    text = f"{len(scheme)}:{scheme}{len(host)}:{host}{len(path)}:{path}{len(query)}:{query}{len(partition)}:{partition}"
    return "response:" + blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def partition(**parts: object) -> str:
    """Return what tells apart for whom a page is; a number and its digits are two, and None is nobody."""
    made = []
    for name, value in parts.items():
        if value is not None:
            text = f"{type(value).__name__}:{value}"
            made.append(f"{name}{len(text)}:{text}")
    return "".join(made)


_kept = lru_cache(maxsize=1_024)(page_key)
MAX_KEPT_CHARS = 500


def page_key_again(scheme: str, host: str, path: str, query: str, partition: str = "") -> str:
    """Return ``page_key``, at once for what was asked for lately."""
    made = _kept if len(path) + len(query) + len(partition) <= MAX_KEPT_CHARS else page_key
    return made(scheme, host, path, query, partition)


def variant_key(page: str, varying: Iterable[tuple[str, str | None]]) -> str:
    """Return the key of a variant: of a page and the normalised fields it depends on. An absent field is not an empty one."""
    parts = [page]
    for name, value in varying:
        parts.append(f"{len(name)}:{name}-" if value is None else f"{len(name)}:{name}{len(value)}:{value}")
    text = "".join(parts)
    return "response:" + blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def canonical_query(query: str, rule: str, allowed: Collection[str] = ()) -> str:
    """Return a query string as it counts under a rule: ``as-is``, ``sorted`` or ``allowed``."""
    if not query or rule not in (SORTED, ALLOWED) or len(query) > MAX_QUERY_CHARS:
        return query
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
    except ValueError:
        return query
    if rule == ALLOWED:
        pairs = [pair for pair in pairs if pair[0] in allowed]
    return urlencode(sorted(pairs, key=lambda pair: pair[0]))  # the order of equal names may mean something


def uri_tag(scheme: str, host: str, path: str, query: str) -> str:
    """Return the tag that all variants of a URI carry, for whomever they are, with the default port or without it.

    Now and then two URIs share one.
    """
    if host.endswith(_PORTS.get(scheme, "/")):
        host = host[: host.rindex(":")]
    text = f"{len(scheme)}:{scheme}{len(host)}:{host}{len(path)}:{path}{query}"
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return f"{INTERNAL}uri:{int.from_bytes(digest, 'big') % URI_TAGS}"


def tag_of_uri(uri: str, rule: str = AS_IS, allowed: Collection[str] = ()) -> str | None:
    """Return the tag of an absolute URI, None for what is none."""
    try:
        parts = urlsplit(uri)
        host = parts.netloc.rpartition("@")[2].lower()
    except ValueError:
        return None
    if not parts.scheme or not host:
        return None
    path = unquote(parts.path or "/", errors="surrogateescape")
    return uri_tag(parts.scheme.lower(), host, path, canonical_query(parts.query, rule, allowed))
