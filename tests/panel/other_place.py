"""URLs of a host that has the panel somewhere else."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("control/", admin.site.urls),
    path("internal/speed/", include("perfsuite.panel.urls")),
]
