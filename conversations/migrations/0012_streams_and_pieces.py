import conversations.models.limits
import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

PIECE_BYTES = 1_048_576


def into_pieces(apps, schema_editor):
    """Cut the files that are there."""
    file_rows = apps.get_model("conversations", "StoredFile").objects
    pieces = apps.get_model("conversations", "StoredPiece").objects
    for name in list(file_rows.values_list("pk", flat=True)):
        data = bytes(file_rows.values_list("data", flat=True).get(pk=name))
        for start in range(0, len(data), PIECE_BYTES):
            pieces.create(file_id=name, start=start, data=data[start : start + PIECE_BYTES])
        file_rows.filter(pk=name).update(size=len(data))


class Migration(migrations.Migration):

    dependencies = [
        ('conversations', '0011_unsent_files'),
    ]

    operations = [
        migrations.CreateModel(
            name='StoredPiece',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('start', models.PositiveBigIntegerField()),
                ('data', models.BinaryField()),
                ('file', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='pieces', to='conversations.storedfile')),
            ],
            options={
                'ordering': ('file', 'start'),
                'constraints': [models.UniqueConstraint(fields=('file', 'start'), name='one_piece_at_a_place')],
            },
        ),
        migrations.AddField(
            model_name='storedfile',
            name='size',
            field=models.PositiveBigIntegerField(default=0, help_text='In bytes; 0 while it is being written.'),
        ),
        migrations.RunPython(into_pieces, migrations.RunPython.noop),
        migrations.RemoveField(
            model_name='storedfile',
            name='data',
        ),
        migrations.CreateModel(
            name='Watching',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('process', models.CharField(max_length=100)),
                ('subject', models.CharField(max_length=100)),
                ('streams', models.PositiveIntegerField()),
                ('seen_at', models.DateTimeField(db_index=True, default=django.utils.timezone.now)),
            ],
            options={
                'ordering': ('subject', 'process'),
                'constraints': [models.UniqueConstraint(fields=('subject', 'process'), name='one_count_of_a_process')],
            },
        ),
        migrations.AlterField(
            model_name='plan',
            name='streams',
            field=conversations.models.limits.LimitField(blank=True, help_text='Answers that one user watches at once.', null=True),
        ),
    ]
