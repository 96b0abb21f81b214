"""What ``INVALIDATE`` may say, and what is answered to what it may not."""

from __future__ import annotations

from typing import Any

import pytest

from perfsuite.caching import rules

WRONG = [
    ({"testapp.Bok": ["a"]}, "names 'testapp.Bok', which is no model", "Did you mean 'testapp.Book'?"),
    ({"Book": ["a"]}, "names 'Book', which is no model", "Write 'app_label.Model'."),
    ({"qqqqq.Zzzz": ["a"]}, "names 'qqqqq.Zzzz'", "Write 'app_label.Model'."),
    ({5: ["a"]}, "names 5, which is no model", "Write 'app_label.Model'."),
    ({"testapp.Book": "book:{id}"}, "is 'book:{id}'", "Write a list of data classes and tags"),
    ({"testapp.Book": []}, "is []", "Write a list of data classes and tags"),
    (
        {"testapp.Book": ["book:{idd}"]},
        "needs the field 'idd', which testapp.Book does not have",
        "Did you mean 'id'?",
    ),
    ({"testapp.Book": ["t:{titel}"]}, "needs the field 'titel'", "Did you mean 'title'?"),
    ({"testapp.Book": ["t:{zzz}"]}, "needs the field 'zzz'", "Known are: author_id, id, pages, title."),
    ({"testapp.Book": ["t:{author.nam}"]}, "needs the field 'author.nam'", "Did you mean 'name'?"),
    ({"testapp.Book": ["t:{title.x}"]}, "needs the field 'title.x'", "Write a field of the model."),
    ({"testapp.Book": ["page_data"]}, "'page_data' needs the field 'tenant_id'", "Write the tags themselves"),
    ({"testapp.Book": ["t:{"]}, "is no template", "Write a name or a path in the braces."),
    ({"testapp.Book": ["t:{0}"]}, "has the field '0'", "Write a name or a path in the braces."),
]


@pytest.mark.parametrize(("given", "message", "hint"), WRONG)
def test_what_cannot_be_meant_is_a_sentence_and_what_to_write(
    settings: Any, given: Any, message: str, hint: str
) -> None:
    settings.PERFSUITE = {"CACHING": {"INVALIDATE": given}}
    found, problems = rules.read_all()
    assert found == []
    ((said, wanted),) = problems
    assert message in said
    assert hint in wanted


def test_what_is_wrong_for_one_model_leaves_the_others(settings: Any) -> None:
    settings.PERFSUITE = {"CACHING": {"INVALIDATE": {"testapp.Bok": ["a"], "testapp.Book": ["book:{pk}"]}}}
    ((model, rule),), problems = rules.read_all()
    assert (model.__name__, rule.label, len(problems)) == ("Book", "testapp.Book", 1)


def test_only_fields_that_can_change_are_remembered(settings: Any) -> None:
    templates = ["book:{id}", "by:{author_id}", "by:{author.name}", "t:{title}", "all"]
    settings.PERFSUITE = {"CACHING": {"INVALIDATE": {"testapp.Book": templates}}}
    assert rules.read_all()[0][0][1].remembered == ("author_id", "title")


def test_a_tag_that_reads_like_a_data_class_is_a_suspect(settings: Any) -> None:
    given = ["page_dat", "pages", "page:{id}", "form_dataa"]
    settings.PERFSUITE = {"CACHING": {"INVALIDATE": {"testapp.Book": given}}}
    assert list(rules.suspects()) == [
        ("testapp.Book", "page_dat", "page_data"),
        ("testapp.Book", "form_dataa", "form_data"),
    ]
