"""Data classes: their tags, their tiers, and what invalidating each tag drops."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import cache
from django.core.exceptions import ImproperlyConfigured

from perfsuite.caching import classes, data_class, invalidate_tags, tags_for
from tests.caching.caches import places
from tests.caching.conftest import NewCaches


def test_an_entry_carries_its_tags_and_all_of_them_joined() -> None:
    assert tags_for("tenant_data", tenant_id=1) == ("tenant:1",)
    assert tags_for("user_data", tenant_id=1, user_id=7) == ("tenant:1", "user:7", "tenant:1/user:7")
    assert tags_for("page_data", tenant_id=1) == ("tenant:1", "pages", "tenant:1/pages")
    assert tags_for("form_data", tenant_id=1)[-1] == "tenant:1/forms"
    assert tags_for("lead_data", tenant_id=1)[-1] == "tenant:1/leads"
    assert tags_for("template_data") == ("templates",)


HOMES = [("tenant_data", "warm"), ("user_data", "hot"), ("page_data", "warm"), ("template_data", "cold")]


@pytest.mark.parametrize(("name", "tier"), HOMES)
def test_an_entry_goes_to_the_home_tier_of_its_class(new_caches: NewCaches, name: str, tier: str) -> None:
    new_caches()
    cache.set("key", "value", 60, **data_class(name, tenant_id=1, user_id=7))
    assert places(cache, "key") == [tier]  # type: ignore[arg-type]


INVALIDATED = [
    ("tenant:1/pages", {"pages-1"}),
    ("tenant:1", {"pages-1", "forms-1"}),
    ("pages", {"pages-1", "pages-2"}),
    ("tenant:1/forms", {"forms-1"}),
    ("tenant:3/pages", set()),
]


@pytest.mark.parametrize(("tag", "dropped"), INVALIDATED)
def test_each_tag_drops_what_the_documentation_says(
    new_caches: NewCaches, tag: str, dropped: set[str]
) -> None:
    new_caches()
    cache.set("pages-1", 1, 60, **data_class("page_data", tenant_id=1))
    cache.set("pages-2", 1, 60, **data_class("page_data", tenant_id=2))
    cache.set("forms-1", 1, 60, **data_class("form_data", tenant_id=1))
    everything = {"pages-1", "pages-2", "forms-1"}
    assert set(cache.get_many(everything)) == everything
    invalidate_tags(tag)
    assert everything - set(cache.get_many(everything)) == dropped


def test_a_missing_field_is_named_with_what_to_write() -> None:
    with pytest.raises(
        ImproperlyConfigured, match=r"'user_id' of the data class 'user_data' is missing.*user_id=1"
    ):
        tags_for("user_data", tenant_id=1)
    with pytest.raises(ImproperlyConfigured, match="'tenant_id' of the data class 'page_data' is None"):
        data_class("page_data", tenant_id=None)


def test_an_unknown_name_is_answered_with_the_one_that_is_meant() -> None:
    with pytest.raises(
        ImproperlyConfigured, match=r"no data class 'pages_data'\. Did you mean 'page_data'\?"
    ):
        tags_for("pages_data", tenant_id=1)
    with pytest.raises(ImproperlyConfigured, match="Known are: form_data, lead_data"):
        tags_for("qqq")


def test_the_settings_add_classes_and_change_known_ones(settings: Any) -> None:
    settings.PERFSUITE = {
        "CACHING": {
            "DATA_CLASSES": {
                "invoice_data": {"tags": ["tenant:{invoice.tenant_id}", "invoices"], "tier": "cold"},
                "template_data": {"tags": ["templates", "theme:{theme}"]},
            }
        }
    }

    class Invoice:
        tenant_id = 4

    assert data_class("invoice_data", invoice=Invoice())["tags"][-1] == "tenant:4/invoices"
    assert data_class("invoice_data", invoice=Invoice())["tier"] == "cold"
    assert data_class("template_data", theme="dark") == {
        "tags": ("templates", "theme:dark", "templates/theme:dark"),
        "tier": None,
    }
    assert list(classes.problems()) == []


WRONG = [
    (["pages"], "write a dict such as"),
    ({}, "write a dict such as"),
    ({"tags": ["a"], "tiers": "hot"}, "write a dict such as"),
    ({"tags": "pages"}, "write a list of strings"),
    ({"tags": []}, "write a list of strings"),
    ({"tags": [1]}, "write a list of strings"),
    ({"tags": ["pages"], "tier": "lukewarm"}, "write one of hot, warm, cold"),
    ({"tags": ["pages:{"]}, "is no template"),
    ({"tags": ["pages:{id!r}"]}, "write a name or a path"),
    ({"tags": ["pages:{}"]}, "write a name or a path"),
]


@pytest.mark.parametrize(("given", "sentence"), WRONG)
def test_what_is_no_data_class_is_one_sentence(settings: Any, given: Any, sentence: str) -> None:
    settings.PERFSUITE = {"CACHING": {"DATA_CLASSES": {"odd_data": given}}}
    (problem,) = classes.problems()
    assert sentence in problem
    with pytest.raises(ImproperlyConfigured):
        tags_for("odd_data")
