"""The same site under an ASGI server, in DEBUG, and on PostgreSQL."""

from __future__ import annotations

import pytest

from tests import servers
from tests.sampleproject.conftest import SMALL, Browser, Site

PATHS = ["/", "/t/harbor/", "/t/harbor/team/", "/t/harbor/search/?q=socket", "/t/harbor/api/leads/daily/"]


def test_the_site_runs_under_asgi(site: Site) -> None:
    with servers.uvicorn(app="sampleproject.asgi:application", **site.env) as server:
        assert [Browser(server.url).get(path).status for path in PATHS] == [200] * len(PATHS)
        assert Browser(server.url).get("/t/nobody/").status == 404


def test_the_debug_toolbar_is_there_in_debug_alone(site: Site) -> None:
    code = "from django.conf import settings; answer = ['debug_toolbar' in settings.INSTALLED_APPS, settings.COMPRESS_ENABLED]"
    assert site.run(code) == [False, True]
    debug = Site.at(site.var, DEBUG="1")
    assert debug.run(code) == [True, False]
    page = debug.run(
        "from django.test import Client\n"
        "response = Client(SERVER_NAME='localhost').get('/t/harbor/')\n"
        "page = response.content.decode()\n"
        "answer = [response.status_code, 'djDebug' in page, 'PerfsuitePanel' in page]"
    )
    assert page == [200, True, True]


def test_the_system_checks_find_nothing(site: Site) -> None:
    site.manage("setup_indexes", "--apply")  # Django 6.1 has each check look into the databases
    assert "no issues" in site.manage("check").stdout


def test_the_migrations_are_complete(site: Site) -> None:
    assert "No changes" in site.manage("makemigrations", "--check", "--dry-run", "portal").stdout


@pytest.mark.integration
def test_the_site_runs_on_postgresql(postgresql_server: servers.PostgreSQL, site: Site) -> None:
    import psycopg

    there = postgresql_server
    login = {"host": there.host, "port": there.port, "user": there.user, "password": there.password}
    with psycopg.connect(**login, dbname=there.dbname, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS sampleproject")
        connection.execute("CREATE DATABASE sampleproject")
    on_postgresql = Site.at(
        site.var, **postgresql_server.env | {"DB": "postgresql", "PGDATABASE": "sampleproject"}
    )
    on_postgresql.manage("migrate", "--verbosity=0")
    on_postgresql.manage("seed_demo", *SMALL)
    with servers.gunicorn("--threads=2", app="sampleproject.wsgi", **on_postgresql.env) as server:
        paths = [*PATHS, "/t/cedar/search/?q=%00"]
        assert [Browser(server.url).get(path).status for path in paths] == [200] * len(paths)
