"""What runs outside of requests is counted under its own label, and what is perfsuite's own is not."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import django
import pytest
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory, override_settings

from perfsuite.metrics import sightings
from perfsuite.metrics.request import current
from perfsuite.metrics.sightings import Sighting
from perfsuite.monitoring import RequestMetricsMiddleware
from perfsuite.queries import findings, kinds, outside, track
from tests.recorded import SELECT, Recorded
from tests.testapp.models import Author


@pytest.fixture
def live(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Count as in a process that is no test run."""
    outside._after_fork()
    monkeypatch.setattr(outside, "in_test_run", lambda: False)
    yield
    outside._after_fork()


def look() -> int:
    return len(list(Author.objects.filter(name="nobody")))


class Command(BaseCommand):
    """A command of this module, and so called ``test_outside``."""

    def handle(self, *args: Any, **options: Any) -> None:
        look()
        if options.get("fails"):
            raise LookupError


def routes(recorded: Recorded) -> dict[str, int]:
    counts: dict[str, int] = {}
    for fingerprint, alias, route in recorded.labels(kinds.FINGERPRINT):
        counts[route] = counts.get(route, 0) + recorded.count(kinds.FINGERPRINT, fingerprint, alias, route)
    return counts


@pytest.mark.django_db
def test_a_task_is_counted_under_its_name_as_one_run(recorded: Recorded) -> None:
    for _ in range(2):
        with track("nightly"):
            look()
            look()

    assert routes(recorded) == {"<task> nightly": 4}
    assert recorded.count(kinds.OUTSIDE, "<task> nightly") == 2
    assert recorded.operations() == {SELECT: 4}
    assert current.get() is None


@pytest.mark.django_db
def test_a_task_is_told_of_its_n_plus_one_and_never_that_it_is_chatty(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Sighting] = []
    monkeypatch.setattr(sightings, "sight", seen.append)
    for number in range(12):
        Author.objects.create(name=f"author {number}")

    with track("nightly"):
        for number in range(12):
            Author.objects.get(name=f"author {number}")
        for names in (["id"], ["name"], ["id", "name"], ["name", "id"]):
            list(Author.objects.values_list(*names))
    with override_settings(PERFSUITE={"QUERIES": {"CHATTY_COUNT": 3}}), track("large"):
        for names in (["id"], ["name"], ["id", "name"], ["name", "id"]):
            list(Author.objects.values_list(*names))

    assert [(each.kind, each.route) for each in seen] == [("n_plus_one", "<task> nightly")]


@pytest.mark.django_db
def test_a_decorated_function_is_tracked_each_time_and_keeps_its_name_and_result(recorded: Recorded) -> None:
    @track("count")
    def work(times: int) -> str:
        for _ in range(times):
            look()
        return "done"

    assert (work.__name__, work(2), work(0)) == ("work", "done", "done")
    assert routes(recorded) == {"<task> count": 2}
    assert recorded.count(kinds.OUTSIDE) == 1


@pytest.mark.django_db(transaction=True)
def test_a_coroutine_function_is_tracked_to_its_end_and_others_beside_it_are_apart(
    recorded: Recorded,
) -> None:
    from asgiref.sync import sync_to_async

    async def work(times: int) -> None:
        for _ in range(times):
            await asyncio.sleep(0)
            await sync_to_async(look)()

    async def both() -> None:
        await asyncio.gather(track("one")(work)(2), track("two")(work)(3))

    asyncio.run(both())
    assert routes(recorded) == {"<task> one": 2, "<task> two": 3}


@pytest.mark.django_db
def test_inside_of_a_request_a_task_belongs_to_the_request(recorded: Recorded) -> None:
    def view(request: HttpRequest) -> HttpResponse:
        with track("nightly"):
            look()
        return HttpResponse()

    RequestMetricsMiddleware(view)(RequestFactory().get("/"))
    assert routes(recorded) == {"<middleware>": 1}
    assert recorded.count(kinds.OUTSIDE) == 0


@pytest.mark.django_db
def test_a_task_inside_of_another_is_one_of_its_own(recorded: Recorded) -> None:
    with track("outer"):
        look()
        with track("inner"):
            look()
        look()

    assert routes(recorded) == {"<task> outer": 2, "<task> inner": 1}


@pytest.mark.django_db
def test_what_a_task_raises_goes_on_and_its_statements_are_counted(recorded: Recorded) -> None:
    @track("fails")
    def work() -> None:
        look()
        raise LookupError

    with pytest.raises(LookupError):
        work()

    assert routes(recorded) == {"<task> fails": 1}
    assert current.get() is None


@pytest.mark.parametrize("name", ["", None, look])
def test_a_task_needs_a_name(name: Any) -> None:
    with pytest.raises(TypeError, match="A name is missing"):
        track(name)


@pytest.mark.django_db
def test_a_command_is_counted_under_its_name_and_one_that_it_calls_with_it(
    recorded: Recorded, live: None
) -> None:
    class Outer(Command):
        def handle(self, *args: Any, **options: Any) -> None:
            look()
            call_command(Command())

    call_command(Outer())
    with pytest.raises(LookupError):
        Command().execute(
            no_color=True, force_color=False, skip_checks=True, fails=True, stdout=None, stderr=None
        )

    assert routes(recorded) == {"<command> test_outside": 3}
    assert recorded.count(kinds.OUTSIDE, "<command> test_outside") == 2


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("module", "route"),
    [
        ("django.core.management.commands.shell", "<shell>"),
        ("django.core.management.commands.migrate", None),
        ("perfsuite.metrics.management.commands.x", None),
    ],
)
def test_the_shell_has_its_own_label_and_djangos_and_our_commands_have_none(
    recorded: Recorded, live: None, module: str, route: str | None
) -> None:
    command = type("Command", (Command,), {"__module__": module})
    call_command(command())
    assert routes(recorded) == ({route: 1} if route else {})


@pytest.mark.django_db
def test_what_a_command_repeats_or_takes_long_for_is_told(
    recorded: Recorded, live: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    monkeypatch.setattr(findings.Batch, "tell", lambda *args: seen.append("repeated") or set())
    monkeypatch.setattr(findings, "tell_slow", lambda *args: seen.append("slow"))

    def handle(self: BaseCommand, *args: Any, **options: Any) -> None:
        for _ in range(20):
            look()

    body = {"__module__": "shop.management.commands.import_leads", "handle": handle}
    with override_settings(PERFSUITE={"QUERIES": {"SLOW_QUERY_MS": 0}}):
        call_command(type("Command", (BaseCommand,), body)())
    assert set(seen) == {"repeated", "slow"}
    assert routes(recorded) == {"<command> import_leads": 20}


@pytest.mark.django_db
def test_in_a_test_run_neither_commands_nor_anything_else_is_counted(recorded: Recorded) -> None:
    look()
    call_command(Command())
    assert routes(recorded) == {}


@pytest.mark.django_db
def test_what_no_command_and_no_task_covers_is_not_recorded(recorded: Recorded, live: None) -> None:
    look()
    assert routes(recorded) == {}


@pytest.mark.django_db(transaction=True)
def test_threads_of_a_command_count_for_it(recorded: Recorded, live: None) -> None:
    from django.db import connection

    class Threaded(Command):
        def handle(self, *args: Any, **options: Any) -> None:
            thread = threading.Thread(target=self.work)
            thread.start()
            thread.join()

        @staticmethod
        def work() -> None:
            look()
            connection.close()

    call_command(Threaded())
    assert routes(recorded) == {"<command> test_outside": 1}


@pytest.mark.django_db
def test_a_run_that_never_ends_is_counted_while_it_goes_on(recorded: Recorded) -> None:
    with track("worker"):
        look()
        assert routes(recorded) == {"<task> worker": 1}
        look()
        assert routes(recorded) == {"<task> worker": 2}
    assert recorded.count(kinds.OUTSIDE) == 2


@pytest.mark.by_store
@pytest.mark.django_db
def test_a_run_of_very_many_statements_holds_few(recorded: Recorded) -> None:
    with track("many"):
        tally = current.get()
        assert tally is not None
        for _ in range(1_100):
            look()
        assert len(tally.held) <= 101
    # djongo reads after the statement was noted; where that was folded already, the read counts by itself.
    assert routes(recorded)["<task> many"] in (1_100, 1_101)


@pytest.mark.django_db
def test_a_hook_that_throws_leaves_the_work_alone(
    recorded: Recorded, live: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(outside, "_begun", broken)
    with track("nightly"):
        assert look() == 0
    call_command(Command())
    assert look() == 0
    assert recorded.sum("self.failures") > 0


@pytest.mark.django_db
def test_the_patch_of_commands_can_be_taken_back_and_put_on_again(recorded: Recorded, live: None) -> None:
    ours = BaseCommand.execute
    outside.uninstall()
    try:
        assert BaseCommand.execute is ours.__wrapped__  # type: ignore[attr-defined]
        call_command(Command())
        assert "<command> test_outside" not in routes(recorded)
    finally:
        outside.install()
        outside.install()
    assert BaseCommand.execute is not ours.__wrapped__  # type: ignore[attr-defined]
    call_command(Command())
    assert routes(recorded)["<command> test_outside"] == 1


@pytest.mark.skipif(django.VERSION < (6, 0), reason="tasks came with Django 6.0")
@pytest.mark.django_db
def test_a_task_of_djangos_is_counted_under_its_path(recorded: Recorded, live: None) -> None:
    from django.tasks import task

    result = task(work_of_a_task).enqueue()
    assert result.return_value == 0
    assert routes(recorded) == {"<task> tests.queries.test_outside.work_of_a_task": 1}
    assert current.get() is None


def work_of_a_task() -> int:
    return look()
