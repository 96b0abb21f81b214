"""Users of each kind, and numbers in the store."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

import perfsuite.metrics
from perfsuite.metrics import query
from perfsuite.metrics.flusher import flusher
from perfsuite.metrics.recorder import recorder
from perfsuite.panel import payload

PAGES = ("/performance/", "/admin/perfsuite_panel/dashboard/")
DATA = ("/performance/data/", "/admin/perfsuite_panel/dashboard/data/")


@pytest.fixture(autouse=True)
def _nothing_kept(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let each test see its own numbers: nothing measured before it, no answer kept from another."""
    monkeypatch.setattr(recorder, "_sources", [])
    recorder.take()
    flusher._reset()
    query._described.clear()
    payload.forget()
    payload._logged.clear()
    yield
    recorder.take()


def make_user(name: str, *, staff: bool = False, permitted: bool = False, **fields: bool) -> User:
    user = User.objects.create_user(name, password="secret", is_staff=staff, **fields)
    if permitted:
        user.user_permissions.add(
            Permission.objects.get(content_type__app_label="perfsuite_panel", codename="view_dashboard")
        )
    return user


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def permitted(db: None) -> Client:
    """A client logged in as staff with the panel's permission, no superuser."""
    return client_of(make_user("permitted", staff=True, permitted=True))


def record(kind: str, labels: tuple[str, ...], *values: float) -> None:
    """Measure values, in the kind's unit."""
    recorder.observe_many((kind, labels, value) for value in values)


def record_requests() -> None:
    """Measure 20 requests of one route: 19 of 10 ms, one that failed after 400 ms; each with 3 statements of 2 ms."""
    times = [10_000.0] * 19
    record("requests.status", ("2xx",), *times)
    record("requests.status", ("5xx",), 400_000)
    record("requests.route", ("/pages/<slug>/", "GET", "2xx"), *times)
    record("requests.route", ("/pages/<slug>/", "GET", "5xx"), 400_000)
    record("requests.queries", ("/pages/<slug>/",), *[3.0] * 20)
    record("requests.db", ("/pages/<slug>/",), *[6_000.0] * 20)
    record("queries", ("default", "SELECT"), *[2_000.0] * 60)
    record("queries.fingerprint", ("SELECT a FROM t", "default", "/pages/<slug>/"), *[2_000.0] * 60)
    record("self.request", (), *[30.0] * 20)
    assert perfsuite.metrics.flush()
