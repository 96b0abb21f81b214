"""The page of findings: who sees them, who may change their state, and what each kind says."""

from __future__ import annotations

import pytest
from django.test import Client

from perfsuite.exceptions import StoreUnavailable
from perfsuite.metrics.findings import finding, findings, set_state
from perfsuite.panel.pages import findings as findings_page
from tests.panel.conftest import client_of, make_user
from tests.panel.pages_host import ESCAPED, HOSTILE, PLACES, client_with, sighted
from tests.panel.test_page import INLINE

pytestmark = pytest.mark.django_db(databases="__all__")


def state_of(id: str) -> str:  # noqa: A002 - what it is called everywhere else
    row = finding(id)
    assert row is not None
    return row.state


@pytest.mark.parametrize("place", PLACES)
def test_only_permitted_staff_sees_findings(place: str) -> None:
    sighted()
    url = f"{place}findings/"
    answer = Client().get(url)
    assert answer.status_code == 302
    assert answer["Location"].startswith("/admin/login/?next=")
    assert client_of(make_user("staff", staff=True)).get(url).status_code == 403
    assert client_with("change_findings").get(url).status_code == 403
    answer = client_with("view_dashboard").get(url)
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]


@pytest.mark.parametrize("place", PLACES)
def test_a_finding_is_shown_with_its_evidence_as_text(place: str, permitted: Client) -> None:
    sighted()
    page = permitted.get(f"{place}findings/").content.decode()
    for shown in (
        "N+1 query: shop.Book.author",
        "Write select_related.",
        "/books/",
        "shop/views.py:42 in",
        "<dd>once</dd>",
    ):
        assert shown in page
    assert ESCAPED in page
    assert HOSTILE not in page
    assert INLINE.search(page) is None


@pytest.mark.parametrize("place", PLACES)
def test_changing_a_finding_needs_the_permission_and_the_token(place: str) -> None:
    row = sighted()
    url, data = f"{place}findings/{row.id}/state/", {"state": "ignored"}
    viewer, changer = client_with("view_dashboard"), client_with("view_dashboard", "change_findings")
    assert viewer.post(url, data).status_code == 403
    assert client_with("change_findings").post(url, data).status_code == 403
    assert Client().post(url, data).status_code == 302
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = changer.cookies
    assert strict.post(url, data).status_code == 403
    assert changer.get(url, data).status_code == 405
    assert changer.get(f"{place}findings/", data).status_code == 200
    assert state_of(row.id) == "open"
    assert ">Ignore</button>" not in viewer.get(f"{place}findings/").content.decode()
    assert ">Ignore</button>" in changer.get(f"{place}findings/").content.decode()
    answer = changer.post(url, data)
    assert (answer.status_code, answer["Location"]) == (302, f"{place}findings/")
    assert state_of(row.id) == "ignored"


def test_a_state_is_set_in_the_name_of_who_did_it_and_said() -> None:
    row = sighted()
    changer = client_with("view_dashboard", "change_findings", name="grace")
    url = f"/performance/findings/{row.id}/state/"
    for shown, state, title in (
        ("open", "resolved", "Resolved"),
        ("resolved", "open", "Open"),
        ("open", "ignored", "Ignored"),
    ):
        data = {"state": state, "shown": shown, "kind": "n_plus_one"}
        page = changer.post(url, data, follow=True).content.decode()
        assert "N+1 query: shop.Book.author on /books/ is" in page
        assert state_of(row.id) == state
        page = changer.get(f"/performance/findings/?state={state}").content.decode()
        assert f"{title} by grace" in page


def test_tabs_and_kinds_divide_the_findings(permitted: Client) -> None:
    row, other = sighted(), sighted("slow", subject="SELECT 2", sentence="Look at its plan.")
    set_state(row.id, "resolved", by="ada")
    page = permitted.get("/performance/findings/").content.decode()
    assert f"finding-{other.id}" in page
    assert f"finding-{row.id}" not in page
    page = permitted.get("/performance/findings/?state=resolved").content.decode()
    assert f"finding-{row.id}" in page
    assert (
        "Nothing to change of this kind."
        in permitted.get("/performance/findings/?kind=chatty").content.decode()
    )
    page = permitted.get("/performance/findings/?kind=slow").content.decode()
    assert f"finding-{other.id}" in page


def test_what_came_back_is_marked(permitted: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    row = replace(sighted(), regressions=1)
    monkeypatch.setattr(findings_page, "every_finding", lambda: [row])
    page = permitted.get("/performance/findings/").content.decode()
    assert 'data-state="reopened">Re-opened</span>' in page


@pytest.mark.parametrize(
    ("kind", "evidence", "shown"),
    [
        ("unheard_of", {"rows": 7, "advice": "do_it()"}, "do_it()"),
        ("unheard_of", {"rows": 7}, "Unheard of: rows 7"),
        (
            "tenant",
            {"tables": [{"table": "leads", "column": "tenant_id"}]},
            "reaches leads without tenant_id",
        ),
        (
            "missing_index",
            {"table": "leads", "columns": ["email"], "text": "All of leads is read."},
            "All of leads is read. Declare an index on email.",
        ),
        (
            "missing_index",
            {"table": "leads", "columns": ["email"], "patterns": ["email"]},
            "filtered by email.",
        ),
        (
            "missing_index",
            {
                "table": "leads",
                "columns": ["email"],
                "text": "All of leads is read.",
                "sentence": 'leads lacks an index on email: declare it with register("shop.Lead", Index("email"))',
            },
            "leads lacks an index on email: declare it with register(&quot;shop.Lead&quot;, Index(&quot;email&quot;))</p>",
        ),
        ("wide_rows", {"sentence": "Load less.", "advice": "only(&quot;id&quot;)"}, "Load less. <code>only("),
        ("long_transaction", {}, "Long transaction"),
    ],
)
def test_a_finding_of_any_kind_says_what_its_evidence_says(
    kind: str, evidence: dict[str, object], shown: str, permitted: Client
) -> None:
    sighted(kind, **(evidence or {"us": 1}))
    assert shown in permitted.get("/performance/findings/").content.decode()


def test_what_names_no_tenant_is_said_to_stand_first(permitted: Client) -> None:
    assert "what saves most in all first" in permitted.get("/performance/findings/").content.decode()
    sighted("tenant", tables=[{"table": "leads", "column": "tenant_id"}], about="leads")
    page = permitted.get("/performance/findings/").content.decode()
    assert "what names no tenant, then what saves most in all" in page
    assert "Tenant not named: leads" in page


def test_a_missing_index_has_the_lines_that_make_it_to_copy(permitted: Client) -> None:
    lines = {
        "register": 'register("shop.Lead", Index("email"))',
        "meta": 'models.Index(fields=["email"])',
        "mongosh": 'db.leads.createIndex({"email": 1})',
    }
    sighted("missing_index", table="leads", columns=["email"], **lines)
    page = permitted.get("/performance/findings/").content.decode()
    for where, line in zip(("indexes.py", "Meta.indexes", "mongosh"), lines.values(), strict=True):
        shown = line.replace('"', "&quot;")
        assert (
            f'<dt>{where}</dt><dd><span class="ps-copied"><code>{shown}</code><button type="button" data-copy hidden'
            in page
        )


@pytest.mark.parametrize("place", PLACES)
def test_what_is_unknown_is_answered_in_words(place: str) -> None:
    row = sighted()
    changer = client_with("view_dashboard", "change_findings")
    answer = changer.post(f"{place}findings/{'0' * 32}/state/", {"state": "open"})
    assert answer.status_code == 404
    assert "There is no finding" in answer.content.decode()
    answer = changer.post(f"{place}findings/{row.id}/state/", {"state": "gone"})
    assert answer.status_code == 400
    assert "Unknown state &#x27;gone&#x27;. Write one of open, ignored, resolved." in answer.content.decode()
    assert changer.get(f"{place}findings/?state=gone").status_code == 400
    assert [each.state for each in findings()] == ["open"]


@pytest.mark.parametrize("place", PLACES)
def test_a_store_that_is_away_is_one_sentence(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    row = sighted()

    def away(*args: object, **kwargs: object) -> None:
        raise StoreUnavailable("The metrics store cannot be read: no such table.")

    monkeypatch.setattr(findings_page, "every_finding", away)
    monkeypatch.setattr(findings_page, "finding", away)
    changer = client_with("view_dashboard", "change_findings")
    for answer in (
        changer.get(f"{place}findings/"),
        changer.post(f"{place}findings/{row.id}/state/", {"state": "ignored"}),
    ):
        assert answer.status_code == 503
        assert "The metrics store cannot be read: no such table." in answer.content.decode()


def test_who_loses_the_race_for_a_finding_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    row = sighted()

    def busy(*args: object, **kwargs: object) -> None:
        raise RuntimeError("The finding is changed by others all the time; try again.")

    monkeypatch.setattr(findings_page, "set_state", busy)
    changer = client_with("view_dashboard", "change_findings")
    answer = changer.post(f"/performance/findings/{row.id}/state/", {"state": "ignored"})
    assert answer.status_code == 409
    assert "try again" in answer.content.decode()


@pytest.mark.parametrize("place", PLACES)
def test_the_tabs_lead_from_page_to_page(place: str, permitted: Client) -> None:
    for name, current in (("", "Overview"), ("queries/", "Queries"), ("findings/", "Findings")):
        whole = permitted.get(place + name).content.decode()
        page = whole[whole.index('<nav class="ps-tabs"') :].partition("</nav>")[0]
        assert page.count('aria-current="page"') == 1
        assert f' aria-current="page">{current}</a>' in page
        for other in ("queries/", "findings/"):
            assert f'href="{place}{other}' in page
