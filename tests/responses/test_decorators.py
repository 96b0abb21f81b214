"""What views say of their own responses, and pages of users and tenants."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import django
import pytest
from asgiref.sync import iscoroutinefunction
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpResponse
from django.test import Client
from django.utils.decorators import method_decorator
from django.views import View

from perfsuite.caching import invalidate_tags
from perfsuite.responses import cache_response, never_cache_response
from perfsuite.tenancy import current_tenant
from tests.responses.site import AUTH, COMMON, OURS, SESSIONS, TENANTS, text

STACK = (OURS, SESSIONS, COMMON, AUTH)
IN_CACHE = {"SESSION_ENGINE": "django.contrib.sessions.backends.cache"}


def test_a_timeout_keeps_a_page_and_asks_browsers_to_ask(make_site: Any) -> None:
    site = make_site({"p/": cache_response(60)(lambda request: text(cache_control=None))})

    first, second = site.get("/p/"), site.get("/p/")

    assert len(site.runs) == 1
    assert first["Cache-Control"] == second["Cache-Control"] == "no-cache"
    assert 55 <= int(second["Cache-Status"].rpartition("=")[2]) <= 60
    assert not any("perfsuite-cache-control" in name.lower() for name, _ in second.items())


def test_the_views_own_cache_control_is_for_those_outside_and_the_timeout_for_us(make_site: Any) -> None:
    site = make_site({"p/": cache_response(600)(lambda request: text(cache_control="max-age=5"))})
    site.get("/p/")
    answer = site.get("/p/")

    assert answer["Cache-Control"] == "max-age=5"
    assert int(answer["Cache-Status"].rpartition("=")[2]) > 500


@pytest.mark.parametrize("control", ["private", "no-store", "Private, max-age=5"])
def test_a_view_that_says_private_is_not_stored_for_everyone(make_site: Any, control: str) -> None:
    site = make_site({"p/": cache_response(60)(lambda request: text(cache_control=control))})
    for _ in range(2):
        site.get("/p/")

    assert len(site.runs) == 2


def test_a_timeout_is_for_answers_and_not_for_errors(make_site: Any) -> None:
    def view(request: Any, status: int) -> HttpResponse:
        response = text(cache_control=None)
        response.status_code = status
        return response

    site = make_site({"p/<int:status>/": cache_response(60)(view)})
    for status in (404, 500, 302):
        for _ in range(2):
            site.get(f"/p/{status}/")

    assert len(site.runs) == 6


def test_without_a_timeout_the_fields_say_how_long(make_site: Any) -> None:
    site = make_site(
        {
            "a/": cache_response()(lambda request: text(cache_control="max-age=60")),
            "b/": cache_response()(lambda request: text(cache_control=None)),
        }
    )
    for _ in range(2):
        site.get("/a/")
        site.get("/b/")

    assert site.runs == ["/a/", "/b/", "/b/"]


def test_never_is_never(make_site: Any) -> None:
    site = make_site({"p/": never_cache_response(lambda request: text())})

    assert [site.get("/p/")["Cache-Control"] for _ in range(2)] == ["max-age=60"] * 2
    assert len(site.runs) == 2


def test_views_keep_their_kind_and_work_without_the_middleware(make_site: Any) -> None:
    async def aview(request: Any) -> HttpResponse:
        return text()

    def view(request: Any) -> HttpResponse:
        return text()

    for decorate in (cache_response(60), never_cache_response):
        assert iscoroutinefunction(decorate(aview))
        assert not iscoroutinefunction(decorate(view))
        assert decorate(view).__name__ == "view"
        site = make_site({"a/": decorate(aview), "b/": decorate(view)}, middleware=())
        assert site.get("/a/").body == site.get("/b/").body == b"hello"


def test_class_based_views_are_decorated_by_their_dispatch(make_site: Any) -> None:
    @method_decorator(cache_response(60, tags=["page:{slug}"]), name="dispatch")
    class Page(View):
        def get(self, request: Any, slug: str) -> HttpResponse:
            return text(slug, None)

    site = make_site({"p/<slug>/": Page.as_view()})
    for _ in range(2):
        site.get("/p/a/")
    invalidate_tags("page:a")
    site.get("/p/a/")

    assert len(site.runs) == 2


def test_vary_on_names_fields_and_cookies(make_site: Any) -> None:
    def view(request: Any) -> HttpResponse:
        return text(f"{request.META.get('HTTP_X_SIDE')} {request.COOKIES.get('theme')}", None)

    site = make_site({"p/": cache_response(60, vary_on=["X-Side", "cookie:theme"])(view)})
    asked: list[dict[str, str]] = [
        {},
        {"x_side": "left"},
        {"cookie": "theme=dark; other=1"},
        {"cookie": "theme=dark; other=2"},
        {"cookie": "theme=light"},
    ]

    first = [site.get("/p/", **headers).body for headers in asked]
    runs = len(site.runs)
    second = [site.get("/p/", **headers) for headers in asked]

    assert first == [answer.body for answer in second]
    assert runs == len(site.runs) == 4
    assert {name.strip() for name in second[0]["Vary"].split(",")} == {"X-Side", "Cookie"}


def test_a_page_that_names_a_cookie_is_one_page_for_each_of_its_values(make_site: Any) -> None:
    def view(request: Any) -> HttpResponse:
        return text(f"{request.COOKIES.get('theme')}", None)

    site = make_site({"p/": cache_response(60, vary_on=["cookie:theme"])(view)})
    dark, light = ({"cookie": f"lang=de; theme={name}"} for name in ("dark", "light"))

    made = [site.get("/p/", **each) for each in (dark, light)]
    assert [answer.body for answer in made] == [b"dark", b"light"]
    assert made[0]["ETag"] != made[1]["ETag"]

    others = ["theme=dark", "theme=dark; lang=fr", "seen=1; theme=dark", "themes=light; theme=dark"]
    for each in (dark, *({"cookie": other} for other in others)):
        again = site.get("/p/", **each)
        assert (again.body, again["ETag"]) == (b"dark", made[0]["ETag"])
        assert "; hit" in again["Cache-Status"]
        assert site.head("/p/", **each)["ETag"] == made[0]["ETag"]
        assert site.get("/p/", **each, if_none_match=made[0]["ETag"]).status_code == 304
        assert site.get("/p/", **each, if_none_match=made[1]["ETag"]).body == b"dark"
    assert site.get("/p/", **light).body == b"light"
    assert len(site.runs) == 2

    # No cookie, another case and an empty value are values of their own.
    for each, body in [({}, b"None"), ({"cookie": "Theme=dark"}, b"None"), ({"cookie": "theme="}, b"")]:
        assert [site.get("/p/", **each).body for _ in range(2)] == [body] * 2
    assert len(site.runs) == 4


def test_a_page_that_reads_a_cookie_beside_those_that_it_names_is_not_stored(make_site: Any) -> None:
    def view(request: Any) -> HttpResponse:
        return text(f"{request.COOKIES.get('theme')} {request.COOKIES.get('lang')}", None)

    site = make_site({"p/": cache_response(60, vary_on=["cookie:theme"])(view)})

    asked = ["theme=dark; lang=de", "theme=dark; lang=fr", "theme=dark"]
    bodies = [site.get("/p/", cookie=each).body for each in asked]

    assert bodies == [b"dark de", b"dark fr", b"dark None"]
    assert len(site.runs) == 3


def test_etags_by_function_answer_before_the_view_runs(make_site: Any) -> None:
    site = make_site(
        {"p/": cache_response(0, etag=lambda request: '"v1"')(lambda request: text(cache_control=None))}
    )
    assert site.get("/p/")["ETag"] == '"v1"'

    assert site.get("/p/", if_none_match='"v1"').status_code == 304


@pytest.mark.skipif(django.VERSION < (5, 0), reason="Django's condition is for sync views before 5.0")
def test_last_modified_by_function_works_on_async_views(make_site: Any) -> None:
    when = datetime(2024, 1, 1, tzinfo=UTC)

    async def view(request: Any) -> HttpResponse:
        return text(cache_control=None)

    site = make_site({"p/": cache_response(0, last_modified=lambda request: when)(view)})

    assert site.get("/p/")["Last-Modified"] == "Mon, 01 Jan 2024 00:00:00 GMT"
    assert site.get("/p/", if_modified_since="Mon, 01 Jan 2024 00:00:00 GMT").status_code == 304


def test_options_that_cannot_be_meant_are_refused() -> None:
    for wrong, exception in [
        (lambda: cache_response(lambda request: None), TypeError),  # type: ignore[arg-type]
        (lambda: cache_response(60, per="nobody"), ImproperlyConfigured),
        (lambda: cache_response(60, vary_on="Accept"), TypeError),
        (lambda: cache_response(60, tags="pages"), TypeError),
        (lambda: cache_response(60, tags=["page:{slug"]), ImproperlyConfigured),
    ]:
        with pytest.raises(exception):
            wrong()


def test_a_tag_that_cannot_be_filled_in_means_that_nothing_is_stored(make_site: Any) -> None:
    site = make_site(
        {"p/": cache_response(60, tags=["page:{slug}"])(lambda request: text(cache_control=None))}
    )

    assert [site.get("/p/").status_code for _ in range(2)] == [200, 200]
    assert len(site.runs) == 2


# Tenants


def resolve(request: Any) -> str | None:
    """Return the tenant of a request: that of its header."""
    return request.META.get("HTTP_X_TENANT")  # type: ignore[no-any-return]


def test_pages_of_a_tenant_need_one(make_site: Any) -> None:
    view = cache_response(60, per="tenant", tags=["tenant:{tenant_id}"])(
        lambda request: text(str(current_tenant()), None)
    )
    site = make_site(
        {"p/": view}, middleware=(TENANTS, OURS), PERFSUITE={"TENANCY": {"RESOLVER": f"{__name__}.resolve"}}
    )
    for _ in range(2):
        assert site.get("/p/", x_tenant="1").body == b"1"
        assert site.get("/p/", x_tenant="2").body == b"2"
    assert len(site.runs) == 2

    invalidate_tags("tenant:1")
    for tenant in ("1", "2"):
        site.get("/p/", x_tenant=tenant)
    assert len(site.runs) == 3

    for _ in range(2):
        site.get("/p/")
    assert len(site.runs) == 5


# Users


def _shown(request: Any) -> HttpResponse:
    return text(f"{request.user.pk} {request.user.get_username()}", None)


@pytest.fixture
def users(db: Any) -> list[Any]:
    return [get_user_model().objects.create_user(name, password="secret") for name in ("ada", "bob")]


def _cookie_of(user: Any) -> dict[str, str]:
    client = Client()
    client.force_login(user)
    return {"cookie": f"sessionid={client.cookies['sessionid'].value}"}


@pytest.fixture
def users_site(make_site: Any, users: list[Any]) -> Any:
    return make_site({"p/": cache_response(60, per="user")(_shown)}, middleware=STACK, **IN_CACHE)


@pytest.mark.django_db(transaction=True)
class TestUsersPages:
    """Under ASGI the views run in another thread, which does not see a transaction of the test's."""

    def test_each_user_has_a_page_and_nobody_gets_anothers(self, users_site: Any, users: list[Any]) -> None:
        cookies = [_cookie_of(user) for user in users]
        for _ in range(3):
            for user, cookie in zip(users, cookies, strict=True):
                answer = users_site.get("/p/", **cookie)
                assert answer.body == f"{user.pk} {user.get_username()}".encode()
                assert answer["Cache-Control"] == "private, no-cache"
        assert len(users_site.runs) == 2

        for _ in range(2):
            assert users_site.get("/p/").body == b"None "
        assert len(users_site.runs) == 4

    def test_a_hit_asks_for_no_user(
        self, users_site: Any, users: list[Any], django_assert_num_queries: Any
    ) -> None:
        cookie = _cookie_of(users[0])
        users_site.get("/p/", **cookie)

        with django_assert_num_queries(0):
            answer = users_site.get("/p/", **cookie)

        assert "hit" in answer["Cache-Status"]
        assert users_site.get("/p/", **cookie, if_none_match=answer["ETag"]).status_code == 304

    def test_two_sessions_of_a_user_are_two(self, users_site: Any, users: list[Any]) -> None:
        for cookie in (_cookie_of(users[0]), _cookie_of(users[0])):
            users_site.get("/p/", **cookie)

        assert len(users_site.runs) == 2

    @pytest.mark.parametrize(
        "change",
        ["logout", "password", "name", "permission", "group", "permission of group", "delete"],
    )
    def test_a_change_of_the_user_drops_the_page(
        self, users_site: Any, users: list[Any], change: str
    ) -> None:
        user, group = users[0], Group.objects.create(name="editors")
        client = Client()
        client.force_login(user)
        cookie = {"cookie": f"sessionid={client.cookies['sessionid'].value}"}
        if change == "permission of group":
            user.groups.add(group)
        users_site.get("/p/", **cookie)
        users_site.get("/p/", **cookie)
        assert len(users_site.runs) == 1

        permission = Permission.objects.first()
        if change == "logout":
            client.logout()
        elif change == "password":
            user.set_password("other")
            user.save()
        elif change == "name":
            user.first_name = "Augusta"
            user.save()
        elif change == "permission":
            user.user_permissions.add(permission)
        elif change == "group":
            user.groups.add(group)
        elif change == "permission of group":
            group.permissions.add(permission)
        else:
            user.delete()
        users_site.get("/p/", **cookie)

        assert len(users_site.runs) == 2

    def test_a_login_of_somebody_drops_nothing(self, users_site: Any, users: list[Any]) -> None:
        cookie = _cookie_of(users[0])
        users_site.get("/p/", **cookie)
        _cookie_of(users[0])
        users_site.get("/p/", **cookie)

        assert len(users_site.runs) == 1

    def test_a_stale_page_of_a_user_is_made_anew_for_that_user(
        self, make_site: Any, kind: str, users: list[Any]
    ) -> None:
        if kind == "async":
            pytest.skip("the client's event loop ends with its request")
        version = [1]

        def view(request: Any) -> HttpResponse:
            response = text(f"{request.user.get_username()} {version[0]}", None)
            if version[0] == 1:
                response["Age"] = "100"
            return response

        site = make_site(
            {"p/": cache_response(50, per="user", stale_for=100)(view)}, middleware=STACK, **IN_CACHE
        )
        cookie = _cookie_of(users[0])
        assert site.get("/p/", **cookie).body == b"ada 1"
        version[0] = 2

        assert site.get("/p/", **cookie).body == b"ada 1"
        until = time.monotonic() + 10
        while site.get("/p/", **cookie).body != b"ada 2":
            assert time.monotonic() < until
            time.sleep(0.01)
        assert site.get("/p/").body == b" 2"

    def test_a_view_that_changes_the_session_is_not_stored(self, make_site: Any, users: list[Any]) -> None:
        def view(request: Any) -> HttpResponse:
            request.session["seen"] = request.session.get("seen", 0) + 1
            return text(str(request.session["seen"]), None)

        site = make_site({"p/": cache_response(60, per="user")(view)}, middleware=STACK, **IN_CACHE)
        cookie = _cookie_of(users[0])

        assert [site.get("/p/", **cookie).body for _ in range(3)] == [b"1", b"2", b"3"]
