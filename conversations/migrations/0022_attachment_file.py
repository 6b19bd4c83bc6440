"""Attachments by their file: to find the files that no row names."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("conversations", "0021_names")]

    operations = [
        migrations.AddIndex(
            model_name="attachment",
            index=models.Index(
                fields=["file"], name="attachments_by_file", condition=models.Q(("file__gt", ""))
            ),
        ),
    ]
