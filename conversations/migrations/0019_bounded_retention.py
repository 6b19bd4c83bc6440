"""Days of a retention rule that no calendar has made the whole upkeep fail."""

import django.core.validators
from django.db import migrations, models

MOST_DAYS = 36_500


def clamp(apps, schema_editor):
    rules = apps.get_model("conversations", "RetentionRule").objects.using(schema_editor.connection.alias)
    rules.filter(days__gt=MOST_DAYS).update(days=MOST_DAYS)


class Migration(migrations.Migration):
    dependencies = [("conversations", "0018_review_roles")]

    operations = [
        migrations.RunPython(clamp, migrations.RunPython.noop, elidable=True),
        migrations.AlterField(
            model_name="retentionrule",
            name="days",
            field=models.PositiveIntegerField(
                help_text="Since the last message of a conversation.",
                validators=[
                    django.core.validators.MinValueValidator(1),
                    django.core.validators.MaxValueValidator(MOST_DAYS),
                ],
                verbose_name="days",
            ),
        ),
    ]
