"""wagtail with its own page type, images, documents, users and workflows. See real_sites.py."""

from __future__ import annotations

import io
from typing import Any

import perfsuite

SETTINGS: dict[str, Any] = {
    "INSTALLED_APPS": [
        "wagtail.contrib.forms", "wagtail.contrib.redirects", "wagtail.contrib.settings", "wagtail.contrib.search_promotions",
        "wagtail.embeds", "wagtail.sites", "wagtail.users", "wagtail.snippets", "wagtail.documents", "wagtail.images",
        "wagtail.search", "wagtail.admin", "wagtail", "modelcluster", "taggit", "django_filters",
        "django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions",
        "django.contrib.messages", "django.contrib.staticfiles", *perfsuite.APPS,
    ],
    "MIDDLEWARE": [
        "perfsuite.monitoring.RequestMetricsMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
        "wagtail.contrib.redirects.middleware.RedirectMiddleware",
    ],
    "WAGTAIL_SITE_NAME": "Example",
    "WAGTAILADMIN_BASE_URL": "http://testserver",
    "WAGTAILSEARCH_BACKENDS": {"default": {"BACKEND": "wagtail.search.backends.database"}},
    "TEMPLATES": [{
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request", "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }],
}  # fmt: skip

STARTS = (
    "/cms/", "/cms/pages/", "/cms/images/", "/cms/documents/", "/cms/users/", "/cms/groups/", "/cms/sites/",
    "/cms/reports/site-history/", "/cms/reports/locked/", "/cms/reports/workflow/", "/cms/reports/workflow_tasks/",
    "/cms/reports/aging-pages/", "/cms/reports/page-types-usage/", "/cms/redirects/", "/cms/collections/", "/cms/workflows/list/",
    "/cms/workflows/tasks/index/", "/cms/pages/search/?q=page", "/cms/account/", "/cms/forms/", "/cms/searchpicks/",
    "/cms/images/chooser/", "/cms/documents/chooser/", "/cms/choose-page/", "/cms/images/add/", "/cms/documents/multiple/add/",
    "/cms/pages/search/?q=page&content_type=wagtailcore.page", "/admin/wagtailcore/", "/admin/wagtailcore/page/",
)  # fmt: skip


def __getattr__(name: str) -> Any:
    if name != "urlpatterns":
        raise AttributeError(name)
    from django.contrib import admin
    from django.urls import include, path
    from wagtail import urls as pages
    from wagtail.admin import urls as cms
    from wagtail.documents import urls as documents

    patterns = [
        path("admin/", admin.site.urls),
        path("cms/", include(cms)),
        path("documents/", include(documents)),
        path("", include(pages)),
    ]
    globals()["urlpatterns"] = patterns
    return patterns


def fill(rows: int) -> Any:
    """Make a tree of pages with revisions, images, documents, users, redirects and workflows; return a superuser."""
    from django.contrib.auth import get_user_model
    from django.contrib.auth.models import Group
    from django.core.files.base import ContentFile
    from PIL import Image as Picture
    from wagtail.contrib.redirects.models import Redirect
    from wagtail.documents import get_document_model
    from wagtail.images import get_image_model
    from wagtail.models import Collection, Page, Site, Task, Workflow, WorkflowTask

    users = get_user_model().objects
    admin = users.create_superuser(username="admin", email="admin@example.org", password="admin")
    editors = [
        users.create_user(username=f"user{n}", email=f"user{n}@example.org", password=None)
        for n in range(rows)
    ]
    for n in range(rows):
        group = Group.objects.create(name=f"Group {n}")
        editors[n].groups.add(group)
    home = Page.objects.filter(depth=2).first()
    for n in range(rows):
        page = home.add_child(
            instance=Page(title=f"Page {n}", slug=f"page-{n}", show_in_menus=True, owner=editors[n])
        )
        page.save_revision(user=editors[n], log_action=True).publish(user=admin, log_action=True)
        for m in range(3):
            child = page.add_child(instance=Page(title=f"Page {n}.{m}", slug=f"page-{n}-{m}", owner=admin))
            child.save_revision(user=editors[n], log_action=True)
        Redirect.objects.create(old_path=f"/old-{n}", redirect_page=page)
    root = Collection.get_first_root_node()
    picture = io.BytesIO()
    Picture.new("RGB", (40, 30)).save(picture, "PNG")
    for n in range(rows):
        collection = root.add_child(name=f"Collection {n}")
        get_image_model().objects.create(
            title=f"Image {n}", file=ContentFile(picture.getvalue(), f"{n}.png"), width=40, height=30, collection=collection,
            uploaded_by_user=editors[n],
        )  # fmt: skip
        get_document_model().objects.create(
            title=f"Document {n}",
            file=ContentFile(b"text", f"{n}.txt"),
            collection=collection,
            uploaded_by_user=editors[n],
        )
        task = Task.objects.create(name=f"Task {n}")
        WorkflowTask.objects.create(workflow=Workflow.objects.create(name=f"Workflow {n}"), task=task)
        Site.objects.create(hostname=f"site{n}.example.org", root_page=home)
    return admin
