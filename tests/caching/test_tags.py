"""Tokens of tags, and the leases that a miss leaves."""

from __future__ import annotations

import contextvars

import pytest
from django.core.signals import request_started

from perfsuite.caching import tags as module
from perfsuite.caching.entry import RAW, Entry
from perfsuite.caching.tags import Leases, TagClock, checked_tags


def tagged(clock: TagClock, *tags: str) -> Entry:
    return Entry("x", RAW, 0.0, 1e12, clock.capture(tags))


def test_an_entry_is_valid_until_one_of_its_tags_is_invalidated() -> None:
    clock = TagClock()
    one, both, other = tagged(clock, "a"), tagged(clock, "a", "b"), tagged(clock, "c")
    clock.invalidate("b", remove=False)
    assert [clock.is_valid(entry) for entry in (one, both, other)] == [True, False, True]


def test_a_tag_invalidated_before_it_was_ever_used_is_no_obstacle() -> None:
    clock = TagClock()
    clock.invalidate("a", remove=False)
    assert clock.is_valid(tagged(clock, "a"))


def test_the_token_of_a_forgotten_tag_is_made_anew_and_what_was_stored_before_is_a_miss() -> None:
    clock = TagClock()
    entry = tagged(clock, "a")
    clock.invalidate("z", remove=False)
    clock.forget()
    assert not clock.is_valid(entry)
    assert clock.is_valid(tagged(clock, "a"))
    assert not clock.is_valid(entry)


def test_tokens_are_bounded_and_those_that_go_make_misses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_TAGS", 100)
    clock = TagClock()
    first = tagged(clock, "first")
    last = [tagged(clock, f"t{number}") for number in range(300)][-1]
    assert len(clock.tokens) <= 101
    assert not clock.is_valid(first)
    assert clock.is_valid(last)


@pytest.mark.parametrize(("remove", "shown"), [(False, True), (True, False)])
def test_what_is_outdated_may_be_shown_as_stale_and_what_is_removed_may_not(
    remove: bool, shown: bool
) -> None:
    clock = TagClock()
    entry = tagged(clock, "a")
    clock.invalidate("a", remove)
    assert not clock.is_valid(entry)
    assert clock.may_be_shown(entry) is shown
    clock.invalidate("a", remove=False)  # a later, milder one takes nothing back
    assert clock.may_be_shown(entry) is shown


def test_a_token_from_elsewhere_is_taken_over_only_if_it_is_newer() -> None:
    clock = TagClock()
    clock.learn("a", (5, 1, 0))
    entry = tagged(clock, "a")
    clock.learn("a", (4, 2, 0))
    assert clock.is_valid(entry)
    clock.learn("a", (6, 3, 0))
    assert not clock.is_valid(entry)
    assert clock.seq == 6


def test_a_lease_says_what_was_known_at_the_miss_and_is_used_once() -> None:
    leases = Leases()
    assert leases.take("k") is None
    leases.leave("k", 7)
    assert leases.take("k") == 7
    assert leases.take("k") is None
    leases.leave("k", 9)
    assert leases.take("k") == 9


def test_each_context_has_leases_of_its_own_and_inherits_those_of_its_parent() -> None:
    leases = Leases()
    leases.leave("parent", 1)

    def child() -> tuple[int | None, int | None]:
        leases.leave("child", 2)
        return leases.take("parent"), leases.take("child")

    assert contextvars.copy_context().run(child) == (1, 2)
    assert leases.take("child") is None
    assert leases.take("parent") == 1


def test_two_tasks_that_missed_the_same_key_do_not_use_up_each_others_leases() -> None:
    leases = Leases()
    here, there = contextvars.copy_context(), contextvars.copy_context()
    here.run(leases.leave, "k", 1)
    there.run(leases.leave, "k", 2)
    assert there.run(leases.take, "k") == 2
    assert here.run(leases.take, "k") == 1


@pytest.mark.django_db  # Django looks at its connections then
def test_leases_are_few_and_end_with_the_request() -> None:
    leases = Leases()
    for number in range(module.MAX_LEASES * 3):
        leases.leave(f"k{number}", number)
    assert leases.variable.get()[3] <= module.MAX_LEASES
    assert leases.take(f"k{module.MAX_LEASES * 3 - 1}") is not None
    request_started.send(sender=None, environ={})
    assert leases.variable.get() is module.NO_LEASES


def test_keys_missed_before_the_first_tag_are_few_and_each_counts_once() -> None:
    clock = TagClock()
    assert not clock.in_use
    for number in range(module.MAX_EARLY + 5):
        clock.early.append(f"k{number}")
    clock.capture(["a"])
    assert clock.in_use
    assert [clock.was_missed_early("k9") for _ in range(2)] == [True, False]
    assert not clock.was_missed_early("k0")


@pytest.mark.parametrize(
    ("tags", "error", "words"),
    [
        ("pages", TypeError, "write a list of strings, such as ['pages']"),
        ([1], TypeError, "1 is no tag; a tag is a string, such as '1'"),
        ([""], ValueError, "a tag has 1 to 200 characters"),
        (["x" * 201], ValueError, "a tag has 1 to 200 characters"),
    ],
)
def test_what_is_no_tag_is_said_in_one_sentence(tags: object, error: type[Exception], words: str) -> None:
    with pytest.raises(error) as caught:
        checked_tags(tags)  # type: ignore[arg-type]
    assert words in str(caught.value)


def test_a_tag_may_hold_spaces_and_any_language_and_counts_once() -> None:
    assert checked_tags(["a b", "Straße", "頁", "a b"]) == ("a b", "Straße", "頁")
