"""``manage.py findings``: what it lists, and when it fails."""

from __future__ import annotations

import json
import time
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from perfsuite.metrics import flush
from perfsuite.metrics.findings import FindingRow, set_state
from perfsuite.metrics.sightings import Sighting, finding_id, sight
from perfsuite.queries.listing import as_line, failing, seconds_of

stored = pytest.mark.django_db(databases="__all__")


def saw(kind: str = "slow", saving_us: float = 1_500.0, **evidence: Any) -> str:
    made = Sighting(kind, "SELECT ?", "default", "/a/", "app/views.py:42 in listing", saving_us, evidence)
    sight(made)
    assert flush()
    return finding_id(made.kind, made.subject, made.alias, made.route, made.site)


def ran(*args: str) -> tuple[int, list[str]]:
    out = StringIO()
    try:
        call_command("findings", *args, stdout=out, stderr=StringIO())
    except SystemExit as exc:
        return int(str(exc.code)), out.getvalue().splitlines()
    return 0, out.getvalue().splitlines()


def row(state: str = "open", first_seen: int = 100, **last: Any) -> FindingRow:
    evidence = {"count": 2, "requests": 3, "saving_us_total": 2_500.0, "saving_us_max": 2_000.0, "last": last}
    return FindingRow("abc", "slow", "SELECT ?", "", "/a/", "", state, first_seen, 200, 100, "", 0, evidence)


@stored
def test_each_finding_is_one_line_with_the_largest_saving_first() -> None:
    small, large = saw("slow", 1_500), saw("duplicate", 9_000, advice="hoist", sentence="Read it once.")
    assert ran() == (
        0,
        [
            f"{large} open duplicate /a/, on default, at app/views.py:42 in listing, seen 1 times, 9.0 ms to save: Read it once.",
            f"{small} open slow /a/, on default, at app/views.py:42 in listing, seen 1 times, 1.5 ms to save: SELECT ?",
        ],
    )


@stored
def test_json_has_one_record_a_line_and_the_filters_hold() -> None:
    id_ = saw("slow")
    saw("duplicate")
    code, lines = ran("--kind", "slow", "--state", "open", "--since", "1h", "--format", "json")
    (record,) = map(json.loads, lines)
    assert (code, record["id"], record["kind"], record["evidence"]["count"]) == (0, id_, "slow", 1)
    assert abs(record["first_seen"] - time.time()) < 60


@stored
@pytest.mark.parametrize("args", [("--fail-on", "open"), ("--fail-on", "new", "--since", "1h")])
def test_it_ends_with_2_for_an_open_finding_and_with_0_for_an_ignored_one(args: tuple[str, ...]) -> None:
    id_ = saw()
    assert ran(*args)[0] == 2
    set_state(id_, "ignored")
    assert ran(*args)[0] == 0


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--since", "soon"), "write 1h"),
        (("--since", "0h"), "write 1h"),
        (("--fail-on", "new"), "add --since 1h"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(args: tuple[str, ...], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        call_command("findings", *args)


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("30m", 1_800), ("1h", 3_600), ("7d", 604_800)])
def test_durations_are_read(text: str, seconds: int) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize(
    ("fail_on", "state", "first_seen", "fails"),
    [
        ("", "open", 100, False),
        ("open", "open", 10, True),
        ("open", "resolved", 100, False),
        ("new", "open", 50, True),
        ("new", "open", 49, False),
        ("new", "ignored", 100, False),
    ],
)
def test_new_is_what_was_first_seen_since(fail_on: str, state: str, first_seen: int, fails: bool) -> None:
    assert bool(failing([row(state, first_seen)], fail_on, 50.0)) is fails


def test_a_line_break_in_advice_does_not_make_two_lines() -> None:
    assert as_line(row(sentence="", advice="a\nb")) == "abc open slow /a/, seen 2 times, 2.5 ms to save: a b"
