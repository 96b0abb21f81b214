"""Declares indexes once and sets them up on every database. Importing this package needs no apps to be loaded."""

from __future__ import annotations

from perfsuite.indexes.errors import DatabaseRefused, DeclarationError
from perfsuite.indexes.registry import Table, register
from perfsuite.indexes.spec import Index

default_app_config = "perfsuite.indexes.apps.IndexesConfig"

__all__ = ["DatabaseRefused", "DeclarationError", "Index", "Table", "register"]
