"""How many of the indexes that help the sample site's pages are suggested, and how many others.

``DB=sqlite python benchmarks/suggest_site.py`` on a seeded site, before ``manage.py setup_indexes --apply``. It visits the pages
of one tenant in each role, asks for suggestions for the statements that they ran, and then grades them as ``suggest.py`` does:
it makes every index of up to three columns in the site's database, one after the other, and drops it again.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sampleproject.settings")
os.environ.setdefault("DEBUG", "1")  # its static files need not be collected

import django

django.setup()

# ruff: noqa: E402 - Django is set up first
import common
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from suggest import print_summary

from perfsuite.indexes.engines import opened
from perfsuite.indexes.suggesting.choosing import Asked, choose
from perfsuite.indexes.suggesting.needs import Statement
from perfsuite.indexes.suggesting.prices import PRICES
from perfsuite.indexes.suggesting.reading_sql import read_sql
from perfsuite.indexes.suggesting.statistics import figures_of
from perfsuite.queries.fingerprint import shape
from sampleproject.portal.models import Form, Page, User
from tests.indexes.wholesale import search
from tests.indexes.wholesale.suggested import shown

TENANT = "harbor"
OF_A_TENANT = (
    "", "pages/", "pages/?page=2", "pages/{page}/", "search/?q=path", "team/", "forms/{form}/", "leads/", "leads/?page=2",
    "leads/?status=new", "leads/?status=new&page=2", "api/pages/", "api/pages/{page}/", "api/suggest/?q=pa",
    "api/leads/daily/",
)  # fmt: skip


def addresses() -> Iterator[str]:
    """Yield what is visited."""
    page = Page.objects.filter(tenant__slug=TENANT, status="published").order_by("pk")[0]
    form = Form.objects.filter(tenant__slug=TENANT).order_by("pk")[0]
    yield from ("/", "/account/")
    yield from (f"/t/{TENANT}/{each.format(page=page.slug, form=form.slug)}" for each in OF_A_TENANT)


def statements() -> dict[str, str]:
    """Return what the visits ask of the portal's tables, one statement of each fingerprint with its values."""
    found: dict[str, str] = {}
    roles = {user.role: user for user in User.objects.filter(tenant__slug=TENANT).order_by("-pk")}
    for user in (None, *roles.values()):
        client = Client()
        if user:
            client.force_login(user)
        for address in addresses():
            with CaptureQueriesContext(connection) as captured:
                client.get(address)
            for each in captured.captured_queries:
                if each["sql"].startswith("SELECT") and "portal_" in each["sql"]:
                    found.setdefault(shape(each["sql"]).fingerprint, each["sql"])
    return {f"{number} {sql[-60:]}": sql for number, sql in enumerate(found.values())}


def columns() -> dict[str, list[str]]:
    """Return the columns of the portal's tables."""
    with connection.cursor() as cursor:
        tables = [each for each in connection.introspection.table_names(cursor) if each.startswith("portal_")]
        describe = connection.introspection.get_table_description
        return {table: [each.name for each in describe(cursor, table)] for table in tables}


def suggested(read: Mapping[str, Statement], names: Mapping[str, Any]) -> list[search.Index]:
    """Return the suggested indexes."""
    with opened("default") as engine:
        figures = figures_of(engine, connection.vendor, names)
    chosen = choose([Asked(each) for each in read.values()], figures, PRICES[connection.vendor])
    return [(each.table, tuple(map(str, each.keys))) for each in chosen]


def main() -> None:
    """Print what was found, what was suggested, and what they have in common."""
    settings.ALLOWED_HOSTS = ["testserver"]
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    queries, names = statements(), columns()
    read = {name: read_sql(sql, columns_of=names.get) for name, sql in queries.items()}
    chosen = suggested(read, names)
    before = {name: search.cost(connection, sql) for name, sql in queries.items()}
    possible = search.possible(read)
    print(f"{common.machine()}; {connection.vendor}")
    print(f"{len(queries)} statements, {len(possible)} possible indexes")
    tried = {(index, name): cost for index, name, cost in search.costs(connection, queries, possible, before)}
    asked = {index: list(queries) for index in chosen}
    ours = {(index, name): cost for index, name, cost in search.costs(connection, queries, asked, before)}
    with_all = search.together(connection, queries, chosen, before)
    found, alone, others = search.grade(before, tried, ours)
    _, missed, _ = search.grade(before, tried, ours, with_all)
    print_summary(connection.vendor, len(found), len(alone), len(missed), len(chosen), len(others))
    for index, name in missed:
        costs = [each / before[name] for each in (tried[index, name], with_all[name])]
        print(f"missed {shown(index)}: {costs[0]:.0%}, with all that is suggested {costs[1]:.0%} ...{name}")
    for index in others:
        print(f"of no use {shown(index)}")


if __name__ == "__main__":
    main()
