"""Sightings in a process: merged by finding, bounded, never raising, and written once by the flusher."""

from __future__ import annotations

import json
import logging
import threading
from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings

from perfsuite.exceptions import StoreUnavailable
from perfsuite.metrics import flush, guard, kinds
from perfsuite.metrics.flusher import flusher
from perfsuite.metrics.recorder import recorder
from perfsuite.metrics.sightings import (
    MAX_EVIDENCE_CHARS,
    MAX_FINDINGS,
    MAX_TEXT_CHARS,
    Sighting,
    finding_id,
    sight,
    take,
)
from perfsuite.metrics.storages import StoredSighting, get_storage
from perfsuite.metrics.storages.orm import ORMStorage
from tests.metrics.conftest import run_host
from tests.metrics.rows import VOLUME, stored

AWAY = {"METRICS": {"DATABASE": "away", "MAX_PENDING_ROWS": 100}}


def sighting(**changed: Any) -> Sighting:
    given: dict[str, Any] = {
        "kind": "slow",
        "subject": "SELECT ?",
        "alias": "default",
        "route": "/a/",
        "site": "app/views.py:42 in listing",
        "saving_us": 10.0,
        "evidence": {"n": 1},
    }
    return Sighting(**{**given, **changed})


def rows() -> list[StoredSighting]:
    return get_storage().sightings(0, None)


# In the process


def test_what_is_about_the_same_finding_is_merged() -> None:
    for n in (1, 2, 3):
        sight(sighting(saving_us=10.0 * n, evidence={"n": n}))
    (row,) = take("w")
    assert (row.count, row.saving_us, row.saving_us_max) == (3, 60.0, 30.0)
    assert json.loads(row.about) == ["slow", "SELECT ?", "default", "/a/", "app/views.py:42 in listing"]
    assert json.loads(row.evidence) == {"n": 3}
    assert take("w") == []


@pytest.mark.parametrize("part", ["kind", "subject", "alias", "route", "site"])
def test_a_finding_is_one_of_each_kind_subject_alias_route_and_site(part: str) -> None:
    sight(sighting())
    sight(sighting(**{part: "other"}))
    assert len({row.finding for row in take("w")}) == 2


def test_the_line_of_the_call_site_is_shown_and_does_not_tell_findings_apart() -> None:
    sight(sighting(site="app/views.py:42 in listing"))
    sight(sighting(site="app/views.py:57 in listing"))
    sight(sighting(site="app/views.py:57 in detail"))
    listing, detail = take("w")
    assert (listing.count, detail.count) == (2, 1)
    assert json.loads(listing.about)[4] == "app/views.py:57 in listing"
    assert listing.finding == finding_id("slow", "SELECT ?", "default", "/a/", "app/views.py:1 in listing")


def test_what_is_beyond_the_cap_is_counted_and_what_is_known_goes_on() -> None:
    for n in range(MAX_FINDINGS + 7):
        sight(sighting(subject=f"s{n}"))
    sight(sighting(subject="s0"))
    taken = take("w")
    assert len(taken) == MAX_FINDINGS
    assert sum(row.count for row in taken) == MAX_FINDINGS + 1
    assert recorder.take()[kinds.SELF_FOLDED.name, ("sightings",)].sum == 7


def test_other_requests_that_came_to_the_same_count_with_it() -> None:
    sight(sighting(saving_us=5, others_us=(7, float("nan"))))
    sight(sighting(saving_us=1))
    (row,) = take("w")
    assert (row.count, row.saving_us, row.saving_us_max) == (4, 13.0, 7.0)


@pytest.mark.parametrize("saving_us", [float("nan"), float("inf"), -1.0, 1e300])
def test_an_estimate_that_is_none_saves_nothing(saving_us: float) -> None:
    sight(sighting(saving_us=saving_us))
    sight(sighting(saving_us=5))
    (row,) = take("w")
    assert (row.count, row.saving_us, row.saving_us_max) == (2, 5.0, 5.0)


@pytest.mark.parametrize(
    "broken",
    [None, "text", sighting(subject=None), sighting(saving_us="much"), sighting(route=["/a/"])],
    ids=["nothing", "text", "subject", "saving", "route"],
)
def test_what_cannot_be_sighted_is_counted_and_raises_nothing(broken: Any) -> None:
    sight(broken)
    sight(sighting())
    assert len(take("w")) == 1
    assert guard.take_failures() == {"sightings": 1}


def test_evidence_that_cannot_be_written_costs_nothing_but_itself() -> None:
    class Broken(dict[str, Any]):
        def items(self) -> Any:
            raise RuntimeError("no items")

    sight(sighting(evidence=Broken(n=1)))
    sight(sighting(subject="long", evidence={"sql": "x" * 100_000, "n": 1}))
    broken, long = take("w")
    assert json.loads(broken.evidence) == {}
    assert len(long.evidence) <= MAX_EVIDENCE_CHARS
    assert json.loads(long.evidence)["n"] == 1


def test_threads_that_sight_at_once_lose_nothing() -> None:
    def work() -> None:
        for n in range(500):
            sight(sighting(subject=f"s{n % 5}"))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(row.count for row in take("w")) == [800] * 5


# Written


@pytest.mark.django_db(databases="__all__")
def test_a_flush_writes_one_row_for_each_finding() -> None:
    for n in range(3):
        sight(sighting(subject=f"s{n}"))
        sight(sighting(subject=f"s{n}"))
    assert flush()
    assert [row.count for row in rows()] == [2, 2, 2]
    assert all(row.start % 10 == 0 and 0 <= row.at - row.start < 20 for row in rows())
    assert flush()
    assert len(rows()) == 3


@pytest.mark.django_db(databases="__all__")
@pytest.mark.parametrize(
    "text", ["", "é 漢 🎉", "nul \0 in it", "half a pair \ud83c", "x" * 5_000, "<script>'\"", "%s ? ; --"]
)
def test_any_text_is_stored_and_read_back(text: str) -> None:
    sight(sighting(subject=text, alias=text, route=text, site=text, evidence={"t": text}))
    assert flush()
    (row,) = rows()
    _, *texts = json.loads(row.about)
    expected = text.replace("\0", "�").replace("\ud83c", "?")
    assert all(each == expected or (each[:99] == text[:99] and len(each) == MAX_TEXT_CHARS) for each in texts)
    assert json.loads(row.evidence)["t"].startswith(text[:900])
    assert row.finding == finding_id(*json.loads(row.about))


@pytest.mark.django_db(databases="__all__")
def test_what_was_seen_while_the_store_was_away_is_written_when_it_is_back_and_has_its_own_time() -> None:
    with override_settings(PERFSUITE=AWAY):
        for _ in range(3):
            sight(sighting())
            assert not flush()
    assert len(flusher.pending) == 3
    assert flush()
    assert [row.count for row in rows()] == [1, 1, 1]
    assert len({row.id for row in rows()}) == 3


@pytest.mark.django_db(databases="__all__")
def test_what_waits_is_bounded_by_its_length_too_and_what_is_dropped_is_counted() -> None:
    with override_settings(PERFSUITE=AWAY):
        for _ in range(6):
            for n in range(10):
                sight(sighting(subject=f"s{n}", evidence={"t": "x" * 6_000}))
            assert not flush()
            assert (
                len(flusher.pending) <= 2
            )  # one alone has ten rows and 60,000 characters, which weigh as much as 70
    assert flush()
    assert flush()
    dropped = stored(10, kinds.SELF_DROPPED.name)
    assert dropped.sum > 0
    assert sum(row.count for row in rows()) + dropped.sum == 60


class UnknownOutcome(ORMStorage):
    """Loses its connection after the sightings were committed, as often as ``times``."""

    times = 0

    def append_sightings(self, rows: Any, again: bool = False) -> None:
        super().append_sightings(rows, again=again)
        if type(self).times:
            type(self).times -= 1
            raise StoreUnavailable("The connection was lost.")


@pytest.mark.django_db(databases="__all__")
def test_rows_whose_outcome_is_unknown_are_counted_once() -> None:
    path = f"{UnknownOutcome.__module__}.{UnknownOutcome.__name__}"
    with override_settings(PERFSUITE={"METRICS": {"STORAGE": path}}):
        UnknownOutcome.times = 2
        recorder.observe(VOLUME.name, ("/a/",), 1)
        sight(sighting())
        assert not flush()
        assert not flush()
        assert flush()
    assert [row.count for row in rows()] == [1]
    assert stored(10, VOLUME.name).count == 1


class Refusing(ORMStorage):
    """Refuses sightings for good."""

    def append_sightings(self, rows: Any, again: bool = False) -> None:
        raise ValueError("such rows are refused")


@pytest.mark.django_db(databases="__all__")
def test_sightings_that_are_refused_cost_no_numbers(caplog: pytest.LogCaptureFixture) -> None:
    with override_settings(PERFSUITE={"METRICS": {"STORAGE": f"{__name__}.Refusing"}}):
        recorder.observe(VOLUME.name, ("/a/",), 1)
        sight(sighting())
        sight(sighting())
        assert flush()
        assert flush()
    assert stored(10, VOLUME.name).count == 1
    assert stored(10, kinds.SELF_DROPPED.name).sum == 2
    assert [record.levelno for record in caplog.records if record.name == "perfsuite.metrics"] == [
        logging.ERROR
    ]


@pytest.mark.alike
@pytest.mark.skipif("not hasattr(__import__('os'), 'fork')")
def test_a_forked_child_writes_what_it_saw_and_not_what_its_parent_did(tmp_path: Path) -> None:
    printed = run_host(
        """
        from perfsuite.metrics.sightings import Sighting, sight
        from perfsuite.metrics.findings import findings
        flush()  # makes the store
        def seen(n):
            sight(Sighting("slow", "SELECT ?", "default", "/a/", "a.py:1 in b", 1.0, {"by": n}))
        seen("parent")
        from perfsuite.metrics import sightings
        sightings._sightings._lock.acquire()  # another thread of the parent is at it
        child = os.fork()
        if child == 0:
            seen("child")
            os._exit(0 if flush() else 1)
        _, status = os.waitpid(child, 0)
        assert status == 0
        between = findings()[0].evidence["count"]
        sightings._sightings._lock.release()
        flush()
        print(between, findings()[0].evidence["count"])
        """,
        tmp_path,
    )
    assert printed == "1 2"
