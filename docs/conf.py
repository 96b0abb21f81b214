"""Sphinx's configuration. Pages are Markdown (MyST); references to Python names are checked (``-n``)."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import django

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

import perfsuite

django.setup()

project = "django-perfsuite"
author = "The django-perfsuite authors"
copyright = f"2026, {author}"
version = release = perfsuite.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3

nitpicky = True
# Names of other projects, and type variables, for which there is no page to link to.
nitpick_ignore_regex = [
    (r"py:.*", r"(django|asgiref|collections|datetime|logging|pathlib|typing|types)\..*"),
    (r"py:.*", r"(str|int|float|bool|bytes|dict|list|tuple|set|frozenset|object|type|None|T|S|P|R)"),
    (
        r"py:.*",
        r"(Callable|Iterable|Iterator|Mapping|Sequence|Any|HttpRequest|HttpResponse|HttpResponseBase)",
    ),
]
autodoc_typehints = "description"
autodoc_member_order = "bysource"
add_module_names = False

html_theme = "furo"
html_title = f"django-perfsuite {release}"
html_static_path: list[str] = []
html_copy_source = False
# The site is read offline as well: no fonts or scripts from elsewhere.
html_show_sphinx = False
