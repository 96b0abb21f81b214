"""What djongo stores for a person, a group, their link and an entry of the admin's log, as it stores it.

The djongo lane shows that djongo writes documents of this shape; the other lane moves them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from bson import Binary, ObjectId

WHEN = datetime(2026, 5, 28, 1, 17, 30, 906_000)


def key(number: int) -> ObjectId:
    """Return the ``_id`` of the document ``number``."""
    return ObjectId(f"{number:024x}")


USER = {
    "_id": key(1),
    "id": 7,
    "password": "!",
    "last_login": None,
    "is_superuser": False,
    "username": "grace",
    "first_name": "Grace",
    "last_name": "H",
    "email": "",
    "is_staff": True,
    "is_active": True,
    "date_joined": WHEN,
}
CONTENT_TYPE = {"_id": key(2), "id": 3, "app_label": "auth", "model": "user"}
PERMISSION = {"_id": key(3), "id": 5, "name": "Can view user", "content_type_id": 3, "codename": "view_user"}
LINK = {"_id": key(4), "id": 1, "user_id": 7, "permission_id": 5}
LOG = {
    "_id": key(5),
    "id": 1,
    "action_time": WHEN,
    "user_id": 7,
    "content_type_id": 3,
    "object_id": "7",
    "object_repr": "grace",
    "action_flag": 2,
    "change_message": "",
}
AUTHOR = {"_id": key(6), "id": Binary(bytes(range(16)), 3), "name": "Ada"}
BOOK = {"_id": key(7), "id": Binary(bytes(16), 3), "author_id": AUTHOR["id"], "title": "T", "pages": 3}

DOCUMENTS: dict[str, list[dict[str, Any]]] = {
    "auth_user": [USER],
    "django_content_type": [CONTENT_TYPE],
    "auth_permission": [PERMISSION],
    "auth_user_user_permissions": [LINK],
    "django_admin_log": [LOG],
    "testapp_author": [AUTHOR],
    "testapp_book": [BOOK],
}
