"""What manage.py check says about the panel."""

from __future__ import annotations

import pytest
from django.conf import settings
from django.test import override_settings

from perfsuite.panel.checks import check_panel
from perfsuite.panel.conf import DEFAULT_CARDS
from tests import urls as host


class NeedsArguments:
    id = title = "x"

    def __init__(self, needed: str) -> None:
        self.data = needed


class HasNoData:
    id = title = "x"


def test_a_right_host_has_no_problem() -> None:
    assert check_panel() == []


def test_a_host_without_the_admin_is_told() -> None:
    without = [app for app in settings.INSTALLED_APPS if "admin" not in app.lower()]
    with override_settings(INSTALLED_APPS=without, ROOT_URLCONF="tests.testapp.urls"):
        (found,) = check_panel()
    assert found.id == "perfsuite_panel.E001"
    assert found.hint is not None
    assert "'django.contrib.admin'" in found.hint


def test_an_admin_without_urls_is_told() -> None:
    assert host.urlpatterns
    with override_settings(ROOT_URLCONF="tests.testapp.urls"):
        (found,) = check_panel()
    assert found.id == "perfsuite_panel.W001"
    assert found.hint is not None
    assert 'path("admin/", admin.site.urls)' in found.hint


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("nowhere.Card", "cannot be imported"),
        ("perfsuite.panel.cards.routes.Router", "cannot be imported"),
        ("Routes", "cannot be imported"),
        (f"{__name__}.NeedsArguments", "cannot be made without arguments"),
        (f"{__name__}.HasNoData", "has no data"),
    ],
)
def test_a_card_that_cannot_be_used_is_told_with_its_name(path: str, said: str) -> None:
    with override_settings(PERFSUITE={"PANEL": {"CARDS": [*DEFAULT_CARDS, path]}}):
        (found,) = check_panel()
    assert found.id == "perfsuite_panel.E002"
    assert repr(path) in found.msg
    assert said in found.msg
