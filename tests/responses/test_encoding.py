"""What a body becomes for a client, for the middleware and for a cache: padding, levels, figures."""

from __future__ import annotations

import pytest
from django.test import override_settings

from perfsuite.responses import codings, encoding, kinds
from perfsuite.responses.negotiation import IDENTITY
from tests.recorded import Recorded
from tests.responses.asking import NAMES, coding_of, get
from tests.responses.decoding import decoded
from tests.responses.views import NOISE, PAGE

pytestmark = [pytest.mark.urls("tests.responses.views"), pytest.mark.usefixtures("compressing")]


def test_ten_thousand_names_in_vary_do_no_harm() -> None:
    names = ", ".join(f"X-{n}" for n in range(10_000))
    assert encoding.with_accept_encoding(names) == f"{names}, Accept-Encoding"


def test_very_large_bodies_are_compressed_at_the_fastest_level() -> None:
    assert encoding.level_for("br", codings.FAST_ABOVE_BYTES) == 4
    assert [encoding.level_for(name, codings.FAST_ABOVE_BYTES + 1) for name in NAMES] == [1, 1, 1]


# What strangers could learn (BREACH)


def lengths(path: str, name: str, times: int = 60) -> set[int]:
    return {len(get(path, name).content) for _ in range(times)}


@pytest.mark.parametrize("name", NAMES)
def test_the_length_of_what_may_hold_secrets_is_a_matter_of_chance(name: str) -> None:
    found = lengths("/page/", name)

    assert len(found) > 10
    assert max(found) - min(found) <= 100
    assert len(lengths("/with-headers/?Cache-Control=private, max-age=60", name)) > 10


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("cache_control", ["public", "max-age=5, PUBLIC", "s-maxage=60"])
def test_what_anybody_may_see_is_the_same_each_time(name: str, cache_control: str) -> None:
    path = f"/with-headers/?Cache-Control={cache_control}"
    assert len({get(path, name).content for _ in range(10)}) == 1


@pytest.mark.parametrize("name", NAMES)
def test_padding_can_be_turned_off(name: str) -> None:
    with override_settings(PERFSUITE={"RESPONSES": {"PADDING_BYTES": 0}}):
        assert len(lengths("/page/", name, 10)) == 1


def test_what_was_sent_and_what_that_saved_is_recorded(recorded: Recorded) -> None:
    sizes = [len(get("/page/", name).content) for name in ("br", "br", "gzip")]
    get("/page/", None)
    get("/never/", "br")

    assert recorded.labels(kinds.BYTES_BEFORE) == {("br",), ("gzip",)}
    assert recorded.sum(kinds.BYTES_BEFORE, "br") == 2 * len(PAGE)
    assert recorded.sum(kinds.BYTES_AFTER, "br") == sum(sizes[:2])
    assert recorded.sum(kinds.BYTES_AFTER, "gzip") == sizes[2]
    assert recorded.count(kinds.COMPRESSION, "br") == 2
    assert recorded.sum(kinds.COMPRESSION, "br") > 0


def test_nothing_is_recorded_where_monitoring_is_off(recorded: Recorded) -> None:
    with override_settings(PERFSUITE={"METRICS": {"ENABLED": False}}):
        assert coding_of(get("/page/")) == "gzip"
    assert recorded.count(kinds.BYTES_BEFORE) == recorded.count(kinds.COMPRESSION) == 0


# For a cache


FIELDS = {"content-type": "text/html", "etag": '"abc"', "vary": "Cookie", "accept-ranges": "bytes"}


def test_a_cache_can_store_what_a_client_would_get() -> None:
    assert encoding.is_negotiable(200, FIELDS.get)
    negotiated = encoding.coding_for("br, gzip", len(PAGE))
    made = encoding.encoded(PAGE, {**FIELDS, "cache-control": "public"}.get, negotiated)

    assert made is not None
    assert made.coding == negotiated.coding == "br"
    assert decoded("br", made.body) == PAGE
    assert made.fields == {
        "Content-Encoding": "br",
        "Content-Length": str(len(made.body)),
        "Vary": "Cookie, Accept-Encoding",
        "ETag": 'W/"abc"',
        "Accept-Ranges": None,
    }


def test_a_cache_is_told_where_there_is_nothing_to_store() -> None:
    assert encoding.encoded(PAGE, FIELDS.get, encoding.coding_for(None)) is None
    assert encoding.encoded(NOISE, FIELDS.get, encoding.coding_for("gzip")) is None
    assert encoding.coding_for("gzip", 100).coding == IDENTITY
    assert not encoding.is_negotiable(200, {"content-type": "image/png"}.get)
    with override_settings(PERFSUITE={"RESPONSES": {"COMPRESSION_ENABLED": False}}):
        assert encoding.coding_for("gzip", 10_000).coding == IDENTITY


def test_what_is_remembered_of_clients_is_bounded_and_follows_the_settings_and_the_libraries() -> None:
    for number in range(2_000):
        assert encoding.coding_for(f"gzip, x{number}", 10_000).coding == "gzip"
    assert encoding.coding_for("gzip," + " " * 1_000, 10_000).coding == "gzip"
    assert len(encoding._known[1]) <= encoding.MAX_KNOWN
    assert all(len(field or "") <= encoding.MAX_KNOWN_FIELD for field in encoding._known[1])
    assert encoding.coding_for("br, gzip", 10_000).coding == "br"
    with override_settings(PERFSUITE={"RESPONSES": {"CODINGS": ["gzip"]}}):
        assert encoding.coding_for("br, gzip", 10_000).coding == "gzip"
    assert encoding.coding_for("br, gzip", 10_000).coding == "br"
    codings.look_again()
    assert encoding._known[1] == {}
