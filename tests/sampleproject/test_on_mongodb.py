"""The site on MongoDB, through djongo and through django-mongodb-backend: it says what it says on SQLite."""

from __future__ import annotations

import html
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import servers
from tests.sampleproject.conftest import SMALL, Answer, Browser, Site

ENGINE = os.environ.get("TEST_DATABASE", "")
if ENGINE not in ("djongo", "mongodb"):
    pytest.skip("about MongoDB; runs in its lanes", allow_module_level=True)

# The same texts whatever the database; of the keys, which differ, none is shown.
SAME = [
    "/",
    "/t/harbor/",
    "/t/cedar/pages/",
    "/t/cedar/pages/?page=2",
    "/t/summit/search/?q=path",
    "/t/summit/search/?q=a(b[c",
    "/t/summit/search/?q=__init__",
    "/t/summit/team/",
    "/t/harbor/forms/question/",
    "/t/harbor/api/pages/?q=socket",
    "/t/harbor/api/suggest/?q=so",
    "/t/harbor/api/leads/daily/",
    "/t/cedar/pages/nothing/",
    "/t/nobody/",
]
INBOX = ["/t/harbor/leads/", "/t/harbor/leads/?status=new", "/t/harbor/leads/?page=3", "/t/cedar/leads/"]
ADMIN = [
    *(f"/admin/portal/{name}/" for name in ("page", "lead", "user", "tenant", "form")),
    *(f"/admin/portal/{name}/add/" for name in ("page", "lead", "user", "tenant", "form")),
    "/admin/portal/lead/?q=a",
    "/admin/portal/lead/?o=1&p=2",
    "/admin/portal/lead/?status__exact=new",
    "/admin/portal/user/?role__exact=editor",
    "/performance/",
]
IDS = "answer = [str(Page.objects.order_by('slug')[0].pk), str(User.objects.get(username='editor').pk)]"


@pytest.fixture(scope="module")
def on_sqlite(built: Path) -> Site:
    return Site.at(built)  # only read


@pytest.fixture(scope="module")
def on_mongodb(on_sqlite: Site) -> Site:
    place = {"MONGODB_URL": os.environ["TEST_MONGODB_URL"], "MONGODB_NAME": "sampleproject_small"}
    made = Site.at(on_sqlite.var, DB=ENGINE, **place)
    made.manage("migrate", "--verbosity=0")
    made.manage("seed_demo", "--reset", *SMALL)
    return made


@pytest.fixture(scope="module")
def browsers(on_mongodb: Site, on_sqlite: Site) -> Iterator[tuple[Browser, Browser]]:
    """Return a visitor of the site on MongoDB, and one of the same site on SQLite."""
    with (
        servers.gunicorn("--threads=4", app="sampleproject.wsgi", **on_mongodb.env) as here,
        servers.gunicorn("--threads=4", app="sampleproject.wsgi", **on_sqlite.env) as there,
    ):
        yield Browser(here.url), Browser(there.url)


def words(answer: Answer) -> Any:
    """Return what a page says, without its tags; of JSON the values, whose order in an object depends on Django."""
    if answer.headers["Content-Type"] == "application/json":
        return answer.json()
    text = answer.text
    main = text.partition("<main")[2].partition("</main>")[0] or text
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", main)).split())


def test_a_page_says_the_same_as_on_sqlite(browsers: tuple[Browser, Browser]) -> None:
    here, there = ({path: each.get(path) for path in SAME} for each in browsers)
    for path in SAME:
        assert here[path].status == there[path].status, path
        assert words(here[path]) == words(there[path]), path


def test_the_inbox_says_the_same_and_is_for_the_own_tenant(browsers: tuple[Browser, Browser]) -> None:
    for each in browsers:
        each.log_in("editor")
    here, there = ([each.get(path) for path in INBOX] for each in browsers)
    assert [answer.status for answer in here] == [200, 200, 200, 403]
    assert [words(answer) for answer in here] == [words(answer) for answer in there]


def test_the_admin_and_the_panel_are_answered(browsers: tuple[Browser, Browser], on_mongodb: Site) -> None:
    admin = Browser(browsers[0].url).log_in("admin")
    page, editor = on_mongodb.run(IDS)
    paths = [*ADMIN, f"/admin/portal/page/{page}/change/", f"/admin/portal/user/{editor}/change/"]
    paths.append(f"/admin/portal/page/{page}/delete/")
    assert {path: status for path in paths if (status := admin.get(path).status) != 200} == {}
    assert admin.get("/performance/data/?range=15m").json()["cards"]


def test_a_form_becomes_a_lead_and_the_admin_changes_a_tenant(
    browsers: tuple[Browser, Browser], on_mongodb: Site
) -> None:
    visitor = Browser(browsers[0].url)
    fields = {"name": "Grace H", "email": "g@example.com", "message": "A long example, please."}
    assert visitor.send("/t/cedar/forms/training/", **fields).url.endswith("/thanks/")
    admin = Browser(browsers[0].url).log_in("admin")
    assert "A long example, please." in admin.get("/t/cedar/leads/?status=new").text
    tenant = on_mongodb.run("answer = str(Tenant.objects.get(slug='summit').pk)")
    fields = {"name": "Summit & Co", "slug": "summit", "tagline": "New", "accent": "teal"}
    assert admin.send(f"/admin/portal/tenant/{tenant}/change/", **fields).status == 200
    assert on_mongodb.run("answer = Tenant.objects.get(slug='summit').name") == "Summit & Co"


def test_a_seeding_that_is_cut_off_leaves_nothing(on_sqlite: Site) -> None:
    place = {"MONGODB_URL": os.environ["TEST_MONGODB_URL"], "MONGODB_NAME": "sampleproject_cut"}
    site = Site.at(on_sqlite.var, DB=ENGINE, **place)
    site.manage("migrate", "--verbosity=0")
    counts = site.run(
        "from sampleproject.portal.seeding import build, rows\n"
        "from sampleproject.portal.seeding.progress import Progress\n"
        "def cut_off(*arguments): raise KeyboardInterrupt\n"
        "rows.leads = cut_off\n"
        "try: build.build(build.Plan(10, 10, 10), Progress(lambda text: None, bar=False))\n"
        "except KeyboardInterrupt: pass\n"
        "answer = build.counts()"
    )
    assert counts == {"tenants": 0, "users": 0, "pages": 0, "forms": 0, "leads": 0}


def test_the_declared_indexes_are_made_once_and_the_pages_say_the_same(
    browsers: tuple[Browser, Browser], on_mongodb: Site
) -> None:
    made = on_mongodb.manage("setup_indexes", "--apply").stdout.splitlines()
    assert "created portal_page portal_page_title_text_keywords_text_idx" in " ".join(made)
    assert "created" not in on_mongodb.manage("setup_indexes", "--apply").stdout.split()
    on_mongodb.manage("check_indexes")
    here, there = (words(each.get("/t/summit/search/?q=path")) for each in browsers)
    assert here == there


@pytest.mark.skipif(ENGINE == "djongo", reason="about the migrations of django-mongodb-backend")
def test_the_migrations_are_complete_and_the_checks_find_nothing(on_mongodb: Site) -> None:
    on_mongodb.manage("setup_indexes", "--apply")  # a missing one is a warning
    assert "No changes" in on_mongodb.manage("makemigrations", "--check", "--dry-run").stdout
    assert "no issues" in on_mongodb.manage("check", "--database=default").stdout
