from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    """Makes no table: it lets Django create the permission to change the state of findings."""

    dependencies = [("perfsuite_panel", "0002_explain_query")]
    operations = [
        migrations.AlterModelOptions(
            name="dashboard",
            options={
                "default_permissions": (),
                "managed": False,
                "permissions": [
                    ("view_dashboard", "Can view the performance panel"),
                    ("explain_query", "Can ask the database for the plan of a statement"),
                    ("change_findings", "Can ignore, resolve and open findings"),
                ],
                "verbose_name": "performance panel",
                "verbose_name_plural": "Performance",
            },
        ),
    ]
