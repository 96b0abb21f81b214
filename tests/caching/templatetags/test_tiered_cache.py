"""``{% tieredcache %}``: parts of pages that are kept with tags."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import cache
from django.core.exceptions import ImproperlyConfigured
from django.template import Context, Template, TemplateSyntaxError

from perfsuite.caching import invalidate_tags
from tests.caching.conftest import NewCaches

LOCMEM = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}


@pytest.fixture(autouse=True)
def _empty(new_caches: NewCaches) -> None:
    new_caches(plain=LOCMEM)


def render(arguments: str, **context: Any) -> str:
    text = f"{{% load tiered_cache %}}{{% tieredcache {arguments} %}}<{{{{ word }}}}>{{% endtieredcache %}}"
    return Template(text).render(Context(context))


def test_a_block_is_kept_escaped_and_not_escaped_again() -> None:
    assert render('60 "a"', word="<b>") == "<&lt;b&gt;>"
    assert render('60 "a"', word="other") == "<&lt;b&gt;>"


def test_it_varies_on_its_name_and_arguments_and_their_types() -> None:
    for number, arguments in enumerate(
        ('60 "a"', '60 "b"', '60 "a" x', '60 "a" "1"', '60 "a" x=1 data_class="template_data"')
    ):
        assert render(arguments, word=number, x=1) == f"<{number}>"


def test_tags_make_it_outdated() -> None:
    def shown(word: str) -> str:
        return render('60 "a" tags=tags', word=word, tags=["t", "u"]) + render(
            '60 "b" tags="v, w"', word=word
        )

    assert shown("1") == shown("2") == "<1><1>"
    invalidate_tags("u")
    assert shown("3") == "<3><1>"
    invalidate_tags("w")
    assert shown("4") == "<3><4>"


def test_a_data_class_gives_tags_and_tier() -> None:
    arguments = '60 "a" data_class="user_data" tenant_id=tenant user_id=7'
    assert render(arguments, tenant=1, word="1") == render(arguments, tenant=1, word="2") == "<1>"
    assert render(arguments, tenant=2, word="of 2") == "<of 2>"
    invalidate_tags("tenant:1/user:7")
    assert render(arguments, tenant=1, word="3") == "<3>"
    assert render(arguments, tenant=2, word="4") == "<of 2>"
    engine = cache.engine  # type: ignore[attr-defined]
    assert len(engine.tiers[0].entries) == 2  # hot


WRONG = ["", "60", 'tags="a"', '60 "a" tagz="b"', '60 "a" tags="b" "c"']


@pytest.mark.parametrize("arguments", WRONG)
def test_what_cannot_be_meant_says_what_to_write(arguments: str) -> None:
    with pytest.raises(TemplateSyntaxError, match=r"write \{% tieredcache"):
        render(arguments)


def test_another_backend_is_refused_in_one_sentence() -> None:
    with pytest.raises(ImproperlyConfigured, match="'plain' is no TieredCache, which fragments need"):
        render('60 "a" cache="plain"')
