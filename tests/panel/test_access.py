"""Who may see the panel, by which methods, and that nobody keeps a copy."""

from __future__ import annotations

import pytest
from django.contrib.admin import AdminSite
from django.test import Client, RequestFactory, override_settings
from django.urls import include, path

from perfsuite.panel.admin import DashboardAdmin
from perfsuite.panel.models import Dashboard
from tests.panel.conftest import DATA, PAGES, client_of, make_user
from tests.urls import urlpatterns as host_urls

pytestmark = pytest.mark.django_db(databases="__all__")

ops = AdminSite(name="ops")
ops.register(Dashboard, DashboardAdmin)
urlpatterns = [path("ops/", ops.urls), *host_urls]


@pytest.mark.parametrize("url", PAGES)
def test_an_anonymous_visitor_is_sent_to_the_login_and_back(url: str) -> None:
    response = Client().get(f"{url}?range=15m")
    assert response.status_code == 302
    assert response["Location"] == f"/admin/login/?next={url}%3Frange%3D15m"


@pytest.mark.parametrize("url", DATA)
def test_an_anonymous_poll_is_answered_with_401_and_json(url: str) -> None:
    response = Client().get(url)
    assert response.status_code == 401
    assert response.json() == {"error": "Log in to see the performance panel."}
    assert "no-store" in response["Cache-Control"]


@pytest.mark.parametrize("url", [*PAGES, *DATA])
def test_staff_without_the_permission_is_refused(url: str) -> None:
    assert client_of(make_user("staff", staff=True)).get(url).status_code == 403


@pytest.mark.parametrize("url", [PAGES[0], *DATA])
def test_the_permission_without_staff_is_not_enough(url: str) -> None:
    assert client_of(make_user("visitor", permitted=True)).get(url).status_code == 403


@pytest.mark.parametrize("url", [*PAGES, *DATA])
def test_permitted_staff_and_superusers_see_the_panel(url: str) -> None:
    assert client_of(make_user("permitted", staff=True, permitted=True)).get(url).status_code == 200
    assert client_of(make_user("root", staff=True, is_superuser=True)).get(url).status_code == 200


@pytest.mark.parametrize("url", [*PAGES, *DATA])
def test_an_inactive_superuser_is_refused(url: str) -> None:
    user = make_user("gone", staff=True, is_superuser=True)
    client = client_of(user)
    user.is_active = False
    user.save()
    assert client.get(url).status_code in {302, 401}
    with override_settings(
        AUTHENTICATION_BACKENDS=["django.contrib.auth.backends.AllowAllUsersModelBackend"]
    ):
        client.force_login(user)
        assert client.get(url).status_code in {302, 403}


@pytest.mark.parametrize("url", [*PAGES, *DATA])
def test_only_get_and_head_are_allowed(url: str, permitted: Client) -> None:
    assert permitted.head(url).status_code == 200
    assert permitted.head(url).content == b""
    for method in ("post", "put", "patch", "delete"):
        response = getattr(permitted, method)(url)
        assert response.status_code == 405
        assert response["Allow"] == "GET, HEAD"


@pytest.mark.parametrize("url", [*PAGES, *DATA])
def test_nothing_is_stored_on_the_way(url: str, permitted: Client) -> None:
    assert "no-store" in permitted.get(url)["Cache-Control"]


@pytest.mark.parametrize("url", [*PAGES, *DATA])
def test_an_unknown_range_is_one_sentence_with_the_known_ones(url: str, permitted: Client) -> None:
    response = permitted.get(f"{url}?range=%3Cscript%3E")
    assert response.status_code == 400
    assert "text/html" not in response["Content-Type"]
    said = response.json()["error"] if "json" in response["Content-Type"] else response.content.decode()
    assert said == "Unknown range '<script>'. Write one of 15m, 1h, 6h, 24h, 7d."


def test_the_panel_is_in_the_index_of_those_who_may_see_it(permitted: Client) -> None:
    link = 'href="/admin/perfsuite_panel/dashboard/"'
    assert link in permitted.get("/admin/").content.decode()
    assert link not in client_of(make_user("staff", staff=True)).get("/admin/").content.decode()
    assert link in client_of(make_user("root", staff=True, is_superuser=True)).get("/admin/").content.decode()


@pytest.mark.parametrize("action", ["add/", "1/change/", "1/delete/", "1/history/", "1/"])
def test_there_is_nothing_to_add_change_or_delete(action: str) -> None:
    root = client_of(make_user("root", staff=True, is_superuser=True))
    assert root.get(f"/admin/perfsuite_panel/dashboard/{action}").status_code == 404


def test_a_superuser_may_only_look() -> None:
    request = RequestFactory().get("/")
    request.user = make_user("root", staff=True, is_superuser=True)
    model_admin = ops._registry[Dashboard]
    assert model_admin.get_model_perms(request) == {
        "add": False,
        "change": False,
        "delete": False,
        "view": True,
    }


@override_settings(ROOT_URLCONF=__name__)
def test_another_admin_site_shows_the_panel_under_its_own_urls(permitted: Client) -> None:
    response = permitted.get("/ops/perfsuite_panel/dashboard/")
    assert response.status_code == 200
    assert 'data-url="/ops/perfsuite_panel/dashboard/data/"' in response.content.decode()
    assert 'data-login-url="/ops/login/"' in response.content.decode()
    assert permitted.get("/ops/perfsuite_panel/dashboard/data/").status_code == 200
    assert Client().get("/ops/perfsuite_panel/dashboard/data/").status_code == 401


@override_settings(ROOT_URLCONF="tests.panel.other_place")
def test_the_panel_works_at_any_url(permitted: Client) -> None:
    response = permitted.get("/internal/speed/")
    assert 'data-url="/internal/speed/data/"' in response.content.decode()
    assert permitted.get("/internal/speed/data/").status_code == 200


def test_the_urls_can_be_included() -> None:
    assert include("perfsuite.panel.urls")[1] == "perfsuite_panel"
