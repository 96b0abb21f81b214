"""A plan's tree in the order in which a template writes it as nested lists. Pure.

A template that includes itself for each level would need more of Python's stack than a deep plan leaves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from perfsuite.panel.pages.words import count


@dataclass(frozen=True)
class Step:
    """One node: ``opens`` a list of its children, or closes itself and as many lists above it as ``closes`` has."""

    text: str
    detail: str
    figures: str
    is_costly: bool
    opens: bool
    closes: range


def steps(root: Mapping[str, Any]) -> list[Step]:
    """Return the nodes of a tree as ``Node.as_json`` gives it."""
    made: list[Step] = []
    # Each node with the number of lists that end behind it if it has no children.
    waiting: list[tuple[Mapping[str, Any], int]] = [(root, 0)]
    while waiting:
        node, ends = waiting.pop()
        children = list(node.get("children") or ())
        figures = [f"{name} {count(node[name])}" for name in ("cost", "rows") if node.get(name) is not None]
        made.append(
            Step(
                str(node.get("text", "")),
                str(node.get("detail", "")),
                ", ".join(figures),
                bool(node.get("is_costly")),
                opens=bool(children),
                closes=range(0 if children else ends),
            )
        )
        last = len(children) - 1
        waiting += [(child, ends + 1 if n == last else 0) for n, child in reversed(list(enumerate(children)))]
    return made
