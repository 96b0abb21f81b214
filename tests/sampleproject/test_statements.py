"""What the views ask the database: the slow ones are as slow as the README says, the others are not."""

from __future__ import annotations

import re

from tests import servers
from tests.sampleproject.conftest import Site

HOWTO = servers.ROOT / "docs" / "howto" / "queries-find-n-plus-one.md"
FIXED = re.compile(r"```python\n# (?:before|after): [^\n]*\n(.*?)```", re.DOTALL)

COUNT = """
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
client = Client(SERVER_NAME="localhost")

def statements(path):
    client.get(path)  # loads templates and tenants
    with CaptureQueriesContext(connection) as captured:
        assert client.get(path).status_code == 200
    return [query["sql"] for query in captured]
"""


FINDINGS = """
from perfsuite.metrics import flush
from perfsuite.metrics.findings import findings
from perfsuite.queries.fingerprint import shape
from perfsuite.queries.slow_advice import advise_slow
"""


def test_the_team_costs_two_statements_a_person_and_both_are_found_with_what_to_write(site: Site) -> None:
    few, many, people, found, searched = site.run(
        f"{COUNT}{FINDINGS}\n"
        "people = User.objects.filter(tenant__slug='cedar').count()\n"
        "from sampleproject.portal.views import pages\n"
        "many = len(statements('/t/cedar/team/'))\n"
        "pages.MEMBERS_PER_LISTING = 5\n"
        "few = len(statements('/t/cedar/team/'))\n"
        "assert flush()\n"
        "found = [[row.kind, row.route, row.evidence['last']['advice']] for row in findings('open', kind='n_plus_one')]\n"
        "asked = [sql for sql in statements('/t/cedar/search/?q=the') if 'LIKE' in sql]\n"
        "searched = [advise_slow(shape(sql)).sentence for sql in asked]\n"
        "answer = [few, many, people, found, searched]"
    )
    assert many - few == 2 * (people - 5)
    team = "/t/<slug:tenant>/team/"
    assert sorted(found) == [
        ["n_plus_one", team, 'annotate(Count("pages"))'],
        ["n_plus_one", team, 'prefetch_related(Prefetch("pages", queryset=...))'],
    ]
    assert len(searched) == 2
    assert all("searches in title, keywords, body" in each for each in searched)
    assert all("full-text search" in each for each in searched)


# On a clock of its own, like tests/queries/test_lifecycle.py: a minute, and what the leader does, for each call of `serve`.
DEMO = """
import inspect, pytest
from django.conf import settings
from django.db.models import Prefetch
from django.test import Client, override_settings
from perfsuite.metrics import compaction, flush, merging
from perfsuite.metrics.findings import findings
from perfsuite.metrics.flusher import flusher
from perfsuite.metrics.lifecycle import MIN_RUNS, QUIET_S
from sampleproject.portal import urls
from sampleproject.portal.views import pages
from tests.metrics.conftest import Clock

flusher._stopped = True  # nothing is flushed but when this says so
clock = Clock(pytest.MonkeyPatch(), *(
    f"perfsuite.metrics.{name}" for name in ("sightings", "flusher", "compaction", "query", "findings", "merging")
))
clock.epoch -= clock.epoch % 60
client = Client(SERVER_NAME="localhost")
TEAM, SEARCH = "/t/cedar/team/", "/t/cedar/search/?q=the"

def visit(times):
    for path in (TEAM, SEARCH, "/", "/t/cedar/", "/t/cedar/pages/", "/t/cedar/api/suggest/?q=str") * times:
        assert client.get(path).status_code == 200

def serve(times):
    visit(times)
    wait(60)

def wait(seconds):
    assert flush()
    clock.move(seconds)
    compaction.compact(checkpoint=lambda: None)
    merging.merge(checkpoint=lambda: None)

def told(state):
    return [[row.kind, row.route, row.evidence["last"]["advice"], row.site] for row in findings(state)]

# The small site has few pages; of more, a search takes as much longer as on the site of the demo. Nobody of the team wrote them.
copied = [Page(**{field.attname: getattr(page, field.attname) for field in Page._meta.fields if not field.primary_key})
          for page in Page.objects.filter(tenant__slug="cedar") for _ in range(50)]
for number, page in enumerate(copied):
    page.slug, page.author_id = f"copy-{number}", None
Page.objects.bulk_create(copied)

# On a busy machine anything may be slow once, so what a page asks before it is kept would be a finding: it ran that once.
options = {**settings.PERFSUITE, "QUERIES": {**settings.PERFSUITE["QUERIES"], "SLOW_QUERY_MS": 60_000}}
with override_settings(PERFSUITE=options):
    visit(1)
    assert flush()
for _ in range(2):
    serve(8)
first = told("open")
before = client.get(TEAM).content
wait(60)

# Do what the how-to says.
source = inspect.getsource(pages.team)
body = AFTER + 'return render(request, "portal/team.html", {"tenant": tenant, "results": results, "members": members})'
indented = "\\n".join("    " + line for line in body.splitlines())
names = {**vars(pages), "Prefetch": Prefetch}
exec(f"@for_tenant\\ndef fixed(request, tenant):\\n{indented}", names)
for pattern in urls.of_a_tenant:
    if pattern.callback is pages.team:
        pattern.callback = names["fixed"]
assert client.get(TEAM).content == before
serve(MIN_RUNS)
resolved_at_once = told("resolved")
wait(QUIET_S)
serve(1)
wait(60)
answer = [source, first, resolved_at_once, told("resolved"), told("open")]
"""


def test_the_first_findings_of_the_demo_are_its_slow_views_and_following_the_how_to_resolves_one(
    own_site: Site,
) -> None:
    before, after = FIXED.findall(HOWTO.read_text())
    for store in own_site.var.glob("*.perfsuite.sqlite3*"):
        store.unlink()  # what filling the site has recorded
    source, first, at_once, resolved, still_open = own_site.run(f"AFTER = {after!r}\n{DEMO}")

    assert all(line.strip() in source for line in before.splitlines()), "the how-to quotes the view"
    team, search = "/t/<slug:tenant>/team/", "/t/<slug:tenant>/search/"
    assert sorted(each[:3] for each in first[:4]) == [
        ["n_plus_one", team, 'annotate(Count("pages"))'],
        ["n_plus_one", team, 'prefetch_related(Prefetch("pages", queryset=...))'],
        ["slow", search, "full-text search"],
        ["slow", search, "full-text search"],
    ]
    assert {each[3].partition(":")[0] for each in first[:4]} == {
        "sampleproject/portal/views/pages.py",
        "sampleproject/portal/views/scope.py",
    }
    assert at_once == []
    assert sorted(each[:2] for each in resolved if each[0] == "n_plus_one") == [["n_plus_one", team]] * 2
    assert "n_plus_one" not in [each[0] for each in still_open]
    assert [each[1] for each in still_open[:2]] == [search, search], "nobody has mended these"


AT_MOST = {
    "/": 0,
    "/t/cedar/": 0,
    "/t/cedar/pages/": 0,
    "/t/cedar/pages/?page=2": 0,
    "/t/cedar/search/?q=the": 3,
    "/t/cedar/forms/question/": 2,
    "/t/cedar/api/pages/": 2,
    "/t/cedar/api/suggest/?q=str": 1,
    "/t/cedar/api/leads/daily/": 1,
}


def test_the_other_views_cost_the_same_however_much_they_list(site: Site) -> None:
    asked = site.run(f"{COUNT}\nanswer = {{path: len(statements(path)) for path in {list(AT_MOST)!r}}}")
    assert {path: count for path, count in asked.items() if count > AT_MOST[path]} == {}


def test_the_tenant_of_a_request_costs_no_statement(site: Site) -> None:
    asked = site.run(
        f"{COUNT}\nanswer = statements('/t/cedar/api/suggest/?q=str') + statements('/t/cedar/api/suggest/')"
    )
    assert not [sql for sql in asked if 'FROM "portal_tenant"' in sql]


def test_an_unknown_tenant_costs_no_statement(site: Site) -> None:
    asked = site.run(
        f"{COUNT}\nclient.get('/t/cedar/')\n"
        "with CaptureQueriesContext(connection) as captured:\n"
        "    codes = [client.get(f'/t/unknown-{number}/').status_code for number in range(5)]\n"
        "answer = [codes, len(captured)]"
    )
    assert asked == [[404] * 5, 0]


def test_a_renamed_tenant_is_seen_at_once(own_site: Site) -> None:
    assert (
        own_site.run(
            f"{COUNT}\nstatements('/t/cedar/')\n"
            "Tenant.objects.create(name='New', slug='new', tagline='New')\n"
            "answer = client.get('/t/new/').status_code"
        )
        == 200
    )


def test_the_tenant_of_a_request_reaches_perfsuite(site: Site) -> None:
    expected, found = site.run(
        "from django.test import Client\n"
        "from perfsuite.tenancy import current_tenant\n"
        "from sampleproject.portal.views import api\n"
        "seen = []\n"
        "summary_of = api.summary_of\n"
        "api.summary_of = lambda page: (seen.append(current_tenant()), summary_of(page))[1]\n"
        "Client(SERVER_NAME='localhost').get('/t/summit/api/pages/')\n"
        "answer = [Tenant.objects.get(slug='summit').pk, sorted(set(map(str, seen)))]"
    )
    assert found == [str(expected)]
