"""Small filters for numbers, names and addresses."""

from __future__ import annotations

import re

from django import template
from django.http import HttpRequest
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

BREAK_AFTER = re.compile(r"([._])(?=\w)")

register = template.Library()


@register.filter
def thousands(number: int) -> str:
    """Return `number` with separators: 12,345."""
    return f"{number:,}"


@register.filter
def breakable(name: str) -> SafeString:
    """Return the dotted `name` as HTML that may break after each dot and underscore, not within a word."""
    return mark_safe(BREAK_AFTER.sub(r"\1<wbr>", escape(name)))


@register.simple_tag
def address_of_page(request: HttpRequest, number: int) -> str:
    """Return the query of the current address with `page` set to `number`."""
    query = request.GET.copy()
    query["page"] = str(number)
    return f"?{query.urlencode()}"
