"""The fixtures of this folder: the plugin's own, and what is recorded."""

from __future__ import annotations

from perfsuite.testing.plugin import assert_no_repeats, assert_tenant_scoped, query_budget
from tests.recorded import recorded

__all__ = ["assert_no_repeats", "assert_tenant_scoped", "query_budget", "recorded"]
