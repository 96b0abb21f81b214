"""Tests of perfsuite.panel."""

from __future__ import annotations
