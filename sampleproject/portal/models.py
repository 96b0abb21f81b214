"""Tenants, their users, pages, forms and leads.

The columns that searches and reports use have no index of their own on purpose: see the README.
"""

from __future__ import annotations

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.urls import reverse
from django.utils import timezone


class Tenant(models.Model):
    """A company with a documentation portal of its own."""

    class Accent(models.TextChoices):
        """The colour of the portal; the stylesheet knows these and no others."""

        TEAL = "teal", "Teal"
        INDIGO = "indigo", "Indigo"
        AMBER = "amber", "Amber"

    name = models.CharField(max_length=80)
    slug = models.SlugField(max_length=40, unique=True)
    tagline = models.CharField(max_length=160)
    accent = models.CharField(max_length=10, choices=Accent.choices, default=Accent.TEAL)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        """Return the address of the portal's front page."""
        return reverse("portal:tenant", args=[self.slug])


class User(AbstractUser):
    """A person who works for a tenant, or for the site when there is no tenant."""

    class Role(models.TextChoices):
        """What the person does for the tenant."""

        OWNER = "owner", "Owner"
        EDITOR = "editor", "Editor"
        AGENT = "agent", "Agent"
        VIEWER = "viewer", "Viewer"

    tenant = models.ForeignKey(
        Tenant, on_delete=models.CASCADE, null=True, blank=True, related_name="members"
    )
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.VIEWER)


class Page(models.Model):
    """A page of documentation about one module, class or function."""

    class Status(models.TextChoices):
        """Only published pages are shown to the public."""

        DRAFT = "draft", "Draft"
        PUBLISHED = "published", "Published"
        ARCHIVED = "archived", "Archived"

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="pages")
    author = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, related_name="pages")
    title = models.CharField(max_length=200)
    slug = models.SlugField(max_length=200, db_index=False)
    module = models.CharField(max_length=60)
    kind = models.CharField(max_length=10)
    signature = models.TextField(blank=True)
    summary = models.TextField(blank=True)
    keywords = models.CharField(max_length=200, blank=True)
    body = models.TextField(blank=True)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.DRAFT)
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("title",)
        constraints = (models.UniqueConstraint(fields=("tenant", "slug"), name="portal_page_slug_of_tenant"),)

    def __str__(self) -> str:
        return self.title

    @property
    def repeats_summary(self) -> bool:
        """Whether the body begins with the summary, so that showing both would say it twice."""
        return " ".join(self.body[: 2 * len(self.summary)].split()).startswith(self.summary)


class Form(models.Model):
    """A form that a visitor of a portal can fill in."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="forms")
    name = models.CharField(max_length=80)
    slug = models.SlugField(max_length=40, db_index=False)
    intro = models.CharField(max_length=200)

    class Meta:
        ordering = ("id",)
        constraints = (models.UniqueConstraint(fields=("tenant", "slug"), name="portal_form_slug_of_tenant"),)

    def __str__(self) -> str:
        return self.name


class Lead(models.Model):
    """What a visitor sent with a form."""

    class Status(models.TextChoices):
        """How far the conversation has come."""

        NEW = "new", "New"
        CONTACTED = "contacted", "Contacted"
        QUALIFIED = "qualified", "Qualified"
        WON = "won", "Won"
        LOST = "lost", "Lost"

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="leads")
    form = models.ForeignKey(Form, on_delete=models.CASCADE, related_name="leads")
    page = models.ForeignKey(Page, on_delete=models.SET_NULL, null=True, blank=True, related_name="leads")
    assigned_to = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, blank=True, related_name="leads"
    )
    name = models.CharField(max_length=120)
    email = models.EmailField()
    company = models.CharField(max_length=120, blank=True)
    message = models.TextField(max_length=4000)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.NEW)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("-created_at",)

    def __str__(self) -> str:
        return f"{self.name}, {self.get_status_display().lower()}"
