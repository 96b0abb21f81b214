"""Whatever breaks in the middleware, the page is sent as it is."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from django.test import Client

from perfsuite.metrics import guard
from perfsuite.responses import codings, compression, encoding
from tests.recorded import Recorded
from tests.responses.asking import async_get, get
from tests.responses.views import LARGE, PAGE

pytestmark = [pytest.mark.urls("tests.responses.views"), pytest.mark.usefixtures("compressing")]


class Broken:
    """Breaks at whatever is asked of it."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("broken hook")


HOOKS = [
    "_begin",
    "_encoded",
    "finish",
    "encoding.is_negotiable",
    "encoding.encoded",
    "encoding.coding_for",
    "encoding.fields",
]


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("asked", [get, async_get])
@pytest.mark.parametrize("path", ["/page/", "/large/"])
def test_whatever_breaks_the_page_is_sent_as_it_is(
    recorded: Recorded,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    hook: str,
    asked: Any,
    path: str,
) -> None:
    owner, _, name = hook.rpartition(".")
    monkeypatch.setattr(encoding if owner else compression, name, Broken())
    with caplog.at_level(logging.ERROR, "perfsuite.metrics"):
        for _ in range(12):
            response = asked(path)
            assert response.status_code == 200
            assert response.content == (PAGE if path == "/page/" else LARGE)
            assert not response.has_header("Content-Encoding")
            assert response["Content-Length"] == str(len(response.content))

    assert recorded.count("self.failures", "compression") == 1
    assert recorded.sum("self.failures", "compression") == 10
    assert "compression" in guard.disabled_hooks
    assert len(caplog.records) == 2  # the first failure, and that the hook is off


def test_a_coding_that_breaks_leaves_the_page_as_it_is(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    class BrokenCoding:
        name = "br"
        encode = stream = Broken()

    codings.offered(codings.NAMES)
    monkeypatch.setitem(codings._found, "br", BrokenCoding())

    response = get("/page/", "br")
    assert response.content == PAGE
    assert not response.has_header("Content-Encoding")
    stream = get("/stream/", "br")
    assert b"".join(stream).startswith(b'{"id": 0')
    assert not stream.has_header("Content-Encoding")
    assert recorded.sum("self.failures", "compression") == 2


def test_an_error_of_the_view_goes_on_as_it_was() -> None:
    response = Client(raise_request_exception=False).get("/error/", HTTP_ACCEPT_ENCODING="gzip")
    assert response.status_code == 500
    with pytest.raises(RuntimeError, match="the view fails"):
        get("/error/")
