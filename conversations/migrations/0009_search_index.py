"""The search index of the database in use, and what has been said until today."""

from __future__ import annotations

from django.db import migrations

from conversations.search.index import INDEXES
from conversations.search.words import words

BATCH = 500


def create(apps, editor) -> None:
    INDEXES[editor.connection.vendor].create(editor)


def drop(apps, editor) -> None:
    INDEXES[editor.connection.vendor].drop(editor)


def fill(apps, editor) -> None:
    conversations = apps.get_model("conversations", "Conversation").objects.filter(temporary=False)
    messages = apps.get_model("conversations", "Message").objects.filter(
        conversation__temporary=False, role__in=["user", "assistant"]
    )
    titles = conversations.order_by("pk").values_list("pk", "owner_id", "title")
    _store(apps, editor, ((owner, pk, None, title) for pk, owner, title in titles.iterator(BATCH)))
    rows = messages.order_by("pk").values_list("pk", "conversation_id", "conversation__owner_id", "role", "text")
    said = ((owner, place, pk, text if role == "user" else _answer(apps, pk)) for pk, place, owner, role, text in rows.iterator(BATCH))
    _store(apps, editor, said)


def _answer(apps, message_id) -> str:
    generations = apps.get_model("conversations", "Generation").objects.filter(message=message_id).order_by("pk")
    outputs = generations.values_list("output", flat=True)
    return "".join(part["text"] for output in outputs for part in output if part["kind"] == "text")


def _store(apps, editor, rows) -> None:
    entry = apps.get_model("conversations", "SearchEntry")
    batch = []
    for owner, conversation, message, text in rows:
        batch.append((entry(owner_id=owner, conversation_id=conversation, message_id=message), words(text)))
        if len(batch) == BATCH:
            _write(entry, editor, batch)
            batch = []
    _write(entry, editor, batch)


def _write(entry, editor, batch) -> None:
    entry.objects.bulk_create([row for row, _ in batch])
    INDEXES[editor.connection.vendor].store(batch)


class Migration(migrations.Migration):
    dependencies = [("conversations", "0008_library")]
    operations = [
        migrations.RunPython(create, drop),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
