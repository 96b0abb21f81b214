from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    """Makes no table: it lets Django create the permission to ask for plans."""

    dependencies = [("perfsuite_panel", "0001_initial")]
    operations = [
        migrations.AlterModelOptions(
            name="dashboard",
            options={
                "default_permissions": (),
                "managed": False,
                "permissions": [
                    ("view_dashboard", "Can view the performance panel"),
                    ("explain_query", "Can ask the database for the plan of a statement"),
                ],
                "verbose_name": "performance panel",
                "verbose_name_plural": "Performance",
            },
        ),
    ]
