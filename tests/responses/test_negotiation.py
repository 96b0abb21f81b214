"""Accept-Encoding by RFC 9110 12.5.3: which coding a client gets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfsuite.responses.negotiation import IDENTITY, MAX_LENGTH, Negotiated, negotiate, read_weights

ALL = ("zstd", "br", "gzip")

TABLE = [
    # field, coding, refuses identity
    (None, IDENTITY, False),
    ("", IDENTITY, False),
    (" ", IDENTITY, False),
    ("identity", IDENTITY, False),
    ("gzip", "gzip", False),
    ("GZip", "gzip", False),
    ("x-gzip", "gzip", False),
    ("deflate", IDENTITY, False),
    ("compress, deflate", IDENTITY, False),
    ("gzip, deflate, br, zstd", "zstd", False),
    ("gzip, deflate, br", "br", False),
    ("gzip,br", "br", False),
    ("gzip\t,\tbr ;q=0.5", "gzip", False),
    # Weights before the server's preference.
    ("gzip;q=1.0, zstd;q=0.5, br;q=0.8", "gzip", False),
    ("gzip;q=0.5, br;q=0.501", "br", False),
    ("gzip;q=0.001", "gzip", False),
    ("gzip;Q=0.5, br;q=0.4", "gzip", False),
    ("gzip;q=1., br;q=0.", "gzip", False),
    ("gzip;level=9;q=0.3, br;q=0.2", "gzip", False),
    # Not acceptable.
    ("gzip;q=0", IDENTITY, False),
    ("gzip;q=0.000, br;q=0", IDENTITY, False),
    ("gzip;q=0, br", "br", False),
    # As is: last unless it is named.
    ("identity, gzip", "gzip", False),
    ("identity;q=1, gzip;q=0.5", IDENTITY, False),
    ("identity;q=0.5, gzip;q=0.5", "gzip", False),
    ("identity;q=0.5, gzip;q=0.8", "gzip", False),
    ("identity;q=0", IDENTITY, True),
    ("identity;q=0, gzip", "gzip", True),
    ("identity;q=0, deflate", IDENTITY, True),
    # The wildcard is all that is not named, as is among them where it is refused.
    ("*", "zstd", False),
    ("*;q=0.5, gzip", "gzip", False),
    ("gzip;q=0.5, *", "zstd", False),
    ("zstd;q=0, *", "br", False),
    ("*;q=0", IDENTITY, True),
    ("gzip, *;q=0", "gzip", True),
    ("identity, *;q=0", IDENTITY, False),
    ("identity;q=0.1, *;q=0", IDENTITY, False),
    ("*;q=0, identity;q=0.1, br;q=0.2", "br", False),
    # What cannot be read leaves its coding out.
    ("gzip;q=", IDENTITY, False),
    ("gzip;q", IDENTITY, False),
    ("gzip;q=2", IDENTITY, False),
    ("gzip;q=1.001", IDENTITY, False),
    ("gzip;q=-1", IDENTITY, False),
    ("gzip;q=0.1234", IDENTITY, False),
    ("gzip;q=.5", IDENTITY, False),
    ("gzip;q=nan", IDENTITY, False),
    ("gzip;q=1e0", IDENTITY, False),
    ("gzip;q=0,5", IDENTITY, False),
    ("gzip;q=\N{ARABIC-INDIC DIGIT ONE}", IDENTITY, False),
    ("br;q=x, gzip;q=0.1", "gzip", False),
    ("identity;q=x, gzip;q=0.1", "gzip", False),
    ("*;q=x, gzip;q=0.1", "gzip", True),
    ("gzip, gzip;q=0", IDENTITY, False),
    ("gzip;q=0, gzip", IDENTITY, False),
    # Empty elements are ignored.
    (",,gzip,,", "gzip", False),
    (";q=1, ;, gzip", "gzip", False),
    ("gzip;;;q=0.5", "gzip", False),
    ("\x00\xff, gzip", "gzip", False),
    ("gzip br", IDENTITY, False),
    ("brotli", IDENTITY, False),
]


@pytest.mark.parametrize(("field", "coding", "refuses"), TABLE)
def test_a_client_gets_the_coding_that_it_likes_best(field: str | None, coding: str, refuses: bool) -> None:
    assert negotiate(field, ALL) == Negotiated(coding, refuses)


@pytest.mark.parametrize("offered", [("gzip",), ("br", "gzip"), ()])
def test_only_what_is_offered_is_chosen(offered: tuple[str, ...]) -> None:
    assert negotiate("zstd, br, gzip", offered).coding == (offered[0] if offered else IDENTITY)
    assert negotiate("*", offered).coding == (offered[0] if offered else IDENTITY)


def test_among_equals_the_order_of_the_server_decides() -> None:
    assert negotiate("gzip, br, zstd", ("br", "gzip", "zstd")).coding == "br"
    assert negotiate("gzip, br;q=0.9, zstd", ("br", "gzip", "zstd")).coding == "gzip"


@pytest.mark.parametrize(
    "field",
    [
        "gzip" + ", gzip" * 10_000,
        "gzip;q=1" + "0" * 65_536,
        "," * 65_536,
        ";" * 65_536,
        "gzip, " + "x" * 65_536,
        "*;q=0," * 10_000,
    ],
)
def test_a_field_of_64_kilobytes_is_disregarded(field: str) -> None:
    assert negotiate(field, ALL) == Negotiated(IDENTITY, refuses_identity=False)


def test_a_field_up_to_the_limit_is_read_whole() -> None:
    tail = ", br;q=0, zstd;q=0"
    field = "gzip" + ", deflate" * ((MAX_LENGTH - 4 - len(tail)) // 9) + tail
    assert 256 < len(field) <= MAX_LENGTH
    assert negotiate(field, ALL).coding == "gzip"


ELEMENTS = st.tuples(st.sampled_from([*ALL, "identity", "*", "deflate"]), st.integers(0, 1_000) | st.none())


def written(elements: list[tuple[str, int | None]]) -> str:
    return ", ".join(
        name if weight is None else f"{name};q={weight // 1000}.{weight % 1000:03d}"
        for name, weight in elements
    )


def acceptable(name: str, weights: dict[str, int]) -> int:
    return weights.get(name, weights.get("*", 0))


@given(st.lists(ELEMENTS, max_size=6, unique_by=lambda element: element[0]))
def test_no_coding_is_sent_that_is_refused_and_none_is_liked_better(
    elements: list[tuple[str, int | None]],
) -> None:
    weights = {name: 1_000 if weight is None else weight for name, weight in elements}
    coding, refuses = negotiate(written(elements), ALL)

    assert read_weights(written(elements)) == weights
    best = max(acceptable(name, weights) for name in ALL)
    if coding != IDENTITY:
        assert acceptable(coding, weights) == best > 0
        assert best >= weights.get("identity", 0)
    else:
        assert best == 0 or weights.get("identity", 0) > best
    assert refuses == (weights.get("identity", weights.get("*", 1)) == 0)


@given(st.text(max_size=3_000), st.permutations(ALL))
def test_nothing_that_a_client_sends_raises(field: str, offered: list[str]) -> None:
    assert negotiate(field, tuple(offered)).coding in (*ALL, IDENTITY)
