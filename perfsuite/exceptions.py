"""The exceptions of perfsuite.

    PerfsuiteError
    ├── MissingExtra        an optional package was asked for by name and is not installed (also an ImportError)
    ├── StoreUnavailable    the metrics store cannot be read or written right now
    └── UnscopedStatement   a statement would have reached a tenant's table without its tenant, and was not run

A wrong configuration is Django's own ``ImproperlyConfigured``.
"""

from __future__ import annotations


class PerfsuiteError(Exception):
    """The root of what perfsuite raises itself."""


class MissingExtra(PerfsuiteError, ImportError):
    """An optional package is not installed; the message holds the ``pip install`` line."""


class StoreUnavailable(PerfsuiteError):
    """The metrics store cannot be reached; the message says in one sentence what is wrong and what to do."""


class UnscopedStatement(PerfsuiteError):
    """A statement that reaches a tenant's table without its tenant was not run; the message says in one sentence where.

    ``table`` and ``column`` are what it lacks, ``site`` is the line that ran it, ``app/views.py:42 in listing``, or "".
    """

    def __init__(self, message: str, *, table: str = "", column: str = "", site: str = "") -> None:
        super().__init__(message)
        self.table = table
        self.column = column
        self.site = site
