"""The pure parts of the pages: figures in words, a trend's shapes, and a plan's tree in the order of its lists."""

from __future__ import annotations

import pytest

from perfsuite.panel.pages import trend
from perfsuite.panel.pages.steps import steps
from perfsuite.panel.pages.words import ago, clock, count, duration, instant, shortened
from perfsuite.queries.explain import Node
from perfsuite.queries.fingerprint import operation_of


@pytest.mark.parametrize(
    ("us", "shown"),
    [
        (0.0, "0.00 ms"),
        (423.0, "0.42 ms"),
        (9_999.0, "10.00 ms"),
        (16_200.0, "16 ms"),
        (2_100_000.0, "2.1 s"),
        (119e6, "119.0 s"),
        (180e6, "3.0 min"),
        (4.5 * 3_600e6, "4.5 h"),
    ],
)
def test_a_duration_has_the_unit_in_which_it_is_short(us: float, shown: str) -> None:
    assert duration(us) == shown


@pytest.mark.parametrize(
    ("number", "shown"), [(None, "-"), (0, "0"), (1.5, "1.5"), (12_345, "12,345"), (12_345.6, "12,346")]
)
def test_a_count_is_written_with_thousands(number: float | None, shown: str) -> None:
    assert count(number) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-5, "just now"),
        (59, "just now"),
        (60, "1 minute ago"),
        (7_200, "2 hours ago"),
        (3 * 86_400, "3 days ago"),
    ],
)
def test_an_instant_is_told_by_its_largest_whole_unit(seconds: int, shown: str) -> None:
    assert ago(1_000_000 - seconds, now=1_000_000) == shown


def test_instants_are_in_utc() -> None:
    assert instant(0) == "1970-01-01T00:00:00Z"
    assert clock(0) == "1970-01-01 00:00 UTC"


def test_a_text_is_cut_at_its_length() -> None:
    assert shortened("abc", 3) == "abc"
    assert shortened("abcd", 3) == "ab…"


def test_the_highest_bar_reaches_the_top_and_nothing_has_none() -> None:
    made = trend.bars([0, 2, 4])
    assert [(bar.x, bar.y, bar.height) for bar in made] == [
        ("200.0", "51.0", "45.0"),
        ("400.0", "6.0", "90.0"),
    ]
    assert trend.bars([0, 0]) == []
    assert trend.bars([]) == []


def test_a_line_breaks_at_gaps_and_shows_a_value_alone() -> None:
    assert trend.line([1.0, None, 2.0, 2.0], 2.0) == "M75.0 51.0h75.0M375.0 6.0L525.0 6.0"
    assert trend.line([0.0], 0.0) == ""


def test_a_tree_of_any_depth_is_written_as_lists_that_all_end() -> None:
    deep = Node("leaf")
    for n in range(200):
        deep = Node(f"node {n}", children=(Node("side", rows=3.0), deep))
    opened = closed = depth = 0
    for step in steps(deep.as_json()):
        opened += step.opens
        closed += len(step.closes)
        depth = opened - closed
        assert depth >= 0
    assert opened == closed == 200


def test_a_tree_keeps_its_order_and_its_figures() -> None:
    tree = Node(
        "top", cost=1_234.5, rows=2.0, children=(Node("a", children=(Node("b"),)), Node("c", is_costly=True))
    )
    made = steps(tree.as_json())
    assert [step.text for step in made] == ["top", "a", "b", "c"]
    assert made[0].figures == "cost 1,234, rows 2"
    assert [len(step.closes) for step in made] == [0, 0, 1, 1]
    assert made[3].is_costly


@pytest.mark.parametrize(
    ("fingerprint", "operation"),
    [
        ("SELECT 1", "SELECT"),
        ("WITH a AS (SELECT ?) DELETE FROM b", "DELETE"),
        ('SELECT "t"."find" FROM "t" → shop.t.find{a}', "SELECT"),
        ("shop.orders.find{placed_at.$gte, status}", "find"),
        ("shop.orders.aggregate[$match{a}, $group]", "aggregate"),
        ("shop.ping", "ping"),
        ("<other>", "OTHER"),
        ("", "OTHER"),
    ],
)
def test_what_a_recorded_statement_does_is_read_from_its_fingerprint(
    fingerprint: str, operation: str
) -> None:
    assert operation_of(fingerprint) == operation
