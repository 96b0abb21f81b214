"""The processes that the demo starts, and how what they said is shown."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
VAR = Path(os.environ.get("SAMPLEPROJECT_VAR", ROOT / "sampleproject" / "var"))
STOP_TIMEOUT_S = 10


class DemoError(Exception):
    """One sentence for the person who typed `make demo`, with what to do."""


def no_space(needed_mb: int = 300) -> str:
    """Say what is needed when the disk is full."""
    return f"the disk of {ROOT} is full; free {needed_mb} MB and type `make demo` again."


class Children:
    """The processes that the demo started, each in a group of its own, so that nothing else is ever stopped."""

    def __init__(self) -> None:
        self.running: list[subprocess.Popen[bytes]] = []
        self.environ = {"DJANGO_SETTINGS_MODULE": "sampleproject.settings", "DEBUG": ""}

    def finish(
        self, command: list[str], failure: str, *, shown: bool = False, user: str | None = None
    ) -> None:
        """Run `command` to its end; when it fails, raise `failure` with the last lines of what it said."""
        process = self._start(command, None if shown else subprocess.PIPE, user)
        output = (process.communicate()[0] or b"").decode(errors="replace")
        self.running.remove(process)
        if process.returncode:
            if "No space left on device" in output:
                raise DemoError(no_space())
            raise DemoError(f"{failure}\n{gist(output)}".rstrip())

    def start(self, command: list[str], log: Path, user: str | None = None) -> subprocess.Popen[bytes]:
        """Start `command`, which writes to `log`, and leave it running; as `user` when this process is root."""
        with log.open("wb") as output:
            return self._start(command, output.fileno(), user)

    def _start(self, command: list[str], output: int | None, user: str | None) -> subprocess.Popen[bytes]:
        account = pwd.getpwnam(user) if user else None
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **self.environ},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=None if output is None else subprocess.STDOUT,
            start_new_session=True,
            user=account and account.pw_uid,
            group=account and account.pw_gid,
            extra_groups=[] if account else None,
        )
        self.running.append(process)
        return process

    def stop(self) -> None:
        """End them, the last one first: a site still writes to its database. Further signals wait until that is done."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        for process in reversed(self.running):
            self._signal(process, signal.SIGTERM)
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._signal(process, signal.SIGKILL)
                process.wait()

    @staticmethod
    def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
        """Signal the whole group of `process`, as long as it has not been waited for."""
        if process.poll() is None:
            os.killpg(process.pid, number)


def tail(text: str, lines: int = 15) -> str:
    """Return the last lines of `text`, indented."""
    return "\n".join(f"  {line}" for line in text.strip().splitlines()[-lines:])


def gist(output: str) -> str:
    """Return the end of what a failed command said; of a traceback only the error itself."""
    lines = output.strip().splitlines()
    tracebacks = [index for index, line in enumerate(lines) if line.startswith("Traceback ")]
    if tracebacks:
        after = lines[tracebacks[-1] + 1 :]
        lines = after[next((index for index, line in enumerate(after) if not line.startswith(" ")), 0) :]
    return tail("\n".join(lines), lines=5)
