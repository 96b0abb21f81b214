"""One leader per fleet, however wrong the clocks are, and the jobs that it alone runs."""

from __future__ import annotations

import logging
import random
import threading

import pytest
from django.db import connections
from django.test import override_settings

from perfsuite.exceptions import StoreUnavailable
from perfsuite.metrics import leader
from perfsuite.metrics.leader import (
    HOLD_S,
    LEASE,
    TTL_S,
    Candidate,
    LeaseLost,
    register_job,
    still_leads,
    tick,
)
from perfsuite.metrics.request import Tally, current
from perfsuite.metrics.storages import get_storage
from perfsuite.metrics.storages.orm import ORMStorage
from tests.metrics.conftest import Clock

pytestmark = pytest.mark.django_db(databases="__all__")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch, "perfsuite.metrics.leader")


@pytest.fixture(autouse=True)
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Keep only this test's jobs; return the list into which they write their names."""
    monkeypatch.setattr(leader, "_jobs", {})
    return []


# The lease


def test_holding_ends_before_others_may_take_over() -> None:
    assert HOLD_S < TTL_S


def test_a_free_lease_is_taken_at_once_and_by_one_only(clock: Clock) -> None:
    a, b = Candidate(), Candidate()
    assert not a.leads()
    assert a.renew()
    assert a.leads()
    assert not b.renew()
    assert not b.leads()


def test_the_holder_renews_as_long_as_it_likes(clock: Clock) -> None:
    a, b = Candidate(), Candidate()
    assert a.renew()
    for _ in range(20):
        clock.move(5)
        assert a.renew()
        assert not b.renew()


def test_a_holder_that_cannot_renew_stops_leading_by_itself(clock: Clock) -> None:
    a = Candidate()
    assert a.renew()
    clock.move(HOLD_S - 0.1)
    assert a.leads()
    clock.move(0.2)
    assert not a.leads()


def test_another_takes_over_only_after_it_has_seen_no_beat_for_the_whole_time(clock: Clock) -> None:
    a, b = Candidate(), Candidate()
    assert a.renew()
    clock.move(100)  # however long ago the last beat was, b has just come
    assert not b.renew()
    clock.move(TTL_S - 0.1)
    assert not b.renew()
    clock.move(0.1)
    assert b.renew()
    assert not a.leads()
    assert not a.renew()


def test_a_beat_in_between_starts_the_wait_anew(clock: Clock) -> None:
    a, b = Candidate(), Candidate()
    assert a.renew()
    assert not b.renew()
    clock.move(TTL_S - 1)
    assert a.renew()
    clock.move(2)
    assert not b.renew()
    clock.move(TTL_S - 0.1)
    assert not b.renew()
    clock.move(0.1)
    assert b.renew()


def test_a_holder_that_comes_back_late_goes_on_if_nobody_took_the_lease(clock: Clock) -> None:
    a = Candidate()
    assert a.renew()
    clock.move(1_000)
    assert not a.leads()
    assert a.renew()


def test_a_lease_that_was_given_up_is_free_at_once(clock: Clock) -> None:
    a, b = Candidate(), Candidate()
    assert a.renew()
    assert not b.renew()
    a.resign()
    assert not a.leads()
    assert b.renew()
    a.resign()  # which it has no longer
    assert b.renew()
    assert not a.renew()


def test_giving_up_what_one_does_not_hold_changes_nothing(clock: Clock) -> None:
    a, b = Candidate(), Candidate()
    assert a.renew()
    b.resign()
    assert a.renew()


def test_of_two_that_find_the_lease_stale_one_gets_it(clock: Clock) -> None:
    storage = get_storage()
    a, b, c = Candidate(), Candidate(), Candidate()
    assert a.renew()
    assert not b.renew()
    assert not c.renew()
    clock.move(TTL_S)
    there = storage.read_lease(LEASE)
    assert b.renew()
    assert not storage.move_lease(LEASE, there, (c.owner, 99))
    assert not c.renew()


def test_a_holder_that_finds_another_in_its_place_stops_at_once(clock: Clock) -> None:
    a, b = Candidate(), Candidate()
    assert a.renew()
    get_storage().move_lease(
        LEASE, (a.owner, a.beat), (b.owner, 1)
    )  # as in a store that was restored or made anew
    assert a.leads()
    assert not a.renew()
    assert not a.leads()


def test_a_renewal_whose_outcome_is_unknown_leads_to_no_second_leader(clock: Clock) -> None:
    a, b = Candidate(), Candidate()
    assert a.renew()
    # The beat moved, but the answer was lost.
    get_storage().move_lease(LEASE, (a.owner, a.beat), (a.owner, a.beat + 1))
    assert not b.renew()
    clock.move(HOLD_S)
    assert not a.renew()
    assert not a.leads()
    clock.move(TTL_S)
    assert [a.renew(), b.renew()].count(True) == 1


class SlowStorage(ORMStorage):
    """Answers a read only after some time, in which others go on."""

    clock: Clock
    takes_s = 0.0
    meanwhile: Candidate | None = None

    def read_lease(self, name: str) -> tuple[str, int] | None:
        takes_s, meanwhile = type(self).takes_s, type(self).meanwhile
        type(self).takes_s, type(self).meanwhile = 0.0, None
        self.clock.move(takes_s)
        if meanwhile is not None:
            assert meanwhile.renew()
        return super().read_lease(name)


@override_settings(PERFSUITE={"METRICS": {"STORAGE": f"{__name__}.SlowStorage"}})
def test_a_read_that_took_long_does_not_shorten_the_wait(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SlowStorage, "clock", clock, raising=False)
    a, b = Candidate(), Candidate()
    assert a.renew()
    monkeypatch.setattr(SlowStorage, "takes_s", 9.0)
    monkeypatch.setattr(SlowStorage, "meanwhile", a)
    assert not b.renew()  # asked 9 seconds ago, but a has renewed just now
    clock.move(HOLD_S - 0.5)
    assert a.leads()
    assert not b.renew()


@pytest.mark.by_store
def test_at_no_instant_two_lead_whatever_happens(clock: Clock) -> None:
    chance = random.Random(7)
    candidates = [Candidate() for _ in range(4)]
    led = 0
    for _ in range(1_500):
        clock.move(chance.choice([0.0, 0.1, 1.0, 4.0, 5.0, 9.0, 15.0]))
        each = chance.choice(candidates)
        if chance.random() < 0.05:
            each.resign()
        elif chance.random() < 0.05:
            candidates[candidates.index(each)] = Candidate()  # killed, and replaced by another
        else:
            each.renew()
        leading = sum(candidate.leads() for candidate in candidates)
        assert leading <= 1
        led += leading
    assert led > 300


def test_a_forked_child_is_a_candidate_of_its_own() -> None:
    before = leader.candidate
    leader._reset()
    assert leader.candidate.owner != before.owner


# Jobs


def job(name: str, ran: list[str], every_s: float = 60) -> None:
    register_job(name, every_s, lambda: ran.append(name))


def test_the_leader_runs_each_job_when_it_is_due(clock: Clock, ran: list[str]) -> None:
    job("minutely", ran, 60)
    job("hourly", ran, 3_600)
    for _ in range(121):
        tick()
        clock.move(5)
    assert ran.count("minutely") == 11
    assert ran.count("hourly") == 1


def test_who_does_not_lead_runs_nothing(clock: Clock, ran: list[str]) -> None:
    assert Candidate().renew()
    job("minutely", ran)
    tick()
    assert ran == []


def test_a_job_runs_once_a_period_however_often_the_leader_changes(
    clock: Clock, ran: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    job("hourly", ran, 3_600)
    for _ in range(20):
        monkeypatch.setattr(leader, "candidate", Candidate())
        tick()
        assert leader.candidate.leads()
        leader.resign()
        clock.move(60)
    assert ran == ["hourly"]


def test_registering_a_name_again_replaces_the_job(clock: Clock, ran: list[str]) -> None:
    job("same", ran)
    register_job("same", 60, lambda: ran.append("replaced"))
    tick()
    assert ran == ["replaced"]


def test_a_job_that_fails_is_logged_the_others_run_and_it_runs_again_when_next_due(
    clock: Clock, ran: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> None:
        ran.append("broken")
        raise RuntimeError("broken job")

    register_job("broken", 60, broken)
    job("whole", ran, 60)
    tick()
    tick()
    assert ran == ["broken", "whole"]
    (record,) = [r for r in caplog.records if r.levelno >= logging.ERROR]
    assert record.getMessage() == "The job broken failed; it runs again when it is next due."
    assert record.exc_info is not None
    for _ in range(13):
        clock.move(5)
        tick()
    assert ran == ["broken", "whole", "broken", "whole"]


def test_a_job_that_the_end_of_the_process_cuts_short_is_no_error_in_the_log(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    def starts_a_thread() -> None:
        raise RuntimeError("cannot schedule new futures after interpreter shutdown")

    register_job("cut", 60, starts_a_thread)
    with caplog.at_level(logging.DEBUG, logger="perfsuite"):
        tick()
    assert [record.levelname for record in caplog.records if "cut" in record.getMessage()] == ["DEBUG"]


def test_a_due_time_set_by_a_clock_that_ran_ahead_does_not_stop_the_job(clock: Clock, ran: list[str]) -> None:
    job("minutely", ran, 60)
    get_storage().move_mark("job:minutely", None, int(clock.epoch) + 86_400 * 365)
    tick()
    assert ran == ["minutely"]
    tick()
    assert ran == ["minutely"]


def test_a_due_time_that_another_has_just_moved_is_not_run_twice(
    clock: Clock, ran: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    job("minutely", ran)
    monkeypatch.setattr(ORMStorage, "move_mark", lambda *args: False)
    tick()
    assert ran == []


def test_a_job_that_lost_the_lead_stops_where_it_is(
    clock: Clock, ran: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    other = Candidate()

    def long_job() -> None:
        ran.append("first step")
        still_leads()
        assert not other.renew()
        clock.move(TTL_S)
        assert other.renew()
        still_leads()
        ran.append("second step")

    register_job("long", 60, long_job)
    job("next", ran)
    tick()
    assert ran == ["first step"]
    assert [r.levelno for r in caplog.records if r.levelno > logging.INFO] == []


def test_still_leads_raises_without_the_lead(clock: Clock) -> None:
    assert Candidate().renew()
    with pytest.raises(LeaseLost):
        still_leads()


def test_a_job_whose_store_goes_away_ends_the_round_quietly(
    clock: Clock, ran: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    def away() -> None:
        raise StoreUnavailable("The store is away.")

    register_job("away", 60, away)
    job("next", ran)
    tick()
    assert ran == []
    assert [r for r in caplog.records if r.levelno > logging.DEBUG] == []


@pytest.mark.parametrize(
    "metrics",
    [{"DATABASE": "misspelt"}, {"STORAGE": "perfsuite.no.such.Storage"}],
    ids=["database", "storage"],
)
def test_a_store_that_cannot_be_used_neither_raises_nor_fills_the_log(
    clock: Clock, caplog: pytest.LogCaptureFixture, metrics: dict[str, str]
) -> None:
    with override_settings(PERFSUITE={"METRICS": metrics}):
        for _ in range(3):
            tick()
        leader.candidate.held_until = clock.now + 5
        leader.resign()
    assert [r for r in caplog.records if r.levelno > logging.DEBUG] == []


def test_whatever_else_fails_in_a_round_is_logged_and_goes_no_further(
    clock: Clock, ran: list[str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: object, names: object) -> None:
        raise RuntimeError("broken round")

    job("minutely", ran)
    monkeypatch.setattr(ORMStorage, "marks", broken)
    tick()
    assert [r.getMessage() for r in caplog.records] == ["The leader's round failed."]


def test_jobs_run_without_any_request_in_hand(clock: Clock) -> None:
    seen: list[Tally | None] = []
    register_job("look", 60, lambda: seen.append(current.get()))
    token = current.set(Tally())
    try:
        tick()
    finally:
        current.reset(token)
    assert [tally is None or tally.closed for tally in seen] == [True]


@pytest.mark.django_db(databases="__all__", transaction=True)
def test_of_many_threads_that_want_the_lease_at_once_one_gets_it() -> None:
    for _ in range(5):
        get_storage().move_lease(LEASE, get_storage().read_lease(LEASE), ("", 1))
        candidates, begin = [Candidate() for _ in range(5)], threading.Barrier(5)

        def want(candidate: Candidate, begin: threading.Barrier = begin) -> None:
            begin.wait()
            try:
                candidate.renew()
            except StoreUnavailable:  # a shared in-memory SQLite refuses a second writer at once
                pass
            finally:
                connections.close_all()

        threads = [threading.Thread(target=want, args=(each,)) for each in candidates]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(candidate.leads() for candidate in candidates) == 1
