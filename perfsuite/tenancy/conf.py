"""The options of ``PERFSUITE["TENANCY"]``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from perfsuite.conf import Section, option


@dataclass(frozen=True)
class TenancySettings(Section):
    """How the tenant of a request is found."""

    section: ClassVar[str] = "TENANCY"

    resolver: str = option(
        "",
        help="Dotted path of a function that takes the request and returns the tenant's id (a number or a string), or None "
        "for a request that belongs to no tenant. It may be async.",
    )
