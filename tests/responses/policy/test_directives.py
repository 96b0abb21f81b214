"""Cache-Control, its targeted kin and Pragma: what is malformed can only forbid."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfsuite.responses.policy import DEFAULT, Policy, directives
from perfsuite.responses.policy.structured import dictionary


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("", {}),
        (",, ,", {}),
        ("max-age=60", {"max-age": "60"}),
        ("MAX-AGE=60, Private", {"max-age": "60", "private": None}),
        ("\tmax-age=60\t,no-store ", {"max-age": "60", "no-store": None}),
        ('max-age="60"', {"max-age": "60"}),
        ('max-age="6\\0"', {"max-age": "60"}),
        ('no-cache="a, b", public', {"no-cache": "a, b", "public": None}),
        ('ext="max-age=3600, no-store", max-age=1', {"ext": "max-age=3600, no-store", "max-age": "1"}),
        ('ext="a \\" no-store, b", max-age=1', {"ext": 'a " no-store, b', "max-age": "1"}),
        ("foo, bar=baz", {"foo": None, "bar": "baz"}),
        ("max-age=60, max-age=60", {"max-age": "60"}),
        ("no-cache, no-cache", {"no-cache": None}),
        ('no-cache="a", no-cache="b"', {"no-cache": "a,b"}),
        ('no-cache="a", no-cache', {"no-cache": None}),
        ("no-store =", {"no-store": " "}),
    ],
)
def test_names_are_caseless_and_arguments_tokens_or_quoted_strings(
    value: str, read: dict[str, str | None]
) -> None:
    assert directives.parse(value) == read


@pytest.mark.parametrize(
    "value",
    [
        "max-age=-60",
        "max-age=+60",
        "max-age=60.0",
        "max-age=60.5",
        "max-age='60'",
        "max-age=a60",
        "max-age=60a",
        "max-age =60",
        "max-age= 60",
        "max-age = 60",
        "max-age=",
        "max-age",
        "max-age=60;private",
        "max-age=60, max-age=30",
        "max-age=30, max-age=60",
        "max-age=60, max-age",
        'max-age="60',
    ],
)
def test_seconds_that_are_malformed_or_differ_are_none_at_all(value: str) -> None:
    read = directives.parse(value)
    assert directives.duration(read, "max-age") == (0 if "max-age" in read else None)
    assert "max-age" in read or "no-store" in read


@pytest.mark.parametrize("value", ['a="b, no-store', 'max-age=60, x="', '"', 'a="\\"', "a," * 5000])
def test_what_cannot_be_read_forbids_everything(value: str) -> None:
    assert {"no-store", "no-cache", "private"} <= set(directives.parse(value))


def test_unknown_directives_are_ignored() -> None:
    read = directives.parse('community="UCI", max-age=60, foo=bar')
    assert directives.duration(read, "max-age") == 60
    assert not directives.forbids_all(read, "private", DEFAULT)


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ('private="Set-Cookie, X-A"', {"set-cookie", "x-a"}),
        ("private=x-a", {"x-a"}),
        ("private", set()),
        ('private=""', set()),
        ('private=", ,"', set()),
        ('private="a b"', set()),
        ("private=true", set()),
        ("private=False", set()),
        ("private=1", set()),
        ('private="x-a, 1"', set()),
        ("private=trueish", {"trueish"}),
        ('private="x-a", private', set()),
    ],
)
def test_field_names_are_read_and_what_is_malformed_is_about_all(value: str, names: set[str]) -> None:
    read = directives.parse(value)
    assert directives.field_names(read, "private", DEFAULT) == names
    assert directives.forbids_all(read, "private", DEFAULT) is not bool(names)
    assert directives.forbids_all(read, "private", Policy(field_names=False))


@pytest.mark.parametrize(
    ("headers", "read"),
    [
        ({}, {}),
        ({"pragma": "no-cache"}, {"no-cache": None}),
        ({"pragma": "No-Cache, foo=bar"}, {"no-cache": None}),
        ({"pragma": "foo"}, {}),
        ({"pragma": "no-cache" + "," * 65536}, {}),
        ({"pragma": "no-cache", "cache-control": "max-age=60"}, {"max-age": "60"}),
        ({"pragma": "no-cache", "cache-control": ""}, {}),
    ],
)
def test_pragma_counts_only_in_a_request_without_cache_control(
    headers: dict[str, str], read: dict[str, str | None]
) -> None:
    assert directives.of_request(headers) == read


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("max-age=60", {"max-age": "60"}),
        ("max-age=60 ,\tno-cache", {"max-age": "60", "no-cache": None}),
        ("  max-age=60;x;y=1 ", {"max-age": "60"}),
        ("max-age=60, max-age=30", {"max-age": "30"}),
        ('no-cache="a, b"', {"no-cache": '"a, b"'}),
        ('a="\\"\\\\"', {"a": '"\\"\\\\"'}),
        ("a=?1, b=?0", {"a": None, "b": "?0"}),
        ("a=1.5, b=-7, c=tok/en:1, d=:YQ==:", {"a": "1.5", "b": "-7", "c": "tok/en:1", "d": ":YQ==:"}),
        ('a=(), b=( 1  "x";q=1 tok );z', {"a": "()", "b": '( 1  "x";q=1 tok )'}),
        ("none", {"none": None}),
        ("*a_.-*=1", {"*a_.-*": "1"}),
    ],
)
def test_a_dictionary_is_read(value: str, read: dict[str, str | None]) -> None:
    assert dictionary(value) == read


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        ",",
        "max-age=60,",
        "max-age=60,,no-cache",
        "max-age=60, &&&&&",
        "max-age =60",
        "max-age= 60",
        "MAX-AGE=60",
        "max-age=60 no-cache",
        "a=1.",
        "a=.5",
        "a=1.2345",
        "a=1234567890123456",
        'a="b',
        'a="\\x"',
        'a="ü"',
        "a=(1",
        "a=(1 2",
        "a=(1,2)",
        "a=(1(2))",
        "a=?2",
        "a=:&:",
        "a;B",
        "a=1\n",
        "\ta=1",
        "ü",
        "(" * 8000,
        "a=(" + "1 " * 4000,
        "a;" * 4000,
        "a=1, " * 20_000,
    ],
)
def test_a_dictionary_that_is_malformed_or_empty_is_none(value: str) -> None:
    assert dictionary(value) is None


@given(st.text(alphabet='max-age=60, "\\;?:()no-storeprivate*\t', max_size=60))
def test_any_text_is_read_without_an_exception(text: str) -> None:
    read = directives.parse(text)
    directives.duration(read, "max-age")
    directives.field_names(read, "private", DEFAULT)
    directives.of_response({"cdn-cache-control": text, "cache-control": text}, DEFAULT)


@given(
    before=st.text(alphabet='abc="\\ ,', max_size=20),
    name=st.sampled_from(["no-store", "private", "NO-STORE", "Private", " private\t"]),
    after=st.text(alphabet='abc="\\ ,', max_size=20),
)
def test_a_prohibition_between_commas_is_never_lost_unless_it_is_quoted(
    before: str, name: str, after: str
) -> None:
    value = f"{before},{name},{after}"
    if '"' in before:
        value = value.replace('"', "")
    assert name.strip().lower() in directives.parse(value)
