"""`make demo`: what it says when something is wrong, and that it stops all it started."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections import namedtuple
from pathlib import Path

import pytest

from sampleproject.demo import environment, prerequisites, site
from sampleproject.demo import servers as database_servers
from sampleproject.demo.processes import Children, DemoError
from tests import servers
from tests.sampleproject.conftest import Site

Usage = namedtuple("Usage", "total used free")
INSTALLED = (
    "import sys; from pathlib import Path; from sampleproject.demo import __main__ as demo, environment\n"
    "environment.Environment.python = Path(sys.executable); environment.install = lambda *arguments: None\n"
    "sys.exit(demo.main())"
)


def run_script(**env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sampleproject.demo"]
    return subprocess.run(
        command,
        cwd=servers.ROOT,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_a_port_in_use_is_told_before_anything_is_installed() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run_script(PORT=str(port))
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(f"make demo: port {port} is in use; stop what listens there or type `PORT=")


@pytest.mark.parametrize("text", ["x", "0", "-1", "70000", "80.5", "nan", "inf"])
def test_a_senseless_port_is_told(text: str) -> None:
    done = run_script(PORT=text)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert f"PORT is '{text}'; give a number up to 65535, such as `PORT=8000 make demo`." in done.stderr


@pytest.mark.parametrize(("text", "minutes"), [("", 5), ("0", 0), ("2.5", 2.5), ("120", 120)])
def test_the_minutes_of_the_visitors_are_a_choice(text: str, minutes: float) -> None:
    assert (
        prerequisites.number_from({"DEMO_MINUTES": text}, "DEMO_MINUTES", default=5, highest=120) == minutes
    )


def test_an_old_python_is_told() -> None:
    with pytest.raises(DemoError, match=r"this is Python 3\.10; install 3\.11 or newer"):
        prerequisites.check_python((3, 10))


def test_a_full_disk_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prerequisites.shutil, "disk_usage", lambda path: Usage(10**9, 10**9, 10**6))
    with pytest.raises(DemoError, match=r"is full; free 300 MB and type `make demo` again"):
        prerequisites.check_disk(300)


def test_a_disk_that_fills_up_on_the_way_is_told() -> None:
    command = [
        sys.executable,
        "-c",
        "print('OSError: [Errno 28] No space left on device'); raise SystemExit(1)",
    ]
    with pytest.raises(DemoError, match="free 300 MB"):
        Children().finish(command, "it failed.")


def test_a_missing_venv_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    with pytest.raises(DemoError, match="apt install python3-venv"):
        environment.make(environment.ENVIRONMENTS["sqlite"], Children())


def test_what_pip_said_last_is_shown() -> None:
    lines = "; ".join(f"print('line {number}')" for number in range(20))
    with pytest.raises(DemoError) as raised:
        Children().finish(
            [sys.executable, "-c", f"{lines}; raise SystemExit(1)"], "pip could not install it."
        )
    assert str(raised.value).splitlines() == [
        "pip could not install it.",
        *(f"  line {number}" for number in range(15, 20)),
    ]


def test_of_a_traceback_only_the_error_is_shown() -> None:
    with pytest.raises(DemoError) as raised:
        Children().finish([sys.executable, "-c", "raise OSError('the\\nreason')"], "it failed.")
    assert str(raised.value).splitlines() == ["it failed.", "  OSError: the", "  reason"]


def test_an_unknown_database_is_told_before_anything_is_installed() -> None:
    done = run_script(DB="oracle")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "make demo: DB is 'oracle'; type `make demo DB=sqlite|postgresql|djongo|mongodb`.\n"


@pytest.mark.parametrize("db", ["", "sqlite", "postgresql", "djongo", "mongodb"])
def test_each_database_has_an_environment(db: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment.sys, "version_info", (3, 11, 7))
    found = environment.chosen({"DB": db})
    assert found.db == (db or "sqlite")
    assert (found.folder.name == ".venv") == (found.db in {"sqlite", "postgresql"})


def test_a_python_that_is_too_new_for_djongo_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment.sys, "version_info", (3, 12, 0))
    with pytest.raises(
        DemoError, match=r"djongo needs Python 3\.11.*`make demo DB=djongo PYTHON=python3\.11`"
    ):
        environment.chosen({"DB": "djongo"})


@pytest.mark.parametrize(("db", "variable"), [("postgresql", "PGHOST"), ("mongodb", "MONGODB_URL")])
def test_a_server_that_is_named_is_used_and_none_installed_or_started(
    db: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "somewhere")
    children = Children()
    chosen = environment.ENVIRONMENTS[db]
    assert database_servers.packages(chosen) == ()
    database_servers.start(chosen, children)
    assert children.running == []


@pytest.mark.parametrize(
    ("db", "words"),
    [
        ("postgresql", "no postgres is found here; type `apt-get install postgresql`, or name a server"),
        ("mongodb", "no mongod is found here; install mongod, or name a server that runs with MONGODB_URL"),
    ],
)
def test_a_missing_server_is_told_where_the_package_index_has_none(
    db: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PGHOST", "MONGODB_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(database_servers, "programs_of_the_machine", lambda server: None)
    monkeypatch.setattr(database_servers.platform, "machine", lambda: "riscv64")
    with pytest.raises(DemoError, match=words):
        database_servers.packages(environment.ENVIRONMENTS[db])


def test_a_database_server_that_dies_at_the_start_shows_the_end_of_its_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = Children().start([sys.executable, "-c", "raise SystemExit('the data is locked')"], log)
    with pytest.raises(DemoError, match=r"the database server did not start.*\n  the data is locked"):
        database_servers.wait_until_ready(process, "ready", log)


def test_a_server_that_dies_at_the_start_shows_the_end_of_its_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    children = Children()
    server = children.start([sys.executable, "-c", "raise SystemExit('no worker could start')"], log)
    with pytest.raises(DemoError, match=r"it ended with status 1.*\n  no worker could start"):
        site.wait_until_ready(server, servers.free_port(), log)


def test_a_server_that_answers_with_an_error_shows_the_end_of_its_log(tmp_path: Path) -> None:
    broken = Site.at(tmp_path / "var")  # without tables
    with (
        servers.gunicorn(app="sampleproject.wsgi", **broken.env) as server,
        pytest.raises(DemoError, match="it answered with status 500"),
    ):
        site.wait_until_ready(server.process, server.port, server.log)


def test_the_installation_is_done_again_when_the_project_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("setup.cfg", "pyproject.toml"):
        shutil.copy(servers.ROOT / name, tmp_path)
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    before = environment.fingerprint()
    assert before == environment.fingerprint()
    (tmp_path / "setup.cfg").write_text("[metadata]\n")
    assert before != environment.fingerprint()


def start_demo(site: Site, port: int, minutes: str) -> subprocess.Popen[str]:
    env = {**os.environ, **site.env, "PORT": str(port), "DEMO_MINUTES": minutes}
    return subprocess.Popen(
        [sys.executable, "-c", INSTALLED],
        cwd=servers.ROOT,
        env=env,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def read_until(process: subprocess.Popen[str], words: str) -> str:
    assert process.stdout is not None
    text = ""
    for line in process.stdout:
        text += line
        if words in line:
            return text
    raise AssertionError(text)


def descendants(pid: int) -> set[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return {int(child) for child in children} | {
        each for child in children for each in descendants(int(child))
    }


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_runs_with_visitors_and_a_signal_stops_all_it_started(
    own_site: Site, number: signal.Signals
) -> None:
    port = servers.free_port()
    process = start_demo(own_site, port, "1")
    text = read_until(process, "Press Ctrl-C")
    for words in (f"http://127.0.0.1:{port}/performance/", "admin, password admin", "for 1 min"):
        assert words in text
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/t/cedar/api/pages/") as response:
        assert json.load(response)["count"] > 0
    started = descendants(process.pid)
    assert len(started) >= 4  # gunicorn, two workers, the visitors
    process.send_signal(number)
    output, _ = process.communicate(timeout=20)
    assert process.returncode == 0, output
    deadline = time.monotonic() + 5
    while any(map(is_running, started)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [pid for pid in started if is_running(pid)]


def test_the_end_of_the_server_ends_the_demo_with_a_sentence(own_site: Site) -> None:
    process = start_demo(own_site, servers.free_port(), "0")
    read_until(process, "Press Ctrl-C")
    (server,) = (
        int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    )
    os.kill(server, signal.SIGTERM)
    output, _ = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "make demo: the server ended with status 0; the end of" in output
    assert "Traceback" not in output
