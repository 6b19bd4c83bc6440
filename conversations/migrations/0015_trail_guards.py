"""The database refuses changes of the audit trail. On its own: PostgreSQL alters no table and adds triggers at once."""

from __future__ import annotations

from django.db import migrations

from conversations.audit import guards


def install(apps, editor) -> None:
    guards.install(editor.connection)


def remove(apps, editor) -> None:
    guards.remove(editor.connection)


class Migration(migrations.Migration):
    dependencies = [("conversations", "0014_trail")]
    operations = [migrations.RunPython(install, remove)]
