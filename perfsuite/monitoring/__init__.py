"""Times requests and named operations."""

from __future__ import annotations

from perfsuite.monitoring.middleware import RequestMetricsMiddleware
from perfsuite.monitoring.operations import monitor_performance

default_app_config = "perfsuite.monitoring.apps.MonitoringConfig"

__all__ = ["RequestMetricsMiddleware", "monitor_performance"]
