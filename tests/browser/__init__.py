"""Tests that drive a real browser against a real server."""

from __future__ import annotations
