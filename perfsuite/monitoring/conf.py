"""The options of ``PERFSUITE["MONITORING"]``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from perfsuite.conf import Section, option


@dataclass(frozen=True)
class MonitoringSettings(Section):
    """How requests are measured."""

    section: ClassVar[str] = "MONITORING"

    server_timing: bool = option(
        True,
        help="Whether responses carry Server-Timing: to everyone with DEBUG on, else only to a staff user whom the view has "
        "loaded itself.",
    )
