"""The commands around the caches, and that they reach the processes of a running site."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache, caches
from django.core.management import CommandError, call_command

from tests.caching.conftest import TIERED, NewCaches
from tests.servers import ROOT
from tests.valkey import Valkey

LOCMEM = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}


def run(*arguments: str) -> tuple[list[str], str]:
    """Run a command here; return the lines of its output, and what it said on stderr."""
    out, err = io.StringIO(), io.StringIO()
    call_command(*arguments, stdout=out, stderr=err)
    return out.getvalue().splitlines(), err.getvalue()


def run_elsewhere(caches_setting: dict[str, Any], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own, which has these caches."""
    code = (
        "import json, sys\n"
        "from django.conf import settings\n"
        "settings.configure(SECRET_KEY='only-for-tests', CACHES=json.loads(sys.argv[1]), USE_TZ=True,\n"
        "                   INSTALLED_APPS=['perfsuite.caching'])\n"
        "from django.core.management import execute_from_command_line\n"
        "execute_from_command_line(['manage.py', *sys.argv[2:]])\n"
    )
    command = [sys.executable, "-c", code, json.dumps(caches_setting), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env={**os.environ})


def redis_caches(url: str) -> dict[str, dict[str, Any]]:
    return {
        "shared": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": url,
            "OPTIONS": {"SOCKET_TIMEOUT": 5},
        }
    }


def test_all_caches_are_shown_with_their_tiers(new_caches: NewCaches) -> None:
    new_caches(plain=LOCMEM)
    cache.set("key", "value", 60)
    cache.get("key"), cache.get("other")
    lines, said = run("inspect_caches")
    assert lines[0].startswith(f"default backend={TIERED} tiered=yes channel=none hits=1 misses=1 sets=1")
    assert "hit_rate=0.5" in lines[0]
    assert [line.split()[:3] for line in lines[1:4]] == [
        ["default", tier, "where=memory"] for tier in ("hot", "warm", "cold")
    ]
    assert "entries=1" in lines[2]
    assert "max_bytes=10485760" in lines[2]
    assert lines[4] == f"plain backend={LOCMEM['BACKEND']} tiered=no"
    assert "not of the running site" in said


def test_a_key_is_shown_in_each_tier_with_its_state(new_caches: NewCaches) -> None:
    new_caches()
    cache.set("key", "value", 60, tags=["a", "b"])
    cache.set("gone", "value", 60, tags=["c"])
    cache.invalidate_tags("c")  # type: ignore[attr-defined]
    cache.set("for-good", "value", None)
    lines, _ = run("inspect_caches", "default", "--key", "key")
    assert lines[0] == "default hot where=memory state=not there"
    assert "state=fresh" in lines[1]
    assert lines[1].endswith("tags=a,b")
    found = [json.loads(line) for line in run("inspect_caches", "--key", "gone", "--format", "json")[0]]
    assert found[1]["state"] == "outdated by c"
    kept = json.loads(run("inspect_caches", "--key", "for-good", "--format", "json")[0][1])
    assert (kept["state"], kept["expires"], kept["tags"]) == ("fresh", None, [])
    assert cache.get("key") == "value"  # and looking has counted nothing
    assert "hits=1 misses=0" in run("inspect_caches")[0][0]


def test_a_stale_and_an_expired_entry_are_told_apart(
    new_caches: NewCaches, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_caches()
    cache.set("key", "value", 60, stale_for=60)  # type: ignore[call-arg]
    import time

    now = time.time()
    for later, state in ((30, "fresh"), (90, "stale"), (150, "expired")):
        monkeypatch.setattr("perfsuite.caching.inspecting.time.time", lambda later=later: now + later)
        assert f"state={state}" in run("inspect_caches", "--key", "key")[0][1]


def test_a_tag_is_shown_with_its_token(new_caches: NewCaches) -> None:
    new_caches(plain=LOCMEM)
    assert run("inspect_caches", "--tag", "t")[0] == ["default t where=memory sequence=- removed=-"]
    cache.invalidate_tags("t", mode="remove")  # type: ignore[attr-defined]
    (line,) = run("inspect_caches", "default", "--tag", "t", "--format", "json")[0]
    found = json.loads(line)
    assert found["sequence"] == found["removed"] > 0


def test_a_shared_tier_is_looked_into(new_caches: NewCaches, valkey: Valkey) -> None:
    new_caches({"TIERS": {"cold": {"ALIAS": "shared"}}}, **redis_caches(valkey.url))
    cache.set("key", "value", 60, tags=["a"])
    caches["default"].engine.clear()  # type: ignore[attr-defined]
    lines, _ = run("inspect_caches", "default")
    assert lines[-1].startswith("default cold where=shared hits=0 breaker=closed failures=0 answers=yes")
    state = run("inspect_caches", "default", "--key", "key", "--tag", "a")[0]
    assert [line.split()[1:4] for line in state[:2]] == [
        [t, "where=memory", "state=not"] for t in ("hot", "warm")
    ]
    assert state[2].startswith("default cold where=shared bytes=")
    assert "state=fresh" in state[2]
    assert state[3].startswith("default a where=shared sequence=")
    done = run_elsewhere({**_current()}, "invalidate_tags", "a")
    assert (done.returncode, done.stdout) == (0, "default: a invalidated\n"), done.stderr
    assert "state=outdated by a" in run("inspect_caches", "default", "--key", "key")[0][2]
    cache.engine.shared.redis.client.set(cache.engine.shared.redis._key(cache.make_key("bad")), b"pS?")  # type: ignore[attr-defined]
    assert "state=damaged" in run("inspect_caches", "default", "--key", "bad")[0][2]


def _current() -> dict[str, Any]:
    from django.conf import settings

    return dict(settings.CACHES)


@pytest.fixture
def on_host(new_caches: NewCaches, tmp_path: Path) -> dict[str, Any]:
    return new_caches({"CHANNEL": "host", "RUN_DIR": str(tmp_path)})


def test_tags_are_invalidated_in_the_processes_that_run(on_host: dict[str, Any]) -> None:
    cache.set("key", "value", 60, tags=["tenant:1"])
    cache.set("kept", "value", 60, tags=["tenant:2"])
    done = run_elsewhere(on_host, "invalidate_tags", "tenant:1", "other", "--mode", "remove")
    assert (done.returncode, done.stdout, done.stderr) == (0, "default: tenant:1, other invalidated\n", "")
    assert (cache.get("key"), cache.get("kept")) == (None, "value")


def test_a_cache_is_cleared_in_the_processes_that_run(on_host: dict[str, Any]) -> None:
    cache.set("key", "value", 60)
    done = run_elsewhere(on_host, "clear_cache", "default")
    assert (done.returncode, done.stdout, done.stderr) == (0, "default: cleared\n", "")
    assert cache.get("key") is None


def test_who_reaches_nobody_says_so(tmp_path: Path) -> None:
    alone = {"default": {"BACKEND": TIERED, "OPTIONS": {"CHANNEL": "host", "RUN_DIR": str(tmp_path)}}}
    done = run_elsewhere(alone, "invalidate_tags", "t")
    assert (done.returncode, done.stdout) == (0, "default: t invalidated\n")
    assert "no other process of this user" in done.stderr
    without = {"default": {"BACKEND": TIERED, "OPTIONS": {"CHANNEL": "none"}}}
    assert "it has no channel" in run_elsewhere(without, "clear_cache", "default").stderr


def test_a_shared_tier_is_cleared_for_all_and_another_backend_as_django_does(
    new_caches: NewCaches, valkey: Valkey
) -> None:
    new_caches(
        {"TIERS": {"cold": {"ALIAS": "shared"}}},
        **redis_caches(valkey.url),
        plain={**LOCMEM, "LOCATION": uuid.uuid4().hex},
    )
    for options in ([], ["--tier", "cold"]):
        cache.set("key", "value", 60)
        run("clear_cache", "default", *options)
        assert cache.get("key") is None
    caches["plain"].set("key", 1)
    assert run("clear_cache", "plain")[0] == ["plain: cleared"]
    assert caches["plain"].get("key") is None


WRONG = [
    (["inspect_caches", "defalt"], "'defalt' is not in CACHES; write one of default, plain."),
    (["inspect_caches", "plain", "--key", "k"], "'plain' is no TieredCache"),
    (["invalidate_tags", "t", "--cache", "plain"], "'plain' is no TieredCache"),
    (["invalidate_tags", "t" * 300], "a tag has 1 to 200 characters"),
    (["clear_cache", "nope"], "'nope' is not in CACHES"),
    (["clear_cache", "plain", "--tier", "hot"], "'plain' is no TieredCache"),
    (
        ["clear_cache", "default", "--tier", "hot"],
        "empties only as a whole; type: manage.py clear_cache default",
    ),
]


@pytest.mark.parametrize(("arguments", "sentence"), WRONG)
def test_bad_input_is_one_sentence(new_caches: NewCaches, arguments: list[str], sentence: str) -> None:
    new_caches(plain=LOCMEM)
    with pytest.raises(CommandError, match=r"\A[^\n]*\Z") as raised:
        run(*arguments)
    assert sentence in str(raised.value)


def test_without_a_tiered_cache_there_is_nothing_to_invalidate(settings: Any) -> None:
    settings.CACHES = {"default": LOCMEM}
    with pytest.raises(CommandError, match="No cache in CACHES is a TieredCache"):
        run("invalidate_tags", "t")


def test_a_server_that_is_away_is_one_sentence() -> None:
    default = {"BACKEND": TIERED, "OPTIONS": {"TIERS": {"cold": {"ALIAS": "shared"}}}}
    away = {"default": default, **redis_caches("redis://127.0.0.1:1/0")}
    for arguments, sentence in (
        (
            ["invalidate_tags", "t"],
            "Nothing was invalidated in 'default': the server of 'shared' does not answer.",
        ),
        (["clear_cache", "default"], "'default' was not cleared: the server of 'shared' does not answer."),
        (["clear_cache", "shared"], "The server of the shared tier does not answer"),
        (["inspect_caches", "--key", "k"], "The server of the shared tier does not answer"),
    ):
        done = run_elsewhere(away, *arguments)
        assert done.returncode == 1
        assert f"CommandError: {sentence}" in done.stderr
    assert "answers=ConnectionError" in run_elsewhere(away, "inspect_caches", "default").stdout
