"""What changes for users: their pages are dropped at logout, and when they or what they are permitted are saved.

``queryset.update()`` sends no signal; call ``perfsuite.responses.drop_user`` after it.
"""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.db import transaction
from django.db.models.signals import m2m_changed, post_delete, post_save

from perfsuite.responses.store import faults

_UID = "perfsuite.responses.users"
_LOGIN = frozenset({"last_login"})


def connect() -> None:
    """Connect the signals of ``django.contrib.auth``, if that is installed. Idempotent."""
    if not apps.is_installed("django.contrib.auth"):
        return
    from django.contrib.auth import get_user_model
    from django.contrib.auth.models import Group, Permission
    from django.contrib.auth.signals import user_logged_out

    user = get_user_model()
    user_logged_out.connect(_logged_out, dispatch_uid=_UID)
    post_save.connect(_user_saved, sender=user, dispatch_uid=_UID)
    post_delete.connect(_user_saved, sender=user, dispatch_uid=_UID)
    for name in ("groups", "user_permissions"):
        through = getattr(getattr(user, name, None), "through", None)
        if through is not None:
            m2m_changed.connect(_permissions_changed, sender=through, dispatch_uid=_UID)
    m2m_changed.connect(_permissions_changed, sender=Group.permissions.through, dispatch_uid=_UID)
    for model in (Group, Permission):
        post_save.connect(_permissions_changed, sender=model, dispatch_uid=_UID)
        post_delete.connect(_permissions_changed, sender=model, dispatch_uid=_UID)


def _logged_out(*, user: Any = None, **kwargs: Any) -> None:
    if user is not None:
        _drop_user(user.pk)


def _user_saved(
    *, instance: Any, created: bool = False, update_fields: Any = None, using: Any = None, **kwargs: Any
) -> None:
    if created or (update_fields and _LOGIN.issuperset(update_fields)):
        return
    pk = instance.pk
    _on_commit(lambda: _drop_user(pk), using)


def _permissions_changed(*, action: str = "post_", using: Any = None, **kwargs: Any) -> None:
    if action.startswith("post_"):
        _on_commit(_drop_all, using)


def _on_commit(do: Any, using: Any) -> None:
    try:
        transaction.on_commit(do, using=using)
    except Exception as exc:  # noqa: BLE001 - a save of the host's must not fail by this
        faults.add(exc, "Dropping users' pages")


def _drop_user(pk: Any) -> None:
    from perfsuite.responses import tagging

    tagging.drop_user(pk)


def _drop_all() -> None:
    from perfsuite.responses import tagging

    tagging.drop_all_users()
