"""The settings: precedence, types, bounds, and sentences that say what to type."""

from __future__ import annotations

import dataclasses
import logging
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, get_type_hints

import pytest
from django.core.checks import run_checks
from django.test import override_settings

from perfsuite import conf
from perfsuite.conf import Section, option


@dataclass(frozen=True)
class ExampleSettings(Section):
    section: ClassVar[str] = "EXAMPLE"

    enabled: bool = option(True, env="EXAMPLE_ENABLED", help="A switch.")
    limit: int = option(10, env="EXAMPLE_LIMIT", minimum=1, maximum=100, help="A count.")
    wait_s: float = option(2.5, env="EXAMPLE_WAIT", minimum=0.5, help="Seconds.")
    name: str = option("nobody", env="EXAMPLE_NAME", help="A name.")
    paths: tuple[str, ...] = option(("a", "b"), env="EXAMPLE_PATHS", help="Some paths.")


@dataclass(frozen=True)
class ThresholdSettings(Section):
    section: ClassVar[str] = "THRESHOLDS"

    by_name: dict[str, float] = option({"response_time": 200.0}, help="Thresholds by name.")


@pytest.fixture(autouse=True)
def _sections(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Know the two sections of this file for one test."""
    monkeypatch.setattr(conf, "_registered", dict(conf._registered))
    conf.register(ExampleSettings)
    conf.register(ThresholdSettings)
    conf.reset()
    yield
    conf.reset()


def problems_with(example: Any) -> list[tuple[str, str, str]]:
    with override_settings(PERFSUITE={"EXAMPLE": example}):
        return [(p.number, p.message, p.hint) for p in conf.problems()]


def test_a_dict_is_wanted_where_the_default_is_one() -> None:
    with override_settings(PERFSUITE={"THRESHOLDS": {"BY_NAME": ["response_time"]}}):
        (problem,) = conf.problems()
        assert (problem.number, problem.hint) == ("E002", "Write a dict.")
        assert ThresholdSettings.get().by_name == {"response_time": 200.0}


def test_without_settings_every_option_has_its_default() -> None:
    assert ExampleSettings.get() == ExampleSettings(True, 10, 2.5, "nobody", ("a", "b"))


def test_the_dict_goes_before_the_environment_and_the_environment_before_the_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert ExampleSettings.get().limit == 10
    monkeypatch.setenv("EXAMPLE_LIMIT", "20")
    conf.reset()
    assert ExampleSettings.get().limit == 20
    with override_settings(PERFSUITE={"EXAMPLE": {"LIMIT": 30}}):
        assert ExampleSettings.get().limit == 30
    assert ExampleSettings.get().limit == 20


def test_an_empty_environment_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXAMPLE_LIMIT", "")
    conf.reset()
    assert ExampleSettings.get().limit == 10
    assert list(conf.problems()) == []


@pytest.mark.parametrize(
    ("variable", "text", "option_name", "value"),
    [
        ("EXAMPLE_ENABLED", "false", "enabled", False),
        ("EXAMPLE_ENABLED", "0", "enabled", False),
        ("EXAMPLE_ENABLED", "No", "enabled", False),
        ("EXAMPLE_ENABLED", "OFF", "enabled", False),
        ("EXAMPLE_ENABLED", "true", "enabled", True),
        ("EXAMPLE_ENABLED", "1", "enabled", True),
        ("EXAMPLE_ENABLED", "Yes", "enabled", True),
        ("EXAMPLE_ENABLED", "on", "enabled", True),
        ("EXAMPLE_LIMIT", "7", "limit", 7),
        ("EXAMPLE_WAIT", "0.75", "wait_s", 0.75),
        ("EXAMPLE_WAIT", "3", "wait_s", 3.0),
        ("EXAMPLE_NAME", "somebody", "name", "somebody"),
        ("EXAMPLE_PATHS", "x, y,,z ", "paths", ("x", "y", "z")),
    ],
)
def test_the_text_of_an_environment_variable_becomes_the_options_type(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str, option_name: str, value: object
) -> None:
    monkeypatch.setenv(variable, text)
    conf.reset()
    assert getattr(ExampleSettings.get(), option_name) == value
    assert type(getattr(ExampleSettings.get(), option_name)) is type(value)


@pytest.mark.parametrize(
    ("variable", "text", "number", "meant"),
    [
        ("EXAMPLE_ENABLED", "maybe", "E002", "not true or false"),
        ("EXAMPLE_LIMIT", "ten", "E002", "not a whole number"),
        ("EXAMPLE_LIMIT", "1.5", "E002", "not a whole number"),
        ("EXAMPLE_LIMIT", "1000", "E003", "too large"),
        ("EXAMPLE_WAIT", "long", "E002", "not a number"),
        ("EXAMPLE_WAIT", "nan", "E002", "not a number"),
        ("EXAMPLE_WAIT", "inf", "E002", "not a number"),
        ("EXAMPLE_WAIT", "0", "E003", "too small"),
    ],
)
def test_a_wrong_environment_variable_is_named_and_the_default_used(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str, number: str, meant: str
) -> None:
    monkeypatch.setenv(variable, text)
    conf.reset()
    (problem,) = conf.problems()
    assert problem.number == number
    assert problem.message.startswith(f"The environment variable {variable} is ")
    assert meant in problem.message
    assert ExampleSettings.get() == ExampleSettings()


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ({"ENABLED": 1}, "True or False"),
        ({"ENABLED": "true"}, "True or False"),
        ({"LIMIT": True}, "a whole number"),
        ({"LIMIT": 5.0}, "a whole number"),
        ({"LIMIT": "5"}, "a whole number"),
        ({"LIMIT": None}, "a whole number"),
        ({"WAIT_S": True}, "a number"),
        ({"WAIT_S": "1"}, "a number"),
        ({"WAIT_S": float("nan")}, "a number"),
        ({"WAIT_S": float("inf")}, "a number"),
        ({"WAIT_S": 10**400}, "a number"),
        ({"NAME": 5}, "a string"),
        ({"NAME": None}, "a string"),
        ({"PATHS": "a"}, "a list of strings"),
        ({"PATHS": ["a", 1]}, "a list of strings"),
    ],
)
def test_a_value_of_the_wrong_type_is_E002_and_says_what_to_write(
    given: dict[str, object], meant: str
) -> None:
    ((number, message, hint),) = problems_with(given)
    (key,) = given
    assert number == "E002"
    assert message.startswith(f"PERFSUITE['EXAMPLE'][{key!r}] is ")
    assert message.endswith(f"not {meant}.")
    assert hint == f"Write {meant}."


@pytest.mark.parametrize(
    ("given", "says", "hint"),
    [
        ({"LIMIT": 0}, "is 0, which is too small", "Write a number of at least 1."),
        ({"LIMIT": 101}, "is 101, which is too large", "Write a number of at most 100."),
        ({"WAIT_S": 0.4}, "is 0.4, which is too small", "Write a number of at least 0.5."),
    ],
)
def test_a_senseless_value_is_E003_and_says_the_bound(given: dict[str, object], says: str, hint: str) -> None:
    ((number, message, shown_hint),) = problems_with(given)
    assert (number, shown_hint) == ("E003", hint)
    assert says in message


@pytest.mark.parametrize("given", [{"LIMIT": 1}, {"LIMIT": 100}, {"WAIT_S": 0.5}, {"WAIT_S": 1}])
def test_the_bounds_themselves_are_allowed(given: dict[str, object]) -> None:
    assert problems_with(given) == []


def test_a_misspelt_option_is_E001_and_the_right_one_is_offered() -> None:
    ((number, message, hint),) = problems_with({"LIMITS": 5})
    assert (number, hint) == ("E001", "Did you mean 'LIMIT'?")
    assert message == "PERFSUITE['EXAMPLE'] has the unknown option 'LIMITS'."


def test_an_option_in_small_letters_is_E001_and_the_right_one_is_offered() -> None:
    ((number, _, hint),) = problems_with({"limit": 5})
    assert (number, hint) == ("E001", "Did you mean 'LIMIT'?")


def test_an_option_like_no_other_is_E001_and_all_known_ones_are_listed() -> None:
    ((number, _, hint),) = problems_with({"XYZZY": 5})
    assert (number, hint) == ("E001", "Known are: ENABLED, LIMIT, NAME, PATHS, WAIT_S.")


@override_settings(PERFSUITE={"METRIC": {}})
def test_a_misspelt_section_is_E001_and_the_right_one_is_offered() -> None:
    (problem,) = conf.problems()
    assert (problem.number, problem.hint) == ("E001", "Did you mean 'METRICS'?")


@override_settings(PERFSUITE={"QUERIES": {}})
def test_the_section_of_an_app_that_is_not_installed_is_E001_and_says_so() -> None:
    del conf._registered["QUERIES"]
    (problem,) = conf.problems()
    assert problem.number == "E001"
    assert problem.message == "PERFSUITE['QUERIES'] is set, but 'perfsuite.queries' is not installed."
    assert "Add 'perfsuite.queries' to INSTALLED_APPS" in problem.hint


@override_settings(PERFSUITE={5: {}})
def test_a_section_that_is_not_named_by_a_string_is_E001() -> None:
    (problem,) = conf.problems()
    assert problem.number == "E001"


@pytest.mark.parametrize("whole", [None, "METRICS", ["METRICS"], 5])
def test_a_PERFSUITE_that_is_no_dict_is_E002_and_all_defaults_are_used(whole: object) -> None:
    with override_settings(PERFSUITE=whole):
        (problem,) = conf.problems()
        assert problem.number == "E002"
        assert problem.message.startswith("PERFSUITE is ")
        assert ExampleSettings.get() == ExampleSettings()


def test_a_section_that_is_no_dict_is_E002_and_its_defaults_are_used() -> None:
    ((number, message, _),) = problems_with(["LIMIT"])
    assert number == "E002"
    assert message == "PERFSUITE['EXAMPLE'] is ['LIMIT'], not a dict."
    with override_settings(PERFSUITE={"EXAMPLE": ["LIMIT"]}):
        assert ExampleSettings.get() == ExampleSettings()


def test_a_long_wrong_value_is_cut_in_the_message() -> None:
    ((_, message, _),) = problems_with({"LIMIT": "9" * 500})
    assert len(message) < 150


def test_a_wrong_value_costs_only_its_own_option_its_setting() -> None:
    with override_settings(PERFSUITE={"EXAMPLE": {"LIMIT": "many", "NAME": "kept"}}):
        assert ExampleSettings.get() == ExampleSettings(name="kept")


def test_a_process_that_runs_no_checks_says_once_in_the_log_what_is_wrong(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with override_settings(PERFSUITE={"EXAMPLE": {"LIMIT": "many", "LIMITS": 5}}):
        caplog.clear()
        for _ in range(3):
            ExampleSettings.get()
    messages = [r.getMessage() for r in caplog.records if r.name == "perfsuite.conf"]
    assert len(messages) == 2
    assert any("'LIMITS'. It is ignored. Did you mean 'LIMIT'?" in message for message in messages)
    assert any("not a whole number. The default is used." in message for message in messages)
    assert {r.levelno for r in caplog.records if r.name == "perfsuite.conf"} == {logging.ERROR}


def test_an_option_that_is_a_dict_takes_a_dict_and_its_default_is_its_own() -> None:
    assert ThresholdSettings.get().by_name == {"response_time": 200.0}
    with override_settings(PERFSUITE={"THRESHOLDS": {"BY_NAME": {"response_time": 50.0}}}):
        assert ThresholdSettings.get().by_name == {"response_time": 50.0}
    assert ThresholdSettings.get().by_name == {"response_time": 200.0}


def test_options_cannot_be_changed_in_place() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        ExampleSettings.get().limit = 5  # type: ignore[misc]


def test_reading_again_gives_the_very_same_object() -> None:
    assert ExampleSettings.get() is ExampleSettings.get()


def test_the_checks_report_every_problem_with_its_id() -> None:
    given = {"EXAMPLE": {"LIMITS": 1, "NAME": 1, "LIMIT": 0}}
    with override_settings(PERFSUITE=given):
        found = run_checks(tags=["perfsuite"])
    ids = sorted(str(message.id) for message in found if str(message.id).startswith("perfsuite.E"))
    assert ids == ["perfsuite.E001", "perfsuite.E002", "perfsuite.E003"]
    assert all(message.hint for message in found)


def another_value(kind: object, field: dataclasses.Field[Any]) -> object:
    """Return a valid value of the option that is not its default."""
    default = field.default
    if kind is bool:
        return not default
    if kind in (int, float):
        largest = field.metadata["maximum"]
        return default - 1 if largest is not None and default + 1 > largest else default + 1
    if kind is str:
        return f"{default}another"
    if kind == tuple[str, ...]:
        return ("another", *default)
    return {"another": 1}


ALL_OPTIONS = [
    pytest.param(section, field, id=f"{section.section}.{field.name.upper()}")
    for section in conf.sections()
    for field in dataclasses.fields(section)
]


@pytest.mark.parametrize(("section", "field"), ALL_OPTIONS)
def test_override_settings_works_for_every_option(
    section: type[Section], field: dataclasses.Field[Any]
) -> None:
    before = getattr(section.get(), field.name)
    value = another_value(get_type_hints(section)[field.name], field)
    with override_settings(PERFSUITE={section.section: {field.name.upper(): value}}):
        assert list(conf.problems()) == []
        assert getattr(section.get(), field.name) == value
    assert getattr(section.get(), field.name) == before


@pytest.mark.parametrize(("section", "field"), ALL_OPTIONS)
def test_every_option_says_what_it_does(section: type[Section], field: dataclasses.Field[Any]) -> None:
    assert field.metadata["help"].endswith(".")


@pytest.mark.parametrize(("section", "field"), ALL_OPTIONS)
def test_every_default_is_itself_a_valid_value(section: type[Section], field: dataclasses.Field[Any]) -> None:
    with override_settings(PERFSUITE={section.section: {field.name.upper(): conf.default_of(field)}}):
        assert list(conf.problems()) == []


def test_the_suite_has_options_to_test() -> None:
    assert len(ALL_OPTIONS) >= 12


def test_the_position_of_a_middleware_is_found_by_either_path() -> None:
    middleware = ["a.B", "perfsuite.monitoring.middleware.RequestMetricsMiddleware", "c.D"]
    with override_settings(MIDDLEWARE=middleware):
        assert conf.middleware_places("perfsuite.monitoring", "RequestMetricsMiddleware") == [1]
    with override_settings(MIDDLEWARE=["perfsuite.monitoring.RequestMetricsMiddleware"] * 2):
        assert conf.middleware_places("perfsuite.monitoring", "RequestMetricsMiddleware") == [0, 1]
    with override_settings(MIDDLEWARE=None):
        assert conf.middleware_places("perfsuite.monitoring", "RequestMetricsMiddleware") == []


def test_importing_the_package_imports_no_django() -> None:
    code = "import perfsuite, sys; print(perfsuite.APPS[0], 'django' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["perfsuite.metrics", "False"]
