"""The page of indexes: who sees it, what it shows of what was collected, and that it asks no database itself."""

from __future__ import annotations

import time

import pytest
from django.test import Client, override_settings

import perfsuite.metrics
from perfsuite.exceptions import StoreUnavailable
from perfsuite.indexes import kept
from perfsuite.indexes.reports import Analysis, IndexReport, TableReport
from perfsuite.indexes.suggesting import Evidence, Suggestion
from perfsuite.metrics.flusher import flusher
from perfsuite.panel.pages import indexes as indexes_page
from tests.panel.conftest import client_of, make_user
from tests.panel.pages_host import ESCAPED, HOSTILE, PLACES, client_with
from tests.panel.test_page import INLINE

pytestmark = pytest.mark.django_db(databases="__all__")
DAY_S = 86_400


def collect(*more: IndexReport, error: str = "") -> None:
    """Keep a collection as the leader does, of a day ago."""
    flusher._announced.clear()
    at = int(time.time()) - DAY_S
    lead = ("default", "site_lead")
    indexes = (
        IndexReport(*lead, "wanted_idx", "missing", "(tenant_id, status)", source="site.indexes"),
        IndexReport(*lead, "other_idx", "conflict", "(a)", note=f"its name is taken {HOSTILE}"),
        IndexReport(*lead, "text_idx", "unsupported", "(body)", note="SQLite has no text index"),
        IndexReport(*lead, "had_idx", "declared", "(tenant_id)", size=8_192, uses=1_234, since=at),
        IndexReport(
            *lead,
            "old_idx",
            "foreign",
            "(status)",
            waste="not used since 2020-01-01",
            size=65_536,
            uses=0,
            since=at,
        ),
        IndexReport(
            *lead, "fk_idx", "django", "(form_id)", waste="pk_idx begins with the same columns", size=4_096
        ),
        IndexReport(*lead, "site_lead_pkey", "constraint", "unique (id)", size=4_096),
        *more,
    )
    table = TableReport(
        *lead, 50_000, 1_048_576, 524_288, 210.0, 9_000, 40, 777, at - 40 * DAY_S, 5,
        first_at=at - 30 * DAY_S, first_rows=40_000, first_size=1_000_000,
    )  # fmt: skip
    kept.keep(Analysis("default", "PostgreSQL", at, (table,), indexes))
    asking = Evidence(f"SELECT {HOSTILE}", "0a1b2c3d", ("/leads/",), 120.0, 6e7, ("All rows are read",))
    line = 'register("site.Lead", Index("tenant_id", "-created_at"))'
    suggested = Suggestion(
        *lead, "site.Lead", ("tenant_id", "-created_at"), line, "models.Index()", "", 6e7, 120.0, (asking,)
    )
    kept.keep_suggestions("default", [suggested.as_json()], at)
    if error:
        kept.keep_error("default", error, at + 60)
    assert perfsuite.metrics.flush()


@pytest.mark.parametrize("place", PLACES)
def test_only_permitted_staff_sees_indexes(place: str) -> None:
    url = f"{place}indexes/"
    assert Client().get(url)["Location"].startswith("/admin/login/?next=")
    assert client_of(make_user("staff", staff=True)).get(url).status_code == 403
    assert client_with("change_findings").get(url).status_code == 403
    answer = client_with("view_dashboard").get(url)
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    assert client_with("view_dashboard", name="other").post(url).status_code == 405


@pytest.mark.parametrize("place", PLACES)
def test_what_was_collected_is_shown_as_text(place: str, permitted: Client) -> None:
    collect()
    page = permitted.get(f"{place}indexes/").content.decode()
    for shown in (
        "PostgreSQL, collected",
        "1 day ago",
        "<code>wanted_idx</code>",
        "declared in site.indexes",
        "SQLite has no text index",
        "1,234",
        "64.0 KiB",
        "+10,000 rows +559.4 KiB since ",
        "is read whole more often than by an index",
        "python manage.py setup_indexes --drop-unused site_lead.old_idx --apply --yes --database default",
        "python manage.py setup_indexes --apply --database default",
        "A migration made it: change the field or Meta.indexes of the model, and migrate.",
        "site_lead (tenant_id, -created_at)",
        "register(&quot;site.Lead&quot;, Index(&quot;tenant_id&quot;, &quot;-created_at&quot;))",
        "60.0 s a day",
        "All rows are read",
        "queries/0a1b2c3d/?database=default",
    ):
        assert shown in page, shown
    assert ESCAPED in page
    assert HOSTILE not in page
    assert INLINE.search(page) is None
    assert "site_lead_pkey" not in page


@pytest.mark.parametrize(
    ("state", "shown", "hidden"),
    [
        ("missing", "wanted_idx", "had_idx"),
        ("conflict", "other_idx", "wanted_idx"),
        ("declared", "had_idx", "wanted_idx"),
        ("migrations", "site_lead_pkey", "wanted_idx"),
        ("all", "site_lead_pkey", ""),
    ],
)
def test_indexes_are_divided_by_their_state(state: str, shown: str, hidden: str, permitted: Client) -> None:
    collect()
    page = permitted.get(f"/performance/indexes/?state={state}").content.decode()
    listed = page.partition('aria-labelledby="ps-indexes"')[2].partition("</section>")[0]
    assert shown in listed
    assert not hidden or hidden not in listed


def test_before_the_first_collection_the_page_says_what_to_type(permitted: Client) -> None:
    page = permitted.get("/performance/indexes/").content.decode()
    assert "Nothing was collected of default yet: a running site does it within a minute of its start" in page
    assert "python manage.py analyze_collections --keep --database default" in page
    assert "every 6.0 h" in page
    with override_settings(PERFSUITE={"INDEXES": {"COLLECT_EVERY_S": 0}}):
        assert "since COLLECT_EVERY_S is 0" in permitted.get("/performance/indexes/").content.decode()


def test_a_database_that_could_not_be_read_is_said_beside_what_was_read_before(permitted: Client) -> None:
    collect(error="The database 'default' cannot be reached: gone.")
    page = permitted.get("/performance/indexes/").content.decode()
    assert "The database &#x27;default&#x27; cannot be reached: gone." in page
    assert "wanted_idx" in page


@pytest.mark.parametrize("asked", ["database=nope", "state=nope"])
def test_an_address_that_names_nothing_is_one_sentence(asked: str, permitted: Client) -> None:
    answer = permitted.get(f"/performance/indexes/?{asked}")
    assert answer.status_code == 400
    assert "Unknown " in answer.content.decode()


def test_a_store_that_is_away_is_said(permitted: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(aliases: object) -> None:
        raise StoreUnavailable("The metrics store cannot be read: no such table.")

    monkeypatch.setattr(indexes_page.kept, "latest", away)
    answer = permitted.get("/performance/indexes/")
    assert answer.status_code == 503
    assert "The metrics store cannot be read: no such table." in answer.content.decode()
