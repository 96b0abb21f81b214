"""What the tests of the move take for djongo's documents is what djongo writes."""

from __future__ import annotations

import os
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.contrib.contenttypes.models import ContentType
from django.db import connection

from tests.testapp.models import Author, Book

if os.environ.get("TEST_DATABASE") != "djongo":
    pytest.skip("about what djongo writes; runs in its lane", allow_module_level=True)

from tests.queries.djongo_move import shapes


def kinds(document: dict[str, Any]) -> dict[str, str]:
    """Return the type of each value; of Python's and bson's integers and UUIDs the same."""
    same = {"Int64": "int", "UUID": "Binary"}
    found = {name: type(value).__name__ for name, value in document.items()}
    return {name: same.get(kind, kind) for name, kind in found.items()}


def test_djongo_writes_documents_of_these_shapes(transactional_db: None) -> None:
    user = User.objects.create_user("grace", first_name="Grace", is_staff=True)
    content_type = ContentType.objects.get_for_model(User)
    permission, _ = Permission.objects.get_or_create(
        codename="view_user", content_type=content_type, defaults={"name": "Can view user"}
    )
    user.user_permissions.add(permission)
    LogEntry.objects.log_action(user.pk, content_type.pk, user.pk, "grace", 2)
    Book.objects.create(author=Author.objects.create(name="Ada"), title="T")
    connection.ensure_connection()
    for name, (shape,) in shapes.DOCUMENTS.items():
        written = connection.cursor().db_conn[name].find_one()
        assert kinds(written) == kinds(shape), name
