"""The values of header fields: lists, seconds, dates and entity-tags (RFC 9110 5.6, 8.8; RFC 9111 1.2.2).

Reading gives None for what is malformed, whatever it holds and however long it is, and takes time in proportion to its
length.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

# Longer ones are not read: nobody means them, and what they could say is then assumed to be the worst.
MAX_FIELD_CHARS: Final = 8192
MAX_SECONDS: Final = 2**31  # RFC 9111 1.2.2: what is greater counts as this

_MONTH_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTHS = {name.lower(): number for number, name in enumerate(_MONTH_NAMES, 1)}
_DAY = "(?:mon|tue|wed|thu|fri|sat|sun)"
_TIME = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
_MONTH = rf"(?P<month>{'|'.join(_MONTHS)})"
_DATES: Final = tuple(
    re.compile(pattern, re.ASCII | re.IGNORECASE)
    for pattern in (
        rf"{_DAY}, (?P<day>\d\d) {_MONTH} (?P<year>\d{{4}}) {_TIME} GMT",
        rf"(?:mon|tues|wednes|thurs|fri|satur|sun)day, (?P<day>\d\d)-{_MONTH}-(?P<year>\d\d) {_TIME} GMT",
        rf"{_DAY} {_MONTH} (?P<day>\d\d| \d) {_TIME} (?P<year>\d{{4}})",
    )
)
_MAX_DATE_CHARS = 33  # Wednesday, 09-Nov-94 08:49:37 GMT
_FAR_FUTURE_YEARS = 50  # RFC 9110 5.6.7: beyond it, two digits mean the past
_ENTITY_TAG = re.compile(r'[ \t,]*+((?:W/)?"[\x21\x23-\x7e\x80-\U0010ffff]*+")[ \t]*+(?=,|\Z)')
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def members(value: str) -> list[str]:
    """Return the members of a comma-separated list without quoted strings; empty ones do not count."""
    return [member for part in value.split(",") if (member := part.strip(" \t"))]


def seconds(text: str) -> int | None:
    """Read delta-seconds: digits and nothing else."""
    if not (text.isascii() and text.isdigit()):
        return None
    digits = text.lstrip("0")
    return min(int(digits or "0"), MAX_SECONDS) if len(digits) <= 10 else MAX_SECONDS


def date(text: str | None, now: float) -> float | None:
    """Read an HTTP-date in any of its three forms, and in any case; ``now`` tells what a year of two digits means."""
    if not text or len(text) > _MAX_DATE_CHARS:
        return None
    for form in _DATES:
        if found := form.fullmatch(text):
            break
    else:
        return None
    year = int(found["year"])
    if len(found["year"]) == 2:
        this_year = datetime.fromtimestamp(now, UTC).year
        year += this_year - this_year % 100
        if year > this_year + _FAR_FUTURE_YEARS:
            year -= 100
    second = int(found["second"])
    leap = second == 60
    try:
        at = datetime(
            year,
            _MONTHS[found["month"].lower()],
            int(found["day"]),
            int(found["hour"]),
            int(found["minute"]),
            59 if leap else second,
            tzinfo=UTC,
        )
    except ValueError:
        return None
    return at.timestamp() + leap


def http_date(at: float) -> str:
    """Write an instant as IMF-fixdate, whatever the locale."""
    when = datetime.fromtimestamp(at, UTC)
    return (
        f"{_DAYS[when.weekday()]}, {when.day:02} {_MONTH_NAMES[when.month - 1]} {when.year:04}"
        f" {when.hour:02}:{when.minute:02}:{when.second:02} GMT"
    )


def is_strong(entity_tag: str) -> bool:
    """Tell whether it is a well-formed strong entity-tag."""
    found = _ENTITY_TAG.fullmatch(entity_tag)
    return found is not None and entity_tag.startswith('"')


def entity_tags(value: str) -> list[str]:
    """Return the entity-tags of a list, up to the first thing that is none."""
    if len(value) > MAX_FIELD_CHARS:
        return []
    tags = []
    at = 0
    while found := _ENTITY_TAG.match(value, at):
        tags.append(found[1])
        at = found.end()
    return tags


def weakly_equal(one: str, other: str) -> bool:
    """Compare entity-tags by RFC 9110 8.8.3.2, weakly: ``W/`` makes no difference."""
    return one.removeprefix("W/") == other.removeprefix("W/")
