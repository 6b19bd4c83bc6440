"""The trail by action, for its filter in the admin."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("conversations", "0019_bounded_retention")]

    operations = [
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(fields=["action", "-id"], name="audit_entries_by_action"),
        ),
    ]
