"""Configs that give the models of Django's apps, and of the portal, ObjectIds as keys."""

from __future__ import annotations

from django.contrib.admin.apps import AdminConfig
from django.contrib.auth.apps import AuthConfig
from django.contrib.contenttypes.apps import ContentTypesConfig

from sampleproject.mongodb import DEFAULT_AUTO_FIELD
from sampleproject.portal.apps import PortalConfig


class MongoAdminConfig(AdminConfig):
    default_auto_field = DEFAULT_AUTO_FIELD


class MongoAuthConfig(AuthConfig):
    default_auto_field = DEFAULT_AUTO_FIELD


class MongoContentTypesConfig(ContentTypesConfig):
    default_auto_field = DEFAULT_AUTO_FIELD


class MongoPortalConfig(PortalConfig):
    default_auto_field = DEFAULT_AUTO_FIELD
