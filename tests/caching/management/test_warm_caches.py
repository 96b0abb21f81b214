"""``warm_caches``: which warmers and pages, what is reported, and the exit code."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from perfsuite.caching import warming
from perfsuite.caching.warming import warmer
from perfsuite.metrics import leader
from tests.caching.conftest import NewCaches
from tests.valkey import Valkey

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def ran(monkeypatch: pytest.MonkeyPatch, new_caches: NewCaches) -> list[str]:
    new_caches()
    monkeypatch.setattr(warming, "_warmers", {})
    monkeypatch.setattr(leader, "_jobs", {})
    names: list[str] = []
    warmer(name="front")(lambda: names.append("front"))
    warmer(name="menu", every=60)(lambda: names.append("menu"))
    return names


def run(*arguments: str, terminal: bool = False) -> tuple[list[str], str, int]:
    out, err = io.StringIO(), Terminal() if terminal else io.StringIO()
    try:
        call_command("warm_caches", *arguments, stdout=out, stderr=err)
    except SystemExit as exc:
        return out.getvalue().splitlines(), err.getvalue(), int(str(exc.code))
    return out.getvalue().splitlines(), err.getvalue(), 0


def outcomes(lines: list[str]) -> list[list[str]]:
    return [line.split()[:2] for line in lines[:-1]]


def test_without_names_all_warmers_and_the_paths_of_the_settings(settings: Any, ran: list[str]) -> None:
    settings.PERFSUITE = {"CACHING": {"WARM_URLS": ["/zero/", "/json/"]}}
    lines, said, code = run()
    assert sorted(outcomes(lines)) == [[name, "warmed"] for name in ("/json/", "/zero/", "front", "menu")]
    assert lines[-1].startswith("4 warmed, 0 failed, ")
    assert (ran, code) == (["front", "menu"], 0)
    assert "'default' has no tier in Redis: this fills the memory of this process alone." in said


def test_with_names_just_these(settings: Any, ran: list[str]) -> None:
    settings.PERFSUITE = {"CACHING": {"WARM_URLS": ["/zero/"]}}
    assert outcomes(run("menu")[0]) == [["menu", "warmed"]]
    assert ran == ["menu"]


def test_paths_of_a_file_are_asked_for_and_what_fails_is_told(tmp_path: Path, ran: list[str]) -> None:
    file = tmp_path / "urls"
    file.write_text("# the front\n/zero/\n\n/nowhere/\n/error/\n/stream/3/\n")
    lines, said, code = run("--urls", str(file), "--jobs", "3")
    assert sorted(outcomes(lines)) == [
        ["/error/", "failed"], ["/nowhere/", "failed"], ["/stream/3/", "warmed"], ["/zero/", "warmed"],
    ]  # fmt: skip
    assert "/nowhere/: NotWarmed: status 404" in said
    assert lines[-1].startswith("2 warmed, 2 failed, ")
    assert (code, ran) == (1, [])


def test_a_warmer_that_fails_fails_the_command(ran: list[str]) -> None:
    def broken() -> None:
        raise LookupError("nothing there")

    warmer(name="broken")(broken)
    lines, said, code = run()
    assert (outcomes(lines)[0], code) == (["broken", "failed"], 1)
    assert "broken: LookupError: nothing there" in said
    assert ran == ["front", "menu"]  # the others go on


def test_a_terminal_sees_a_bar(ran: list[str]) -> None:
    assert "] 2/2 " in run(terminal=True)[1]
    assert "] 2/2 " not in run()[1]


def test_what_is_shared_is_warmed_for_all(new_caches: NewCaches, valkey: Valkey) -> None:
    shared = {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": valkey.url,
        "OPTIONS": {"SOCKET_TIMEOUT": 5},
    }
    new_caches({"TIERS": {"cold": {"ALIAS": "shared"}}}, shared=shared)
    assert run("front")[1] == ""


def test_bad_input_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"There is no warmer 'fornt'; known are: front, menu\."):
        run("fornt")
    with pytest.raises(CommandError, match="cannot be read"):
        run("--urls", str(tmp_path / "missing"))
    (tmp_path / "odd").write_text("https://example.com/\n")
    with pytest.raises(CommandError, match="is no path; write one such as '/pricing/'"):
        run("--urls", str(tmp_path / "odd"))
    with pytest.raises(CommandError, match="'0' is no whole number of at least 1"):
        run("--jobs", "0")
