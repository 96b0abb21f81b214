"""Shows what the suite measures: one page in the Django admin and at a URL of the host's choice."""

from __future__ import annotations

default_app_config = "perfsuite.panel.apps.PanelConfig"
