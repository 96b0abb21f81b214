"""Seconds, dates and entity-tags: what is well-formed is read, and what is not is None."""

from __future__ import annotations

import email.utils
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfsuite.responses.policy import fields
from tests.responses.policy.messages import NOW

AT = 784_111_777.0  # Sun, 06 Nov 1994 08:49:37 GMT


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("0", 0),
        ("60", 60),
        ("0060", 60),
        ("2147483647", 2**31 - 1),
        ("2147483648", 2**31),
        ("99999999999", 2**31),
        ("9" * 100_000, 2**31),
        ("0" * 100_000 + "7", 7),
        ("", None),
        ("-1", None),
        ("+1", None),
        ("1.0", None),
        ("1e3", None),
        ("0x10", None),
        ("1_000", None),
        (" 1", None),
        ("1 ", None),
        ("'1'", None),
        ("a1", None),
        ("1a", None),
        ("²", None),
        ("١٢", None),
        ("1\n", None),
    ],
)
def test_seconds_are_digits_and_at_most_what_an_age_can_be(text: str, read: int | None) -> None:
    assert fields.seconds(text) == read


@pytest.mark.parametrize(
    "text",
    ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"],
)
def test_a_date_is_read_in_its_three_forms_and_in_any_case(text: str) -> None:
    for written in (text, text.upper(), text.lower(), text.swapcase()):
        assert fields.date(written, NOW) == AT


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "-1",
        "now",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 EST",
        "Sun, 06 Nov 1994 08:49:37 +0000",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 94 08:49:37 GMT",
        "Sun 06 Nov 1994 08:49:37 GMT",
        "Sun, 06  Nov  1994 08:49:37 GMT",
        "Sun, 06-Nov-1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08.49.37 GMT",
        "Sun, 06 Nov 1994 8:49:37 GMT",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 06 Nov 0000 08:49:37 GMT",
        "Sun, 06 Foo 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT\n",
        "Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT",
        "Sun, ٠٦ Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT" + " " * 65536,
    ],
)
def test_any_other_date_is_none(text: str) -> None:
    assert fields.date(text, NOW) is None


def test_the_zone_must_be_gmt() -> None:
    assert fields.date("Sun, 06 Nov 1994 08:49:37 GMT", NOW) is not None
    assert fields.date("Sun, 06 Nov 1994 08:49:37 CET", NOW) is None


def test_a_date_is_not_of_this_machines_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "Pacific/Auckland")
    time.tzset()
    try:
        assert fields.date("Sun, 06 Nov 1994 08:49:37 GMT", NOW) == AT
        assert fields.http_date(AT) == "Sun, 06 Nov 1994 08:49:37 GMT"
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_leap_second_is_the_one_after_the_last() -> None:
    assert fields.date("Sat, 31 Dec 2016 23:59:60 GMT", NOW) == fields.date(
        "Sun, 01 Jan 2017 00:00:00 GMT", NOW
    )


@pytest.mark.parametrize(
    ("year", "means"), [("27", 2027), ("77", 2077), ("78", 1978), ("99", 1999), ("00", 2000)]
)
def test_two_digits_mean_at_most_fifty_years_ahead(year: str, means: int) -> None:
    now = datetime(2027, 1, 15, tzinfo=UTC).timestamp()
    read = fields.date(f"Friday, 01-Jan-{year} 00:00:00 GMT", now)
    assert read == datetime(means, 1, 1, tzinfo=UTC).timestamp()


@given(st.integers(0, 253_402_300_799))
def test_what_is_written_is_read_again(at: int) -> None:
    text = fields.http_date(at)
    assert fields.date(text, NOW) == at
    assert email.utils.parsedate_to_datetime(text).timestamp() == at


@given(st.text(max_size=40))
def test_any_text_is_a_date_or_none(text: str) -> None:
    assert fields.date(text, NOW) is None or len(text) >= 24


@pytest.mark.parametrize(
    ("value", "tags"),
    [
        ('"a"', ['"a"']),
        ('"a", W/"b"', ['"a"', 'W/"b"']),
        (' , "a",,\t"b" , ', ['"a"', '"b"']),
        ('"a, b"', []),
        ('"a,b"', ['"a,b"']),
        ('""', ['""']),
        ('"ü"', ['"ü"']),
        ('"a" "b"', []),
        ('"a", b, "c"', ['"a"']),
        ("a", []),
        ('w/"a"', []),
        ("*", []),
        ("", []),
    ],
)
def test_entity_tags_are_read_up_to_the_first_thing_that_is_none(value: str, tags: list[str]) -> None:
    assert fields.entity_tags(value) == tags


def test_a_list_that_is_too_long_has_no_entity_tags() -> None:
    assert fields.entity_tags('"a", ' * 20_000) == []
