"""What real servers answered, each file named after its server and version."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def answers(name: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the answers of a file by what was asked and how."""
    read = json.loads((Path(__file__).parent / f"{name}.json").read_text(encoding="utf-8"))
    return {(each["name"], each["how"]): each for each in read}
