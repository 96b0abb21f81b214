"""Turns the plain text of a docstring into paragraphs and code blocks."""

from __future__ import annotations

import re
from textwrap import dedent

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

register = template.Library()

BLANK_LINES = re.compile(r"\n\s*\n")
CODE = re.compile(r"(\s|>>> |\.\.\. |[-+|=]{3,})")


@register.filter
def docstring(text: str) -> SafeString:
    """Return `text` as HTML: blocks that are indented or look like a session are code, others are paragraphs.

    Neighbouring code blocks become one, so that an example with blank lines stays in one piece.
    """
    blocks: list[tuple[bool, str]] = []
    for block in BLANK_LINES.split(text.expandtabs()):
        is_code = bool(CODE.match(block))
        if is_code and blocks and blocks[-1][0]:
            blocks[-1] = (True, f"{blocks[-1][1]}\n\n{block}")
        else:
            blocks.append((is_code, block))
    return format_html_join(
        "\n", "{}", ((_rendered(is_code, block),) for is_code, block in blocks if block.strip())
    )


def _rendered(is_code: bool, block: str) -> SafeString:
    if is_code:
        return format_html("<pre><code>{}</code></pre>", dedent(block).rstrip())
    return format_html("<p>{}</p>", block.strip())
