from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    """Makes no table: it lets Django create the content type and the permission."""

    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel(
            name="Dashboard",
            fields=[("id", models.CharField(max_length=36, primary_key=True, serialize=False))],
            options={
                "verbose_name": "performance panel",
                "verbose_name_plural": "Performance",
                "permissions": [("view_dashboard", "Can view the performance panel")],
                "managed": False,
                "default_permissions": (),
            },
        ),
    ]
