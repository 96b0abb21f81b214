"""Validation, and what becomes of a stored response by it: RFC 9111 3.2 and 4.3."""

from __future__ import annotations

import pytest

from perfsuite.responses.policy import (
    Policy,
    Request,
    Stored,
    freshen,
    freshen_by_head,
    keep,
    may_store,
    precondition,
    select,
    validation_request,
    validators,
    whole_request,
)
from tests.responses.policy.messages import NOW, URI, decided, http, kept, request, response

LATER = NOW + 100


def updated(stored: Stored, settings: Policy = Policy(), **fields: str) -> Stored | None:  # noqa: B008 - frozen
    return freshen(request(), stored, response(304, **fields), LATER, LATER, settings)


def test_entity_tag_and_date_are_both_sent() -> None:
    assert validators(kept(etag='W/"a"', last_modified=http(-60))) == {
        "if-none-match": 'W/"a"',
        "if-modified-since": http(-60),
    }
    assert validators(kept(etag='"a"')) == {"if-none-match": '"a"'}
    assert validators(kept(last_modified=http(-60))) == {"if-modified-since": http(-60)}
    assert validators(kept()) == {}


def test_a_validation_request_has_our_conditions_in_place_of_the_clients() -> None:
    asked = request(
        "HEAD",
        accept="a/b",
        foo="1",
        range="bytes=0-1",
        if_range='"x"',
        if_none_match='"x"',
        if_modified_since=http(0),
        if_match='"y"',
        if_unmodified_since=http(1),
    )
    stored = kept(request(foo="1"), etag='"a"', vary="foo")
    origins = {"if-match": '"y"', "if-unmodified-since": http(1)}
    others = {"accept": "a/b", "foo": "1"}
    assert validation_request(asked, stored) == Request(
        "HEAD", URI, {**others, **origins, "if-none-match": '"a"'}
    )
    assert whole_request(asked) == Request("HEAD", URI, {**others, **origins})


@pytest.mark.parametrize(
    ("had", "has", "wanted"),
    [
        ({"etag": '"a"'}, {"etag": '"a"'}, True),
        ({"etag": '"a"'}, {"etag": '"b"'}, False),
        ({"etag": 'W/"a"'}, {"etag": '"a"'}, False),
        ({"last_modified": http(-60)}, {"etag": '"a"'}, False),
        ({"etag": '"a"', "last_modified": http(-60)}, {"etag": '"a"', "last_modified": http(-30)}, True),
        ({"etag": '"a"', "last_modified": http(-60)}, {"etag": '"b"', "last_modified": http(-60)}, False),
        ({"etag": '"a"'}, {"etag": 'W/"a"'}, True),
        ({"etag": 'W/"a"'}, {"etag": 'W/"a"'}, True),
        ({"etag": 'W/"a"'}, {"etag": 'W/"b"'}, False),
        ({"last_modified": http(-60)}, {"etag": 'W/"a"'}, False),
        ({"last_modified": http(-60)}, {"last_modified": http(-60)}, True),
        ({"last_modified": http(-60)}, {"last_modified": http(-30)}, False),
        ({"etag": '"a"'}, {"last_modified": http(-30)}, False),
        ({"etag": '"a"'}, {}, True),
        ({}, {}, True),
    ],
)
def test_a_304_updates_only_the_response_that_its_validators_name(
    had: dict[str, str], has: dict[str, str], wanted: bool
) -> None:
    found = updated(kept(cache_control="max-age=1", x="old", **had), x="new", **has)
    assert (found is not None) is wanted
    if found is not None:
        assert found.response.headers["x"] == "new"


def test_a_304_updates_all_fields_that_it_has_and_no_others() -> None:
    stored = kept(
        cache_control="max-age=1",
        etag='"a"',
        content_type="text/plain",
        content_length="9",
        content_encoding="x",
        x_kept="1",
        x_new="1",
        content_security_policy="a",
    )
    found = updated(
        stored,
        cache_control="max-age=60",
        etag='"a"',
        content_type="text/html",
        content_length="0",
        content_encoding="y",
        content_range="bytes 0-1/2",
        x_new="2",
        x_more="3",
        content_security_policy="b",
        connection="x-hop",
        x_hop="1",
        set_cookie="a=b",
        date=http(100),
    )
    assert found is not None
    assert found.response.status == 200
    assert found.response.headers == {
        "cache-control": "max-age=60",
        "etag": '"a"',
        "content-type": "text/html",
        "content-length": "9",
        "content-encoding": "x",
        "x-kept": "1",
        "x-new": "2",
        "x-more": "3",
        "content-security-policy": "b",
        "date": http(100),
    }


def test_a_validated_response_is_fresh_again() -> None:
    stored = kept(cache_control="max-age=60", etag='"a"', age="30", date=http(-30))
    assert decided(stored, 100) == ("revalidate", "stale")
    found = updated(stored, etag='"a"')
    assert found is not None
    assert "age" not in found.response.headers
    assert found.response.headers["date"] == http(100)
    assert decided(found, 130) == ("hit", "fresh")
    assert decided(found, 160) == ("revalidate", "stale")


def test_a_304_may_be_old_itself() -> None:
    found = updated(kept(cache_control="max-age=60", etag='"a"'), etag='"a"', age="50")
    assert found is not None
    assert decided(found, 109) == ("hit", "fresh")
    assert decided(found, 111) == ("revalidate", "stale")


def test_a_304_with_other_vary_is_kept_by_the_request_that_it_answers() -> None:
    stored = kept(request(foo="1"), cache_control="max-age=1", etag='"a"', vary="foo")
    found = freshen(
        request(foo="1", bar="2"), stored, response(304, etag='"a"', vary="foo, bar"), LATER, LATER
    )
    assert found is not None
    assert found.varying == (("bar", "2"), ("foo", "1"))


@pytest.mark.parametrize("value", ["no-store", "private"])
def test_a_304_may_forbid_to_go_on_storing(value: str) -> None:
    found = updated(kept(cache_control="max-age=60", etag='"a"'), etag='"a"', cache_control=value)
    assert found is not None
    assert may_store(request(), found.response).reason == value


@pytest.mark.parametrize(
    ("had", "has", "wanted"),
    [
        ({"etag": '"a"'}, {"etag": '"a"'}, True),
        ({"etag": '"a"'}, {"etag": '"b"'}, False),
        ({"last_modified": http(-60)}, {"last_modified": http(-60)}, True),
        ({"last_modified": http(-60)}, {"last_modified": http(-30)}, False),
        ({}, {"etag": '"a"'}, False),
        ({"etag": '"a"'}, {}, True),
        ({"content_length": "9"}, {"content_length": "9"}, True),
        ({"content_length": "9"}, {"content_length": "8"}, False),
        ({}, {"content_length": "8"}, True),
    ],
)
def test_a_200_to_head_updates_what_has_its_validators_and_length(
    had: dict[str, str], has: dict[str, str], wanted: bool
) -> None:
    stored = kept(cache_control="max-age=1", x="old", kept="1", **had)
    head = response(200, cache_control="max-age=60", x="new", **has)
    found = freshen_by_head(request("HEAD"), stored, head, LATER, LATER)
    assert (found is not None) is wanted
    if found is not None:
        assert found.response.headers["x"] == "new"
        assert found.response.headers["kept"] == "1"
        assert found.response.headers.get("content-length") == had.get("content_length")
        assert decided(found, 159) == ("hit", "fresh")


def test_a_304_about_an_entity_tag_that_the_client_has_not_gives_it_the_whole() -> None:
    stored = kept(cache_control="max-age=60", etag='"ours"')
    asked = request(if_none_match='"theirs"')
    assert validation_request(asked, stored).headers == {"if-none-match": '"ours"'}
    found = updated(stored, etag='"ours"')
    assert found is not None
    assert precondition(asked, found.response, LATER) is None
    assert precondition(request(if_none_match='"theirs", "ours"'), found.response, LATER) == 304


def test_a_full_answer_to_a_validation_takes_the_place_of_what_was_stored() -> None:
    old = kept(cache_control="max-age=60", etag='"a"')
    full = response(200, cache_control="max-age=60", etag='"b"')
    assert may_store(request(), full).ok
    new = keep(request(), full, LATER, LATER)
    assert select([old, new], request()) is new
    assert select([new, old], request()) is new
