"""Two workers with memory tiers and no server: what is saved through one is new in the other at its next request."""

from __future__ import annotations

from itertools import count

from tests import servers
from tests.integration.site import Answer, Site, get, wait_until

ROUNDS = 8  # in which the one has saved and the other has read


def ask(server: servers.Server, path: str, worker: str) -> str:
    """Ask until this worker answers; return its text."""
    found: list[Answer] = []

    def answers() -> bool:
        found.append(get(server, path))
        assert found[-1].status == 200
        return found[-1].headers["X-Worker"] == worker

    wait_until(answers, f"an answer of the worker {worker}")
    return found[-1].body.decode()


def workers_of(server: servers.Server) -> list[str]:
    seen: set[str] = set()

    def both() -> bool:
        seen.add(get(server, "/shelf/").headers["X-Worker"])
        return len(seen) == 2

    wait_until(both, "answers of two workers")
    return sorted(seen)


def test_what_one_worker_saves_is_new_in_the_other_at_its_next_request(site: Site) -> None:
    env = {**site.env, "DJANGO_SETTINGS_MODULE": "tests.integration.saving_site"}
    with servers.gunicorn("--workers", "2", **env) as server:
        first, second = workers_of(server)
        proven = {first: 0, second: 0}
        for number in count():
            reader = first if proven[first] <= proven[second] else second
            before = ask(server, "/shelf/", reader)
            assert ask(server, "/shelf/", reader) == before  # it has it in its memory
            writer = get(server, f"/save/title-{number}/").headers["X-Worker"]
            assert ask(server, "/shelf/", reader) == f"title-{number} by {reader}" != before
            proven[reader] += writer != reader
            if min(proven.values()) >= ROUNDS:
                break
