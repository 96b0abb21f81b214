"""Optional packages, imported where they are first needed and never at module level.

What was asked for by name and is missing raises; what is used only if present asks ``available``.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from perfsuite.exceptions import MissingExtra


def require(module: str, extra: str) -> ModuleType:
    """Import ``module`` or raise ``MissingExtra`` with the line that installs it.

    An import error inside an installed package is not hidden: only the absence of ``module`` itself is.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as exc:
        if exc.name != module.partition(".")[0]:
            raise
        raise MissingExtra(
            f"{module!r} is not installed; type: pip install 'django-perfsuite[{extra}]'"
        ) from exc


def available(module: str) -> bool:
    """Tell whether ``module`` could be imported, without importing it."""
    return find_spec(module.partition(".")[0]) is not None
