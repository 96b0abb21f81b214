"""Finds in Python sources what django-mongodb-backend does not run. Reads the syntax tree, so comments and texts do not count.

A method is known by its name alone: ``.raw(`` of something that is no query set is found too.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator

from perfsuite.queries.djongo_move.findings import Finding

CURSOR = re.compile(r"\bcur(sor)?\b|\bcursor\(\)$")
METHODS = {
    "raw": (
        "QuerySet.raw() runs SQL, which MongoDB does not.",
        "objects = MongoManager() on the model, and objects.raw_aggregate([...]).",
    ),
    "extra": ("QuerySet.extra() is not supported.", "filter(), annotate() and order_by() with expressions."),
}
NAMES = {
    "RunSQL": (
        "A migration that runs SQL.",
        "RunPython, or leave the migration out of the new MIGRATION_MODULES.",
    ),
    "RawSQL": ("RawSQL is not supported.", "expressions from django.db.models."),
}
FUNCTIONS = frozenset({"Chr", "Ord", "SHA1", "SHA224", "SHA384", "SHA512"})
CONFLICTS = ("ignore_conflicts", "update_conflicts")


def scan(text: str, path: str, many_to_many: Collection[str] = ()) -> list[Finding]:
    """Return what stands in the way in the source ``text`` of the file ``path``.

    ``many_to_many`` holds the names under which many-to-many relations are reached: they cannot be prefetched.
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError) as exc:
        line = getattr(exc, "lineno", None) or 1
        return [_finding(path, line, f"Python cannot read this file: {exc}.", "valid Python.")]
    return [
        _finding(path, node.lineno, what, instead)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Call, ast.Import, ast.ImportFrom))
        for what, instead in _problems(node, many_to_many)
    ]


def _finding(path: str, line: int, what: str, instead: str) -> Finding:
    return Finding("source", f"{path}:{line}", what, instead)


def _problems(node: ast.AST, many_to_many: Collection[str]) -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.Call):
        yield from _of_call(node, many_to_many)
    elif isinstance(node, ast.Import):
        if any(alias.name.split(".")[0] == "djongo" for alias in node.names):
            yield _djongo()
    elif isinstance(node, ast.ImportFrom) and not node.level:
        if (node.module or "").split(".")[0] == "djongo":
            yield _djongo()
        if node.module == "django.db.models.functions":
            for name in sorted({alias.name for alias in node.names} & FUNCTIONS):
                yield f"The function {name} is not supported.", "compute it in Python."


def _djongo() -> tuple[str, str]:
    return (
        "djongo is imported.",
        "from django.db import models, and fields from django_mongodb_backend.fields.",
    )


def _of_call(node: ast.Call, many_to_many: Collection[str]) -> Iterator[tuple[str, str]]:
    function = node.func
    if isinstance(function, ast.Name) and function.id in NAMES:
        yield NAMES[function.id]
    if not isinstance(function, ast.Attribute):
        return
    name = function.attr
    if name in NAMES:
        yield NAMES[name]
    elif name in METHODS:
        yield METHODS[name]
    elif name in {"execute", "executemany"} and CURSOR.search(ast.unparse(function.value)):
        yield (
            "A cursor runs SQL, which MongoDB does not.",
            "the ORM, or connection.database[collection], which is pymongo's.",
        )
    elif name.startswith("mongo_"):
        yield (
            f"{name}() is a method of djongo's manager.",
            f"connection.database[Model._meta.db_table].{name.removeprefix('mongo_')}().",
        )
    yield from _of_arguments(node, name, many_to_many)


def _of_arguments(node: ast.Call, name: str, many_to_many: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield the problems of methods that are supported, but not with all arguments."""
    if name == "prefetch_related":
        for relation in _texts(node):
            if relation.split("__")[0] in many_to_many:
                yield (
                    f"prefetch_related({relation!r}) follows a many-to-many relation, which is not supported.",
                    "a query on the table between, with in_bulk() for the rows.",
                )
    elif name == "bulk_create":
        for keyword in node.keywords:
            if keyword.arg in CONFLICTS and not _is_false(keyword.value):
                yield (
                    f"bulk_create({keyword.arg}=...) is not supported.",
                    "look first for what is there already.",
                )


def _texts(node: ast.Call) -> list[str]:
    return [arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]


def _is_false(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and not node.value
