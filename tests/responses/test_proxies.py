"""Behind a proxy: what it says of host and scheme counts where the site trusts it, and never where it does not."""

from __future__ import annotations

from typing import Any

import pytest
from django.http import HttpResponse

from tests.responses.site import text

pytestmark = pytest.mark.alike
HOSTS = ["a.test", "b.test", "proxy.test"]
BEHIND_TLS = {"SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_PROTO", "https")}


def says_where(request: Any) -> HttpResponse:
    return text(f"{request.scheme}://{request.get_host()}")


def test_a_forwarded_host_is_the_page_where_it_is_trusted(make_site: Any) -> None:
    site = make_site({"p/": says_where}, ALLOWED_HOSTS=HOSTS, USE_X_FORWARDED_HOST=True)
    for _ in range(2):
        for host in ("a.test", "b.test"):
            answer = site.get("/p/", host="proxy.test", x_forwarded_host=host)
            assert answer.body == f"http://{host}".encode()
        assert site.get("/p/", host="proxy.test").body == b"http://proxy.test"

    assert len(site.runs) == 3
    assert site.get("/p/", host="proxy.test", x_forwarded_host="evil.test").status_code == 400


def test_a_forwarded_host_is_nothing_where_it_is_not_trusted(make_site: Any) -> None:
    site = make_site({"p/": says_where}, ALLOWED_HOSTS=HOSTS)
    for forwarded in ("evil.test", "b.test"):
        assert site.get("/p/", host="a.test", x_forwarded_host=forwarded).body == b"http://a.test"
    assert site.get("/p/", host="b.test", x_forwarded_host="a.test").body == b"http://b.test"

    assert len(site.runs) == 2


def test_a_forwarded_scheme_is_the_page_where_it_is_trusted(make_site: Any) -> None:
    site = make_site({"p/": says_where}, ALLOWED_HOSTS=HOSTS, **BEHIND_TLS)
    for _ in range(2):
        assert site.get("/p/", host="a.test", x_forwarded_proto="https").body == b"https://a.test"
        assert site.get("/p/", host="a.test", x_forwarded_proto="http").body == b"http://a.test"
        assert site.get("/p/", host="a.test").body == b"http://a.test"

    assert len(site.runs) == 2


def test_a_forwarded_scheme_is_nothing_where_it_is_not_trusted(make_site: Any) -> None:
    site = make_site({"p/": says_where}, ALLOWED_HOSTS=HOSTS)
    for forwarded in ("https", "http", "nonsense"):
        answer = site.get("/p/", host="a.test", x_forwarded_proto=forwarded)
        assert answer.body == b"http://a.test"

    assert len(site.runs) == 1


def test_a_change_of_the_settings_counts_at_once(make_site: Any) -> None:
    for is_trusted in (True, False):
        site = make_site({"p/": says_where}, ALLOWED_HOSTS=HOSTS, USE_X_FORWARDED_HOST=is_trusted)
        site.get("/p/", host="a.test")
        expected = b"http://b.test" if is_trusted else b"http://a.test"
        assert site.get("/p/", host="a.test", x_forwarded_host="b.test").body == expected
