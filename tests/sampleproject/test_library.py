"""The documentation that the pages are made of."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from sampleproject.portal.seeding import library
from sampleproject.portal.seeding.library import Entry
from tests import servers


@pytest.fixture(scope="module")
def entries() -> dict[str, Entry]:
    return {entry.name: entry for entry in library.entries()}


def test_there_are_several_thousand_texts(entries: dict[str, Entry]) -> None:
    assert len(entries) > 3000
    assert {entry.kind for entry in entries.values()} == {"module", "class", "function", "method"}


def test_a_text_is_what_the_running_python_says(entries: dict[str, Entry]) -> None:
    entry = entries["textwrap.dedent"]
    assert entry.doc.split() == (textwrap.dedent.__doc__ or "").split()
    assert entry.signature == "dedent(text)"


def test_compiled_modules_are_there(entries: dict[str, Entry]) -> None:
    assert entries["builtins.str.split"].kind == "method"
    assert entries["math.hypot"].kind == "function"


def test_names_fit_their_columns(entries: dict[str, Entry]) -> None:
    assert max(len(entry.name) for entry in entries.values()) <= 200
    assert max(len(entry.module) for entry in entries.values()) <= 60


def test_reading_imports_no_module_that_does_something() -> None:
    code = (
        "import sys; from sampleproject.portal.seeding import library; library.entries(); "
        "print(sorted({'antigravity', 'this', 'idlelib', 'tkinter', 'turtle', 'test', 'webbrowser'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=servers.ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("doc", "summary", "body"),
    [
        ("One line.", "One line.", ""),
        ("One line.\n\nMore.\n\n    code", "One line.", "More.\n\n    code"),
        ("Two lines\nof one sentence.\n\nMore.", "Two lines of one sentence.", "More."),
        ("usage(x)\n  x  laid out\n\nMore.", "usage(x)", "usage(x)\n  x  laid out\n\nMore."),
        ("First. " + "long " * 100, "First.", ("First. " + "long " * 100)),
    ],
)
def test_a_text_is_divided_into_summary_and_body(doc: str, summary: str, body: str) -> None:
    entry = Entry("module.name", "function", "", doc)
    assert (entry.summary, entry.body) == (summary, body)
