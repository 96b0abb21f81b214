"""The tenant guard: says which statements reach the rows of tenants without saying of which.

``schema``, ``tokens``, ``facts``, ``levels``, ``conditions``, ``froms`` and ``reading`` understand SQL, ``documents`` understands
MongoDB's filters and pipelines; all of them are pure. ``declared`` and ``state`` are what the host says, ``hands`` what Django
does by itself, ``guard``, ``collection`` and ``listening`` where statements come by, and ``reports`` what becomes of them.
"""

from __future__ import annotations

from perfsuite.queries.tenant_guard.install import follow_settings, install, uninstall

__all__ = ["follow_settings", "install", "uninstall"]
