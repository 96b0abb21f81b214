"""``manage.py findings``: what it lists, and when it fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from perfsuite.metrics import flush
from perfsuite.metrics.findings import FindingRow, set_state
from perfsuite.metrics.models import Finding
from perfsuite.metrics.sightings import Sighting, finding_id, sight
from perfsuite.metrics.storages import presence
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
@pytest.mark.parametrize(
    "args", [("--fail-on", "open"), ("--fail-on", "new", "--since", "1h"), ("--fail-on", "new")]
)
def test_it_ends_with_2_for_an_open_finding_and_with_0_for_an_ignored_one(args: tuple[str, ...]) -> None:
    id_ = saw()
    assert ran(*args)[0] == 2
    set_state(id_, "ignored")
    assert ran(*args)[0] == 0


@stored
def test_new_is_what_was_first_seen_in_the_last_hour_unless_said_otherwise() -> None:
    set_state(id_ := saw(), "open")
    Finding.objects.filter(pk=id_).update(first_seen=int(time.time()) - 2 * 3_600)
    assert ran("--fail-on", "new")[0] == 0
    assert ran("--fail-on", "new", "--since", "3h")[0] == 2


READING = """
import io, sys, django
from django.conf import settings
import perfsuite
settings.configure(
    INSTALLED_APPS=["perfsuite.metrics", "perfsuite.monitoring", "perfsuite.queries"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": sys.argv[1]}},
)
django.setup()
from django.core.management import CommandError, call_command
for command in (["findings", "--fail-on", "open"], ["explain_query", "12345678"], ["compact_metrics"], ["trim_metrics"]):
    out = io.StringIO()
    try:
        call_command(*command, stdout=out, stderr=out, skip_checks=True)
    except CommandError as exc:
        print(exc)
    print(out.getvalue(), end="")
"""


@pytest.mark.relational
def test_what_reads_the_store_fails_in_one_sentence_where_nothing_was_ever_recorded(tmp_path: Path) -> None:
    path = tmp_path / "site.sqlite3"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    env.pop("DJANGO_SETTINGS_MODULE", None)

    ran = subprocess.run(
        [sys.executable, "-c", READING, str(path)], capture_output=True, text=True, check=True, env=env
    )

    store = tmp_path / "site.perfsuite.sqlite3"
    sentence = f"Nothing was recorded yet: the metrics store {str(store)!r} is not there; let the site answer some requests."
    assert ran.stdout.splitlines() == [sentence] * 4, ran.stderr
    assert not store.exists()


@stored
def test_a_store_without_its_tables_is_no_store_without_findings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Finding._meta, "db_table", "perfsuite_metrics_nowhere")
    monkeypatch.setattr(presence, "store_is_automatic", lambda: False)

    with pytest.raises(
        CommandError, match=r"^The metrics tables are missing .* type: python manage.py migrate --database "
    ):
        call_command("findings")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--since", "soon"), "write 1h"),
        (("--since", "0h"), "write 1h"),
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


def test_what_is_new_needs_to_be_told_since_when() -> None:
    with pytest.raises(ValueError, match="add --since 1h to --fail-on new"):
        failing([row()], "new", None)


def test_a_line_break_in_advice_does_not_make_two_lines() -> None:
    assert as_line(row(sentence="", advice="a\nb")) == "abc open slow /a/, seen 2 times, 2.5 ms to save: a b"
