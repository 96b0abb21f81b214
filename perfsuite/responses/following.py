"""What drops pages in any process: tags that are invalidated, and what changes for users.

A process that answers nothing loads the rest of the app when there is something to drop.
"""

from __future__ import annotations

from typing import Any

from perfsuite.caching.functions import tags_invalidated
from perfsuite.responses import users

_UID = "perfsuite.responses"


def connect() -> None:
    """Follow both. Idempotent."""
    tags_invalidated.connect(_on_invalidated, dispatch_uid=_UID)
    users.connect()


def _on_invalidated(*, tags: tuple[str, ...], **kwargs: Any) -> None:
    from perfsuite.responses import tagging

    tagging.drop_pages(tags)
