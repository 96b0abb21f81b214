"""The page itself: what it carries for its script, and that it carries nothing that a strict policy forbids."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.test import Client

from perfsuite.panel.models import Dashboard
from tests.panel.conftest import PAGES

pytestmark = pytest.mark.django_db(databases="__all__")

INLINE = re.compile(
    r"<script(?![^>]*\bsrc=)[^>]*>|<style|\sstyle=|\son[a-z]+=|=\"?javascript:", re.IGNORECASE
)


@pytest.mark.parametrize("url", PAGES)
def test_the_page_has_nothing_inline(url: str, permitted: Client) -> None:
    page = permitted.get(url).content.decode()
    assert INLINE.search(page) is None
    assert "//" not in re.sub(r"https?://www\.w3\.org/[\w/]+|<!DOCTYPE[^>]*>", "", page)


@pytest.mark.parametrize(("asked", "shown"), [("", "1h"), ("?range=15m", "15m"), ("?range=7d", "7d")])
def test_the_page_starts_with_the_range_in_its_address(asked: str, shown: str, permitted: Client) -> None:
    page = permitted.get(f"/performance/{asked}").content.decode()
    assert f'data-range="{shown}"' in page
    assert re.search(rf'data-ps-range="{shown}" aria-pressed="true"', page)
    assert page.count('aria-pressed="true"') == 2  # the range, and live


def test_the_page_is_one_of_the_admin(permitted: Client) -> None:
    page = permitted.get("/performance/").content.decode()
    assert "<title>Performance" in page
    assert 'href="/admin/">Home</a>' in page
    assert 'data-url="/performance/data/"' in page
    assert 'data-login-url="/admin/login/"' in page


def test_the_model_has_the_permission_and_no_table() -> None:
    content_type = ContentType.objects.get_for_model(Dashboard)
    codenames = Permission.objects.filter(content_type=content_type).values_list("codename", flat=True)
    assert sorted(codenames) == ["change_findings", "explain_query", "view_dashboard"]
    assert Dashboard._meta.managed is False
    assert str(Dashboard()) == "Performance"


def test_the_migration_is_complete(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("makemigrations", "perfsuite_panel", "--check", "--dry-run")
    assert "No changes detected" in capsys.readouterr().out
