"""The documentation of the running Python's standard library, read without running the library.

Modules written in Python are parsed, not imported: importing some of them opens a browser, prints a poem or starts a
window. Only the modules below, which are compiled into every interpreter or harmless, are imported and asked through
`pydoc` as the `help()` function would.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pydoc
import sysconfig
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

COMPILED = (
    "array atexit binascii builtins cmath errno faulthandler fcntl gc io itertools marshal math mmap pwd resource "
    "select signal sys syslog time unicodedata zlib"
)
NOT_DOCUMENTATION = (
    "__phello__ antigravity dist-packages distutils encodings ensurepip idlelib lib-dynload lib2to3 msilib "
    "pydoc_data site-packages test tests this tkinter turtle turtledemo"
)
MIN_LENGTH = 40  # a shorter docstring makes no page
MAX_SUMMARY = 300


@dataclass(frozen=True)
class Entry:
    """One documented module, class, function or method."""

    name: str  # "shutil.copytree"
    kind: str  # "module", "class", "function" or "method"
    signature: str  # "copytree(src, dst, symlinks=False)", empty for a module
    doc: str

    @property
    def module(self) -> str:
        """The top-level module or package."""
        return self.name.partition(".")[0]

    @property
    def summary(self) -> str:
        """The first paragraph on one line; its first sentence when it is long, its first line when it is laid out."""
        paragraph, _, _ = self.doc.partition("\n\n")
        if "\n " in paragraph:
            return paragraph.partition("\n")[0]
        text = " ".join(paragraph.split())
        return text if len(text) <= MAX_SUMMARY else text.partition(". ")[0] + "."

    @property
    def body(self) -> str:
        """What follows the summary; all of the text when the summary is only a part of the first paragraph."""
        paragraph, _, rest = self.doc.partition("\n\n")
        return rest.strip("\n") if self.summary == " ".join(paragraph.split()) else self.doc


def entries(advance: Callable[[int], None] = lambda count: None) -> list[Entry]:
    """Return all of them, sorted by name; takes some seconds. `advance(1)` is called after each source file."""
    documented = {entry.name: entry for entry in imported_entries() if len(entry.doc) >= MIN_LENGTH}
    for path, name in sources():
        documented.update(
            (entry.name, entry) for entry in parsed_entries(path, name) if len(entry.doc) >= MIN_LENGTH
        )
        advance(1)
    return [documented[name] for name in sorted(documented)]


def sources() -> list[tuple[Path, str]]:
    """Return the source files of the public modules, each with the dotted name of its module."""
    root = Path(sysconfig.get_path("stdlib"))
    return [
        (path, ".".join(name))
        for path in sorted(root.rglob("*.py"))
        if (name := _public_name(path.relative_to(root)))
    ]


def _public_name(path: Path) -> tuple[str, ...]:
    """Return the parts of the dotted name, or nothing when the module is no documentation for the public."""
    parts = path.with_suffix("").parts
    if parts[-1] == "__init__":
        parts = parts[:-1]
    hidden = NOT_DOCUMENTATION.split()
    return () if any(part.startswith("_") or part in hidden for part in parts) else parts


def parsed_entries(path: Path, name: str) -> Iterator[Entry]:
    """Yield what the source of the module `name` documents, as `ast` reads it."""
    try:
        tree = ast.parse(path.read_text("utf-8"))
    except (SyntaxError, UnicodeDecodeError):
        return
    yield Entry(name, "module", "", (ast.get_docstring(tree) or "").strip())
    yield from _definitions(tree, name, "function")


def _definitions(parent: ast.AST, prefix: str, kind_of_function: str) -> Iterator[Entry]:
    for node in ast.iter_child_nodes(parent):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            signature = f"{node.name}({ast.unparse(node.args)})"
            yield Entry(
                f"{prefix}.{node.name}", kind_of_function, signature, (ast.get_docstring(node) or "").strip()
            )
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            bases = ", ".join(ast.unparse(base) for base in node.bases)
            signature = f"class {node.name}({bases})" if bases else f"class {node.name}"
            yield Entry(f"{prefix}.{node.name}", "class", signature, (ast.get_docstring(node) or "").strip())
            yield from _definitions(node, f"{prefix}.{node.name}", "method")


def imported_entries() -> Iterator[Entry]:
    """Yield what the compiled modules document, as `pydoc` reads it. A module that this platform lacks is left out."""
    for name in COMPILED.split():
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        yield Entry(name, "module", "", _doc(module))
        yield from _members(module, name)


def _members(owner: ModuleType | type, prefix: str) -> Iterator[Entry]:
    for name in sorted(vars(owner)):
        if name.startswith("_"):
            continue
        member = getattr(owner, name)  # a class method bound, as a reader would call it
        if inspect.isclass(member):
            yield Entry(f"{prefix}.{name}", "class", f"class {name}", _doc(member))
            if isinstance(owner, ModuleType):
                yield from _members(member, f"{prefix}.{name}")
        elif inspect.isroutine(member):
            kind = "function" if isinstance(owner, ModuleType) else "method"
            yield Entry(f"{prefix}.{name}", kind, _signature(name, member), _doc(member))


def _doc(member: object) -> str:
    return pydoc.getdoc(member).strip()


def _signature(name: str, member: object) -> str:
    try:
        return f"{name}{inspect.signature(member)}"  # type: ignore[arg-type]  # raises TypeError when not callable
    except (AttributeError, TypeError, ValueError):  # the first for defaults that Python 3.13 cannot look up
        return f"{name}(...)"
