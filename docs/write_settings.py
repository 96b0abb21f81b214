"""Write docs/reference/settings.md from the options as they are declared: ``python docs/write_settings.py``.

A test compares the page with what this would write, so an option cannot be undocumented.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "reference" / "settings.md"

HEAD = """# Settings

All options stand in one dict, `PERFSUITE`, with a section for each app. A value comes from the dict, else from its environment
variable, else it is the default. A misspelt, mistyped or senseless option is a [system check](checks.md). Options are read
at use, so `override_settings` works for each of them in tests.

```python
PERFSUITE = {
    "QUERIES": {"SLOW_QUERY_MS": 50},
    "METRICS": {"FLUSH_INTERVAL_S": 5},
}
```
"""


def page() -> str:
    """Return the text of the page; Django must be set up."""
    from perfsuite.conf import sections

    parts = [HEAD]
    for section in sections():
        parts.append(
            f"\n## {section.section}\n\n| option | default | environment variable | |\n| --- | --- | --- | --- |\n"
        )
        for field in dataclasses.fields(section):  # type: ignore[arg-type]
            env = f"`{field.metadata['env']}`" if field.metadata["env"] else ""
            parts.append(
                f"| `{field.name.upper()}` | {_shown(_default(field))} | {env} | {field.metadata['help']} |\n"
            )
    return "".join(parts)


def _default(field: dataclasses.Field[Any]) -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return "<br>".join(f"`{item}`" for item in value) or "`()`"
    return f"`{value!r}`"


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    import django

    django.setup()
    PAGE.write_text(page(), encoding="utf-8")
