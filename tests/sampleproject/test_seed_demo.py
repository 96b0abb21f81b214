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

PAGES = """
    SELECT tenant.slug, page.slug, summary, body, status, username FROM portal_page page
    JOIN portal_tenant tenant ON tenant.id = page.tenant_id LEFT JOIN portal_user author ON author.id = author_id
    ORDER BY page.slug
"""
LEADS = """
    SELECT name, lead.email, message, lead.status, page.slug, username FROM portal_lead lead
    JOIN portal_page page ON page.id = page_id LEFT JOIN portal_user agent ON agent.id = assigned_to_id
    ORDER BY lead.id
"""


def test_it_makes_as_much_as_it_is_asked_for(own_site: Site) -> None:
    tables = {"tenant": 3, "user": 45, "page": 300, "form": 9, "lead": 600}
    assert {name: own_site.rows(f"SELECT count(*) FROM portal_{name}")[0][0] for name in tables} == tables


def test_each_tenant_has_people_pages_and_leads(own_site: Site) -> None:
    for name in ("user", "page", "lead"):
        sql = f"SELECT tenant_id, count(*) FROM portal_{name} WHERE tenant_id IS NOT NULL GROUP BY tenant_id"
        assert [count >= 10 for _, count in own_site.rows(sql)] == [True, True, True]


@pytest.mark.parametrize(
    ("name", "column"), [("lead", "created_at"), ("page", "updated_at"), ("user", "last_login")]
)
def test_times_lie_in_the_past(own_site: Site, name: str, column: str) -> None:
    ((future, past),) = own_site.rows(
        f"SELECT sum({column} > datetime('now')), sum({column} <= datetime('now')) FROM portal_{name}"
    )
    assert future == 0 < past


def test_a_second_run_changes_nothing(own_site: Site) -> None:
    before = own_site.rows(PAGES), own_site.rows(LEADS)
    done = own_site.manage("seed_demo", *SMALL)
    assert done.stdout.startswith(
        "The site is already filled: 3 tenants, 45 users, 300 pages, 9 forms, 600 leads."
    )
    assert (own_site.rows(PAGES), own_site.rows(LEADS)) == before


def test_a_now_that_is_no_time_gets_one_sentence(own_site: Site) -> None:
    done = own_site.manage("seed_demo", "--now=tomorrow", succeeds=False)
    assert done.stderr.splitlines()[-1].endswith(
        "argument --now: 'tomorrow' is no time; write it as 2026-11-27T12:00Z."
    )


def test_reset_makes_the_same_content_anew_and_keeps_the_users_of_others(own_site: Site) -> None:
    before = own_site.rows(PAGES), own_site.rows(LEADS)
    own_site.run(
        "answer = Page.objects.all().delete()[0]; User.objects.create_superuser('mine', 'm@example.com', 'x')"
    )
    done = own_site.manage("seed_demo", "--reset", *SMALL)
    assert (own_site.rows(PAGES), own_site.rows(LEADS)) == before
    assert own_site.rows("SELECT is_superuser FROM portal_user WHERE username = 'mine'") == [(1,)]
    assert re.fullmatch(r"(\w+: [\d,]+ in [\d.]+ s\n){4}", done.stderr)
    store = own_site.var / "db.perfsuite.sqlite3"
    assert not store.exists(), "the panel shows the site's traffic, and not how it was filled"


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
    done = Site.at(tmp_path / "var", DB="oracle").manage("check", succeeds=False)
    assert "DB is 'oracle'; set it to one of sqlite, postgresql, djongo, mongodb." in done.stderr
