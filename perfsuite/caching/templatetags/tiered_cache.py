"""``{% tieredcache %}``: a part of a page that is kept, with tags, and rendered once for all who want it.

Unlike Django's ``{% cache %}`` it needs a ``TieredCache``, and 1 and "1" among what it varies on are two.
"""

from __future__ import annotations

from typing import Any

from django import template
from django.template.base import FilterExpression, Parser, Token, token_kwargs
from django.utils.safestring import SafeString

from perfsuite.caching import classes, identity
from perfsuite.caching.functions import tiered

register = template.Library()
KNOWN = ("tags", "cache", "stale_for", "data_class")
USAGE = '{% tieredcache 600 "name" vary... tags="pages" data_class="page_data" tenant_id=tenant.pk %}'


class TieredCacheNode(template.Node):
    """The block: its time, its name, what it varies on, and its options; other keywords are fields of the data class."""

    def __init__(
        self, nodelist: Any, positional: list[FilterExpression], keywords: dict[str, FilterExpression]
    ) -> None:
        self.nodelist = nodelist
        self.timeout, self.name, *self.vary_on = positional
        self.keywords = keywords

    def render(self, context: Any) -> str:
        """Return what is kept, or render the block."""
        given = {name: value.resolve(context) for name, value in self.keywords.items()}
        tags, alias = _tags(given.pop("tags", ())), given.pop("cache", None) or "default"
        stale_for, class_name, tier = given.pop("stale_for", None), given.pop("data_class", None), None
        if class_name:
            found = classes.data_class(class_name, **given)
            tags, tier = (*tags, *found["tags"]), found["tier"]
        name = str(self.name.resolve(context))
        vary_on = [each.resolve(context) for each in self.vary_on]
        text = tiered(alias, "fragments").get_or_set(
            f"fragment:{identity.digest([name, vary_on, given])}",
            # A plain string is kept as it is, without pickle.
            lambda: "".join([self.nodelist.render(context)]),
            self.timeout.resolve(context),
            tags=tags,
            tier=tier,
            stale_for=stale_for,
        )
        return SafeString(text)  # the block has escaped it


def _tags(given: Any) -> tuple[str, ...]:
    return tuple(given.replace(",", " ").split()) if isinstance(given, str) else tuple(given)


@register.tag
def tieredcache(parser: Parser, token: Token) -> TieredCacheNode:
    """Parse the tag: a time in seconds (None: for good), a name, what it varies on, and options by keyword."""
    nodelist = parser.parse(("endtieredcache",))
    parser.delete_first_token()
    bits = token.split_contents()[1:]
    positional: list[FilterExpression] = []
    while bits and "=" not in bits[0].split('"')[0].split("'")[0]:
        positional.append(parser.compile_filter(bits.pop(0)))
    keywords = token_kwargs(bits, parser)
    if len(positional) < 2 or bits:
        raise template.TemplateSyntaxError(f"tieredcache wants a time and a name; write {USAGE}.")
    if "data_class" not in keywords:
        for name in keywords:
            if name not in KNOWN:
                raise template.TemplateSyntaxError(f"tieredcache has no option {name!r}; write {USAGE}.")
    return TieredCacheNode(nodelist, positional, keywords)
