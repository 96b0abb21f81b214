"""Optional packages: what is asked for by name and missing says how to install it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from perfsuite.exceptions import MissingExtra, PerfsuiteError
from perfsuite.optional import available, require


def test_a_module_that_is_there_is_returned() -> None:
    assert require("json", extra="redis") is json


def test_a_submodule_that_is_there_is_returned() -> None:
    assert require("json.decoder", extra="redis") is sys.modules["json.decoder"]


@pytest.mark.parametrize("module", ["perfsuite_no_such_package", "perfsuite_no_such_package.inner"])
def test_a_missing_package_says_the_line_that_installs_it(module: str) -> None:
    with pytest.raises(MissingExtra) as caught:
        require(module, extra="redis")
    assert str(caught.value) == f"{module!r} is not installed; type: pip install 'django-perfsuite[redis]'"
    assert isinstance(caught.value, ImportError)
    assert isinstance(caught.value, PerfsuiteError)


def test_what_an_installed_package_lacks_itself_is_not_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "perfsuite_broken_package.py").write_text("import perfsuite_no_such_dependency")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError) as caught:
        require("perfsuite_broken_package", extra="redis")
    assert not isinstance(caught.value, MissingExtra)
    assert caught.value.name == "perfsuite_no_such_dependency"


def test_available_tells_without_importing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "perfsuite_unimported_package.py").write_text("raise RuntimeError")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert available("perfsuite_unimported_package")
    assert available("perfsuite_unimported_package.inner")
    assert "perfsuite_unimported_package" not in sys.modules
    assert not available("perfsuite_no_such_package")
