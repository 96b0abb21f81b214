"""The committed browser code is what its sources make, told without Node: each file carries the sum of its sources."""

from __future__ import annotations

import gzip
import hashlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FRONTEND = ROOT / "frontend"
BUILT = ROOT / "perfsuite" / "panel" / "static" / "perfsuite_panel"
MAX_JS_BYTES = 35 * 1024


def digest_of(folder: str) -> str:
    """Compute the sum as frontend/build.mjs does."""
    own = [f"{folder}/{path.name}" for path in sorted((FRONTEND / folder).iterdir())]
    digest = hashlib.sha256()
    for name in ["build.mjs", "package-lock.json", "tsconfig.json", *own]:
        digest.update(f"{name}\n".encode())
        digest.update((FRONTEND / name).read_bytes())
    return digest.hexdigest()


@pytest.mark.parametrize("name", ["dashboard.js", "dashboard.css"])
def test_the_committed_output_belongs_to_the_sources(name: str) -> None:
    found = re.search(r"sources-sha256: ([0-9a-f]{64})", (BUILT / name).read_text(encoding="utf-8")[:500])
    assert found, f"{name} has no sum; type: npm ci && npm run build in frontend/"
    assert found[1] == digest_of("dashboard"), (
        f"{name} is not built from these sources; type: npm ci && npm run build in frontend/"
    )


def test_the_script_is_small_and_needs_no_eval() -> None:
    script = (BUILT / "dashboard.js").read_bytes()
    assert len(gzip.compress(script, 9)) <= MAX_JS_BYTES
    text = script.decode()
    for forbidden in (
        "eval(",
        "new Function",
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
    ):
        assert forbidden not in text, forbidden
    assert "sourceMappingURL" not in text  # the manifest storage would look for the map


def test_the_vendored_library_carries_its_licence() -> None:
    assert "MIT" in (BUILT / "vendor" / "uplot" / "LICENSE").read_text()
    for name in ("dashboard.js", "dashboard.css"):
        assert "uPlot 1.6.32" in (BUILT / name).read_text(encoding="utf-8")[:500]


def test_the_lock_file_names_no_server() -> None:
    lock = (FRONTEND / "package-lock.json").read_text()
    assert '"resolved"' not in lock
    assert "://" not in lock
