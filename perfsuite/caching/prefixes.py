"""What a cache's keys begin with, for statistics. A key may name a person, so the surprising rule: what is not plainly a common
word, set off from what it is about, is ``<other>``.
"""

from __future__ import annotations

import re

OTHER = "<other>"

# Django's own keys, of which only what is written in code is kept.
_DJANGO = re.compile(
    r"(?P<view>views\.decorators\.cache\.cache_(?:page|header))\."
    r"|(?P<fragment>template\.cache\.[a-zA-Z][\w-]{0,40})\.[0-9a-f]{32}\Z"
    r"|(?P<session>django\.contrib\.sessions\.(?:cached_db|cache))[0-9a-z]{32}\Z"
)
# A namespace before a colon or a slash, or a word before a number or an id that has a digit.
_WORD = re.compile(r"(?P<word>[a-z]{2,20})(?:[:/]|[-_](?=[0-9a-f-]*[0-9])[0-9a-f-]+(?:[:/_.-]|\Z))")
_VERSION = re.compile(r":\d+:")
# Letters that are hexadecimal digits all.
_HEX = re.compile(r"[a-f]{5,}\Z")
MAX_LOOKED_AT = 250


def prefix_of(key: str) -> str:
    """Return the word that a key begins with: ``page`` of ``page:17:body`` and of ``:1:page:17``; ``<other>`` when in doubt.

    Django's own keys give what is in code: ``template.cache.sidebar``. A key that begins with whom it is about,
    such as ``alice:cart``, cannot be told from a namespace; write ``cart:alice``.
    """
    if len(key) > MAX_LOOKED_AT or "@" in key or "%40" in key:
        return OTHER
    version = _VERSION.match(key)
    if version is not None:
        key = key[version.end() :]
    if known := _DJANGO.match(key):
        return known[known.lastgroup or 0]
    found = _WORD.match(key)
    if found is None or _HEX.match(found["word"]):
        return OTHER
    return found["word"]
