"""The reference pages say what the code says."""

from __future__ import annotations

import re
from pathlib import Path

from docs import write_settings
from perfsuite.metrics import kinds

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"


def test_the_settings_page_is_what_the_options_say() -> None:
    assert write_settings.PAGE.read_text(encoding="utf-8") == write_settings.page(), (
        "type: python docs/write_settings.py"
    )


def test_each_kind_that_is_recorded_is_explained() -> None:
    explained = set(
        re.findall(r"`([a-z_.]+)`", (DOCS / "reference" / "metrics.md").read_text(encoding="utf-8"))
    )
    recorded = {name for name in kinds._kinds if not name.startswith("test")}  # other tests declare some
    assert recorded
    assert recorded <= explained


def test_each_system_check_is_in_the_reference_and_no_other() -> None:
    raised = set()
    for source in (ROOT / "perfsuite").rglob("*.py"):
        raised |= set(re.findall(r'id="(perfsuite\w*\.[EW]\d{3})"', source.read_text(encoding="utf-8")))
    raised |= {"perfsuite.E001", "perfsuite.E002", "perfsuite.E003"}
    written = set(
        re.findall(r"^\| `(perfsuite\w*\.[EW]\d{3})`", (DOCS / "reference" / "checks.md").read_text(), re.M)
    )
    assert raised == written
