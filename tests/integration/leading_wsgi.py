"""The test host with a job of the leader that writes which process runs it, and a header that says which one answers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from perfsuite.metrics import leader
from tests.wsgi import application as django_application


def write_who_leads() -> None:
    with Path(os.environ["PERFSUITE_TEST_DIR"], "leaders").open("a") as file:
        file.write(f"{os.getpid()}\n")


leader.register_job("write-who-leads", 1, write_who_leads)


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
        return start_response(status, [*headers, ("X-Worker", str(os.getpid()))], *rest)

    return django_application(environ, start)
