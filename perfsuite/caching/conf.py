"""The options of ``PERFSUITE["CACHING"]``; those of one cache stand in ``CACHES[alias]["OPTIONS"]``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from perfsuite.conf import Section, option


@dataclass(frozen=True)
class CachingSettings(Section):
    """What is computed and kept, and which changes of the database make it outdated."""

    section: ClassVar[str] = "CACHING"

    enabled: bool = option(
        True,
        env="CACHE_ENABLED",
        help="False turns off computed values (`@cached`, `get_or_set`) and the response cache; `set` and `get` go on, "
        "since sessions, locks and throttles live there.",
    )
    data_classes: dict[str, Any] = option(
        {},
        help='Further data classes, or other ones of a known name: `{"invoice_data": {"tags": ["tenant:{tenant_id}", '
        '"invoices"], "tier": "warm"}}`.',
    )
    invalidate: dict[str, Any] = option(
        {},
        help="Which data classes or tags a change of a model makes outdated: "
        '`{"site.Page": ["page_data", "page:{id}"]}`.',
    )
    warm_urls: tuple[str, ...] = option(
        (), help='Paths that `manage.py warm_caches` asks for, such as `["/", "/pricing/"]`.'
    )
    count_aliases: bool = option(
        True, help="Whether hits and misses of all other caches in `CACHES` are counted too."
    )
