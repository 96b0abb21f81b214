"""The order and the words of findings."""

from __future__ import annotations

from perfsuite.queries.djongo_move.findings import Finding, in_order


def test_they_are_in_the_order_of_kinds_places_and_lines() -> None:
    places = [
        ("source", "b.py:10"),
        ("source", "b.py:9"),
        ("model", "z"),
        ("setting", "a"),
        ("source", "a.py:11"),
    ]
    ordered = in_order([Finding(kind, place, "", "") for kind, place in places])
    assert [each.place for each in ordered] == ["a", "z", "a.py:11", "b.py:9", "b.py:10"]


def test_one_is_a_line_that_says_where_what_and_what_instead() -> None:
    finding = Finding("source", "a.py:1", "A thing.", "another.")
    assert str(finding) == "a.py:1: A thing. Instead: another."
    assert list(finding.as_dict()) == ["kind", "place", "what", "instead"]
