"""The settings of a site in development, with the toolbar."""

from __future__ import annotations

PANEL = "perfsuite.queries.toolbar.PerfsuitePanel"
SETTINGS = {
    "ROOT_URLCONF": "tests.queries.toolbar_host",
    "STATIC_URL": "/static/",
    "DEBUG_TOOLBAR_PANELS": ["debug_toolbar.panels.history.HistoryPanel", PANEL],
    "DEBUG_TOOLBAR_CONFIG": {
        "SHOW_TOOLBAR_CALLBACK": "tests.queries.toolbar_host.always",
        "RENDER_PANELS": True,
    },
    "MIDDLEWARE": [
        "perfsuite.monitoring.RequestMetricsMiddleware",
        "debug_toolbar.middleware.DebugToolbarMiddleware",
    ],
}
