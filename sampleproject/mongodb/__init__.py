"""What django-mongodb-backend asks of a site: keys that are ObjectIds, for Django's own apps too.

It refuses an AutoField (mongodb.E001), and the migrations that these apps bring make AutoFields. So they get configs
with another key, and migrations of this project's own. `manage.py makemigrations` has written those.
"""

from __future__ import annotations

DEFAULT_AUTO_FIELD = "django_mongodb_backend.fields.ObjectIdAutoField"
APP_CONFIGS = {
    "django.contrib.admin": "sampleproject.mongodb.apps.MongoAdminConfig",
    "django.contrib.auth": "sampleproject.mongodb.apps.MongoAuthConfig",
    "django.contrib.contenttypes": "sampleproject.mongodb.apps.MongoContentTypesConfig",
    "sampleproject.portal.apps.PortalConfig": "sampleproject.mongodb.apps.MongoPortalConfig",
}
MIGRATION_MODULES = {
    app: f"sampleproject.mongodb.migrations.{app}" for app in ("admin", "auth", "contenttypes", "portal")
}
