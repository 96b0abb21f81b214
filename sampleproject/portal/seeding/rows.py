"""Makes the rows in memory: what each tenant, user, page and lead says."""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import datetime, timedelta
from random import Random
from typing import TypeVar

from django.contrib.auth.hashers import make_password
from django.utils.text import slugify

from sampleproject.portal.models import Form, Lead, Page, Tenant, User
from sampleproject.portal.seeding import cast
from sampleproject.portal.seeding.library import Entry

DAYS = 180
PAGE_STATUSES = (Page.Status.PUBLISHED,) * 94 + (Page.Status.DRAFT,) * 4 + (Page.Status.ARCHIVED,) * 2
USER_ROLES = (
    (User.Role.OWNER,) * 5 + (User.Role.EDITOR,) * 30 + (User.Role.AGENT,) * 45 + (User.Role.VIEWER,) * 20
)
LEAD_STATUSES = tuple(Lead.Status)
FRESH_LEADS = (40, 30, 15, 5, 10)  # weights of LEAD_STATUSES within the last two weeks
OLDER_LEADS = (2, 18, 15, 30, 35)  # and before
FRESH = timedelta(days=14)
WORD = re.compile(r"[a-z]{4,}")
MAX_KEYWORDS = 8

Item = TypeVar("Item", User, Form)


def tenants() -> list[Tenant]:
    """Return one tenant for each company."""
    return [Tenant(name=c.name, slug=c.slug, tagline=c.tagline, accent=c.accent) for c in cast.COMPANIES]


def forms(tenants: list[Tenant]) -> list[Form]:
    """Return the same forms for each tenant."""
    return [
        Form(tenant=t, name=name, slug=slug, intro=intro) for t in tenants for name, slug, intro in cast.FORMS
    ]


def users(random: Random, count: int, tenants: list[Tenant], now: datetime) -> list[User]:
    """Return people who work for the tenants in turn; none of them can log in."""
    made = [_user(random, number, tenants[number % len(tenants)], now) for number in range(count)]
    taken: set[str] = set()
    for number, user in enumerate(made):
        if user.email in taken:  # who has another's name at the same company has an address with a number
            name, _, host = user.email.partition("@")
            user.email = f"{name}.{number}@{host}"
        taken.add(user.email)
    return made


def _user(random: Random, number: int, tenant: Tenant, now: datetime) -> User:
    first, last = cast.person(random)
    return User(
        username=f"{first}.{last}.{number}".lower(),
        email=f"{first}.{last}@{tenant.slug}.example.com".lower(),
        password=make_password(None),
        first_name=first,
        last_name=last,
        tenant=tenant,
        role=random.choice(USER_ROLES),
        date_joined=now - timedelta(days=random.randint(DAYS, 4 * DAYS)),
        last_login=now - timedelta(minutes=random.randint(5, DAYS * 24 * 60))
        if random.random() < 0.9
        else None,
    )


def pages(
    random: Random, entries: list[Entry], tenants: list[Tenant], users: list[User], now: datetime
) -> list[Page]:
    """Return a page for each entry, in the portal of the company that documents its module."""
    writers = _by_tenant([user for user in users if user.role in {User.Role.OWNER, User.Role.EDITOR}])
    taken: set[str] = set()
    made = []
    for entry in entries:
        tenant = tenants[cast.company_of(entry.module)]
        made.append(
            Page(
                tenant=tenant,
                author=random.choice(writers[tenant.pk]) if writers[tenant.pk] else None,
                title=entry.name,
                slug=_free_slug(entry.name, taken),
                module=entry.module,
                kind=entry.kind,
                signature=entry.signature,
                summary=entry.summary,
                keywords=_keywords(entry),
                body=entry.body,
                status=random.choice(PAGE_STATUSES),
                updated_at=now - timedelta(minutes=random.randint(60, 2 * DAYS * 24 * 60)),
            )
        )
    return made


def leads(
    random: Random, count: int, pages: list[Page], forms: list[Form], users: list[User], now: datetime
) -> list[Lead]:
    """Return leads of the half year before today, oldest first, most of them from working hours."""
    agents = _by_tenant([user for user in users if user.role == User.Role.AGENT])
    forms_of = _by_tenant(forms)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    made = []
    for age in sorted((_age(random) for _ in range(count)), reverse=True):
        page = random.choice(pages)
        form = random.choice(forms_of[page.tenant_id])
        made.append(_lead(random, page, form, agents[page.tenant_id], midnight, age))
    return made


def _lead(
    random: Random, page: Page, form: Form, agents: list[User], midnight: datetime, age: timedelta
) -> Lead:
    first, last = cast.person(random)
    firm = random.choice(cast.FIRMS)
    (status,) = random.choices(LEAD_STATUSES, FRESH_LEADS if age < FRESH else OLDER_LEADS)
    message = random.choice(cast.MESSAGES[form.slug])
    return Lead(
        tenant_id=page.tenant_id,
        form=form,
        page=page,
        assigned_to=random.choice(agents) if agents and status != Lead.Status.NEW else None,
        name=f"{first} {last}",
        email=f"{first}.{last}@{slugify(firm)}.example.com".lower(),
        company=firm,
        message=message.format(
            title=page.title, module=page.module, summary=page.summary, size=random.randint(3, 40)
        ),
        status=status,
        created_at=midnight - age,
    )


def _age(random: Random) -> timedelta:
    """Return how long before last midnight a lead came: on any day, mostly between 8 and 18 o'clock."""
    hour = random.triangular(6, 22, 11) if random.random() < 0.9 else random.uniform(0, 24)
    return timedelta(days=random.randint(1, DAYS), hours=-hour)


def _keywords(entry: Entry) -> str:
    """Return what a reader may search for: the parts of the name and the first long words of the summary."""
    words = [
        *entry.name.lower().replace("_", " ").replace(".", " ").split(),
        *WORD.findall(entry.summary.lower()),
    ]
    return ", ".join(list(dict.fromkeys(words))[:MAX_KEYWORDS])[:200]


def _free_slug(name: str, taken: set[str]) -> str:
    """Return a slug that no other page has: names that differ in case alone get a number."""
    stem = slugify(name.replace(".", "-"))
    slug, number = stem, 2
    while slug in taken:
        slug, number = f"{stem}-{number}", number + 1
    taken.add(slug)
    return slug


def _by_tenant(items: list[Item]) -> dict[int | None, list[Item]]:
    grouped: dict[int | None, list[Item]] = defaultdict(list)
    for item in items:
        grouped[item.tenant_id].append(item)
    return grouped
