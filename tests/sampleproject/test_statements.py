"""What the views ask the database: the slow ones are as slow as the README says, the others are not."""

from __future__ import annotations

from tests.sampleproject.conftest import Site

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


def test_the_team_costs_two_statements_a_person(site: Site) -> None:
    few, many, people = site.run(
        f"{COUNT}\n"
        "people = User.objects.filter(tenant__slug='cedar').count()\n"
        "from sampleproject.portal.views import pages\n"
        "many = len(statements('/t/cedar/team/'))\n"
        "pages.MEMBERS_PER_LISTING = 5\n"
        "answer = [len(statements('/t/cedar/team/')), many, people]"
    )
    assert many - few == 2 * (people - 5)


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
