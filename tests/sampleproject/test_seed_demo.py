"""`seed_demo`: real content, the same each time, all of it or nothing."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import servers
from tests.sampleproject.conftest import SMALL, Site

CONTENT = (
    "answer = [list(Page.objects.order_by('slug').values_list('tenant__slug', 'slug', 'summary', 'status', 'author__username')),"
    "list(Lead.objects.order_by('pk').values_list('name', 'email', 'message', 'status', 'page__slug', 'assigned_to__username'))]"
)


def test_it_makes_as_much_as_it_is_asked_for(own_site: Site) -> None:
    code = (
        "answer = [Tenant.objects.count(), User.objects.count(), Page.objects.count(), Lead.objects.count()]"
    )
    assert own_site.run(code) == [3, 45, 300, 600]


def test_each_tenant_has_people_pages_forms_and_leads(site: Site) -> None:
    for tenant in site.run(
        "answer = [[t.members.count(), t.pages.count(), t.forms.count(), t.leads.count()] for t in Tenant.objects.all()]"
    ):
        assert min(tenant) >= 3


def test_times_lie_in_the_past(own_site: Site) -> None:
    assert own_site.run(
        "from django.utils import timezone\n"
        "now = timezone.now()\n"
        "answer = [Lead.objects.filter(created_at__gt=now).count(), Page.objects.filter(updated_at__gt=now).count(),"
        "User.objects.filter(last_login__gt=now).count()]"
    ) == [0, 0, 0]


def test_a_second_run_changes_nothing(own_site: Site) -> None:
    before = own_site.run(CONTENT)
    done = own_site.manage("seed_demo", *SMALL)
    assert done.stdout.startswith("The site is already filled: 3 tenants, 45 users, 300 pages, 9 forms, ")
    assert own_site.run(CONTENT) == before


def test_reset_makes_the_same_content_anew_and_keeps_the_users_of_others(own_site: Site) -> None:
    before = own_site.run(CONTENT)
    own_site.run(
        "answer = Page.objects.all().delete()[0]; User.objects.create_superuser('mine', 'm@example.com', 'x')"
    )
    done = own_site.manage("seed_demo", "--reset", *SMALL)
    assert own_site.run(CONTENT) == before
    assert own_site.run("answer = User.objects.filter(username='mine').exists()") is True
    assert re.fullmatch(r"(\w+: [\d,]+ in [\d.]+ s\n){4}", done.stderr)


def test_a_terminal_gets_a_bar(own_site: Site) -> None:
    reader, writer = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "manage.py", "seed_demo", "--reset", "--users=5", "--leads=10", "--pages=10"],
        cwd=servers.ROOT,
        env={**os.environ, **own_site.env},
        stdout=subprocess.DEVNULL,
        stderr=writer,
    )
    os.close(writer)
    shown = b""
    with contextlib.suppress(OSError):  # how Linux says that nobody writes any more
        while piece := os.read(reader, 10_000):
            shown += piece
    os.close(reader)
    assert process.wait() == 0
    assert "\rLeads    ██████████████████████████████      10 of 10 in " in shown.decode()


@pytest.mark.parametrize("option", ["--users=2", "--leads=-1", "--pages=0"])
def test_senseless_numbers_are_refused_with_a_sentence(site: Site, option: str) -> None:
    done = site.manage("seed_demo", option, succeeds=False)
    assert done.stderr == "CommandError: Give at least 3 --users, 0 --leads and 1 --pages.\n"


def test_without_tables_it_says_what_to_run(tmp_path: Path) -> None:
    done = Site.at(tmp_path / "var").manage("seed_demo", succeeds=False)
    assert "Traceback" not in done.stderr
    assert "Has `manage.py migrate` been run?" in done.stderr


def test_an_unknown_database_is_refused(tmp_path: Path) -> None:
    done = Site.at(tmp_path / "var", DATABASE="oracle").manage("check", succeeds=False)
    assert "DATABASE is 'oracle'. Set it to 'sqlite' or 'postgresql'." in done.stderr
