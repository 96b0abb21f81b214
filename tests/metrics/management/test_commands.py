"""``compact_metrics`` and ``trim_metrics``: dry runs unless told otherwise, and never beside a running leader."""

from __future__ import annotations

import io

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings

from perfsuite.metrics import compaction, leader
from perfsuite.metrics.leader import HOLD_S, TTL_S, Candidate, LeaseLost
from perfsuite.metrics.management.commands import compact_metrics
from perfsuite.metrics.models import Bucket
from perfsuite.metrics.storages import get_storage
from perfsuite.metrics.storages.alias import store_alias
from tests.metrics.conftest import Clock
from tests.metrics.rows import stored
from tests.metrics.world import SERIES, World

pytestmark = pytest.mark.django_db(databases="__all__")

MODULES = ("compaction", "query", "leader", "management.commands.compact_metrics")


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    clock = Clock(monkeypatch, *(f"perfsuite.metrics.{name}" for name in MODULES))
    clock.epoch -= clock.epoch % 86_400
    made = World(clock)
    for _ in range(10):
        made.write(SERIES[0], [1.0])
        clock.move(700)
    return made


def run(command: str, *, apply: bool = False) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    call_command(command, apply=apply, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def buckets() -> int:
    return Bucket.objects.using(store_alias()).count()


def test_without_apply_compact_metrics_changes_nothing_and_says_what_to_type(world: World) -> None:
    before = buckets()
    out, err = run("compact_metrics")
    assert out == "6900 seconds wait for compaction\n"
    assert err == "Nothing was changed; type: manage.py compact_metrics --apply\n"
    assert buckets() == before
    assert get_storage().read_lease(leader.LEASE) is None


def test_with_apply_compact_metrics_compacts_and_gives_the_lead_back(world: World) -> None:
    out, err = run("compact_metrics", apply=True)
    # 10 minutes with a value, 9 stretches of ten minutes that something came after, and the first hour.
    assert out == "20 stretches compacted\n"
    assert err == ""
    assert stored(60).count == 10
    assert run("compact_metrics", apply=True)[0] == "0 stretches compacted\n"
    assert run("compact_metrics")[0] == "0 seconds wait for compaction\n"
    assert Candidate().renew()


@pytest.mark.by_store
def test_without_apply_trim_metrics_changes_nothing_and_says_what_it_would_delete(world: World) -> None:
    run("compact_metrics", apply=True)
    before = buckets()
    out, err = run("trim_metrics")
    assert out.splitlines() == [
        "10 s: 9 rows past their retention",
        "1 min: 0 rows past their retention",
        "10 min: 0 rows past their retention",
        "1 h: 0 rows past their retention",
        "1 d: 0 rows past their retention",
    ]
    assert err == "Nothing was deleted; type: manage.py trim_metrics --apply\n"
    assert buckets() == before


@pytest.mark.by_store
def test_with_apply_trim_metrics_deletes_what_it_had_said(world: World) -> None:
    run("compact_metrics", apply=True)
    before = buckets()
    out, err = run("trim_metrics", apply=True)
    assert out.splitlines()[0] == "10 s: 9 rows deleted"
    assert err == ""
    assert buckets() == before - 9
    assert run("trim_metrics")[0].splitlines()[0] == "10 s: 0 rows past their retention"
    assert Candidate().renew()


@pytest.mark.parametrize("command", ["compact_metrics", "trim_metrics"])
def test_beside_a_running_server_a_command_gives_up_and_says_why(
    world: World, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Candidate()
    assert server.renew()
    sleep = world.clock.sleep

    def server_renews_meanwhile(seconds: float) -> None:
        sleep(seconds)
        assert server.renew()

    monkeypatch.setattr(world.clock, "sleep", server_renews_meanwhile)
    before = buckets()
    with pytest.raises(CommandError, match="A running server leads and does this by itself"):
        run(command, apply=True)
    assert buckets() == before
    assert server.renew()


@pytest.mark.by_store
def test_the_lease_of_a_dead_process_is_waited_for(world: World) -> None:
    assert Candidate().renew()
    started = world.clock.now
    out, err = run("compact_metrics", apply=True)
    assert out == "20 stretches compacted\n"
    assert err == "Another process holds the lead; waiting up to 14 s to see whether it lives.\n"
    assert TTL_S <= world.clock.now - started < TTL_S + HOLD_S


@pytest.mark.parametrize(("command", "what"), [("compact_metrics", "compacts"), ("trim_metrics", "trims")])
def test_a_command_that_is_overtaken_says_so(
    world: World, command: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost() -> None:
        raise LeaseLost

    monkeypatch.setattr(compaction, "compact", lost)
    monkeypatch.setattr(compaction, "trim", lost)
    with pytest.raises(CommandError, match=f"The lead went to another process, which {what} now"):
        run(command, apply=True)


@pytest.mark.parametrize("command", ["compact_metrics", "trim_metrics"])
@pytest.mark.parametrize("apply", [False, True])
def test_a_store_that_is_away_is_one_sentence(world: World, command: str, apply: bool) -> None:
    with (
        override_settings(PERFSUITE={"METRICS": {"DATABASE": "misspelt"}}),
        pytest.raises(CommandError, match="'misspelt' cannot be used") as caught,
    ):
        run(command, apply=apply)
    assert caught.value.returncode == 1


def test_the_help_says_that_running_servers_do_it_by_themselves() -> None:
    assert "by themselves" in compact_metrics.Command.help
