"""The exceptions of perfsuite.

    PerfsuiteError
    ├── MissingExtra        an optional package was asked for by name and is not installed (also an ImportError)
    └── StoreUnavailable    the metrics store cannot be read or written right now

A wrong configuration is Django's own ``ImproperlyConfigured``.
"""

from __future__ import annotations


class PerfsuiteError(Exception):
    """The root of what perfsuite raises itself."""


class MissingExtra(PerfsuiteError, ImportError):
    """An optional package is not installed; the message holds the ``pip install`` line."""


class StoreUnavailable(PerfsuiteError):
    """The metrics store cannot be reached; the message says in one sentence what is wrong and what to do."""
