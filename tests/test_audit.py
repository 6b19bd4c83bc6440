"""The audit trail: nothing that was noted can be changed without being found out."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from conversations import audit
from conversations.audit import chain, export, guards
from conversations.audit.chain import Head
from conversations.models import AuditEntry
from tests.process import ROOT

pytestmark = pytest.mark.django_db

SOMEBODY = uuid.UUID(int=7)


@pytest.fixture
def trail(user) -> list[AuditEntry]:
    """Six sealed entries."""
    for number in range(6):
        audit.record(user, "test.write", conversation_id=SOMEBODY, generation_id=SOMEBODY, number=number)
    chain.seal_all()
    return list(AuditEntry.objects.order_by("position"))


@pytest.fixture
def unguarded() -> None:
    """Whoever owns the database can take its guards away."""
    guards.remove(connection)


def verify(**options: str) -> str:
    out = io.StringIO()
    call_command("verify_audit", stdout=out, **options)
    return out.getvalue()


def test_entries_are_sealed_in_a_chain(trail):
    assert [entry.position for entry in trail] == [1, 2, 3, 4, 5, 6]
    before = "0" * 64
    for entry in trail:
        assert entry.hash == chain.hash_of(entry, entry.position, before)
        before = entry.hash
    assert "The chain is whole: 6 entries.\n" in verify()
    assert f"Head 6:{trail[-1].hash}" in verify()


def test_what_is_committed_late_is_sealed_behind_what_was_earlier(user, trail):
    audit.record(user, "test.late")
    audit.record(user, "test.early")
    late, early = AuditEntry.objects.order_by("pk")[6:]
    AuditEntry.objects.bulk_update([_sealed(early, trail[-1])], ["position", "hash"])
    chain.seal_all()
    late.refresh_from_db()
    assert (early.position, late.position) == (7, 8)
    assert "whole: 8 entries" in verify()


def _sealed(entry: AuditEntry, before: AuditEntry) -> AuditEntry:
    entry.position = before.position + 1
    entry.hash = chain.hash_of(entry, entry.position, before.hash)
    return entry


def test_the_unsealed_tail_is_reported(user, trail):
    audit.record(user, "test.write")
    assert "Not sealed yet: 1 entries" in verify()


CHANGES = {
    "at": lambda entry: entry.at + timedelta(microseconds=1),
    "actor_id": lambda entry: entry.actor_id + 1,
    "action": lambda _: "test.wrote",
    "conversation_id": lambda _: None,
    "generation_id": lambda _: uuid.UUID(int=8),
    "data": lambda _: {"number": 9},
    "position": lambda _: 100,
    "hash": lambda _: "f" * 64,
    "id": lambda _: 1000,
}


@pytest.mark.parametrize("column", CHANGES)
@pytest.mark.parametrize("place", [0, 3, 5])
def test_a_change_of_any_column_is_found(trail, unguarded, column, place):
    entry = trail[place]
    AuditEntry.objects.filter(pk=entry.pk).update(**{column: CHANGES[column](entry)})
    with pytest.raises(CommandError, match=f"position {place + 1}"):
        head = {"head": f"6:{trail[-1].hash}"} if column == "position" and place == len(trail) - 1 else {}
        verify(**head)


def test_every_column_is_under_test():
    assert set(CHANGES) == {field.attname for field in AuditEntry._meta.concrete_fields}


def test_a_removed_entry_is_found(trail, unguarded):
    AuditEntry.objects.filter(pk=trail[2].pk).delete()
    with pytest.raises(CommandError, match=f"position 3 is missing: entry {trail[3].pk} at position 4 follows 2"):
        verify()


def test_swapped_entries_are_found(trail, unguarded):
    first, second = trail[1], trail[2]
    for row, position in ((first, 50), (second, 2), (first, 3)):
        AuditEntry.objects.filter(pk=row.pk).update(position=position)
    with pytest.raises(CommandError, match=f"entry {second.pk} at position 2 is not what was sealed"):
        verify()


def test_a_forged_entry_needs_the_seals_of_all_that_follow(trail, unguarded):
    forged = trail[2]
    forged.data = {"number": 17}
    AuditEntry.objects.filter(pk=forged.pk).update(data=forged.data, hash=chain.hash_of(forged, 3, trail[1].hash))
    with pytest.raises(CommandError, match="position 4"):
        verify()


def test_a_cut_off_end_is_found_by_a_head_that_was_kept(user, trail, unguarded):
    kept = f"6:{trail[-1].hash}"
    AuditEntry.objects.filter(position__gte=5).delete()
    guards.install(connection)
    assert "whole: 4 entries" in verify()
    with pytest.raises(CommandError, match="the chain ends at position 4, before the head given at 6"):
        verify(head=kept)
    for _ in range(3):
        audit.record(user, "test.other")
    chain.seal_all()
    with pytest.raises(CommandError, match=r"position 6 .* does not have the hash of the head given"):
        verify(head=kept)


def test_an_older_head_is_still_on_the_chain(user, trail):
    kept = str(chain.head())
    audit.record(user, "test.write")
    chain.seal_all()
    assert "whole: 7 entries" in verify(head=kept)


@pytest.mark.parametrize("text", ["", "6", "6:abc", "x:" + "0" * 64])
def test_a_head_is_read_strictly(text):
    with pytest.raises(ValueError, match=f"^{text}$"):
        Head.parse(text)


def test_the_database_refuses_changes(trail):
    rows = AuditEntry.objects.filter(pk=trail[0].pk)
    for change in (lambda: rows.update(action="x"), lambda: rows.update(position=99), rows.delete):
        with pytest.raises(IntegrityError, match="only ever added to"), transaction.atomic():
            change()
    assert "whole" in verify()


def test_what_is_not_sealed_yet_is_guarded_too(user):
    audit.record(user, "test.write")
    for change in ({"action": "x"}, {"position": 1, "action": "x"}, {"position": None}):
        with pytest.raises(IntegrityError), transaction.atomic():
            AuditEntry.objects.update(**change)


def test_the_table_cannot_be_emptied(trail):
    statement = "TRUNCATE" if connection.vendor == "postgresql" else "DELETE FROM"
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"{statement} conversations_auditentry")


def test_missing_guards_are_reported_and_come_back_with_migrate(trail, unguarded):
    with pytest.raises(CommandError, match="lacks guards: audit_no_update, audit_no_delete"):
        verify()
    guards.install_after_migrate("default")
    assert "whole" in verify()


def test_entries_outlive_their_actor(trail, user):
    pk = user.pk
    user.delete()
    assert not get_user_model().objects.filter(pk=pk).exists()
    assert set(AuditEntry.objects.values_list("actor_id", flat=True)) == {pk}
    assert "whole: 6 entries" in verify()


def test_the_export_has_all_that_is_needed_to_verify(trail):
    rows = [json.loads(line) for line in _exported()]
    assert [row["position"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert rows[-1]["hash"] == trail[-1].hash
    assert rows[0]["data"] == {"number": 0}


def _exported(*arguments: str) -> list[str]:
    out = io.StringIO()
    call_command("export_audit", *arguments, stdout=out)
    return out.getvalue().splitlines()


def test_the_export_can_be_narrowed_to_a_time(user):
    for day in (1, 2, 3):
        AuditEntry.objects.create(actor=user, action=f"day.{day}", at=datetime(2026, 3, day, 12, tzinfo=UTC))
    assert [json.loads(line)["action"] for line in _exported("--since", "2026-03-02")] == ["day.2", "day.3"]
    assert [json.loads(line)["action"] for line in _exported("--until=2026-03-02T12:00Z")] == ["day.1"]
    with pytest.raises(CommandError, match="invalid moment value: 'yesterday'"):
        _exported("--since", "yesterday")


@pytest.mark.parametrize(("zone", "day"), [("Europe/Berlin", "0001-01-01"), ("America/New_York", "9999-12-31T23:00")])
def test_moments_that_cannot_be_told_everywhere_are_refused(settings, zone, day):
    settings.TIME_ZONE = zone
    with pytest.raises(ValueError, match=day):
        export.moment(day)


def test_the_page_of_the_trail_gives_the_export(client, user):
    user.is_staff = user.is_superuser = True
    user.save()
    client.force_login(user)
    AuditEntry.objects.create(actor=user, action="long.ago", at=timezone.now() - timedelta(days=900))
    response = client.get("/admin/conversations/auditentry/export/", {"since": "2020-01-01"})
    assert response["Content-Type"] == "application/x-ndjson"
    rows = [json.loads(line) for line in async_to_sync(_content)(response).splitlines()]
    assert "long.ago" in {row["action"] for row in rows}
    assert AuditEntry.objects.filter(action="audit.export", actor=user).exists()
    assert client.get("/admin/conversations/auditentry/export/", {"since": "soon"}).status_code == 400
    assert "/admin/conversations/auditentry/export/" in client.get("/admin/conversations/auditentry/").content.decode()


async def _content(response) -> str:
    return b"".join([piece async for piece in response.streaming_content]).decode()


def test_the_export_is_for_those_who_may_read_the_trail(client, user):
    user.is_staff = True
    user.save()
    client.force_login(user)
    assert client.get("/admin/conversations/auditentry/export/").status_code == 403


@pytest.mark.django_db(transaction=True)
def test_fifty_writers_in_five_processes_make_one_chain():
    name = connection.settings_dict["NAME"]
    url = f"sqlite:///{name}" if connection.vendor == "sqlite" else _postgresql_url(name)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("COV_")}
    environment |= {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "chatapp.settings", "DATABASE_CONNECTIONS": "12"}
    command = [sys.executable, "-m", "tests.audit_writers"]
    writers = [
        subprocess.Popen([*command, str(number), "12"], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
        for number in range(5)
    ]
    for writer in writers:
        errors = writer.communicate(timeout=120)[1]
        assert writer.returncode == 0, errors
    chain.seal_all(seconds=30)
    assert AuditEntry.objects.count() == 50 * 8
    assert "The chain is whole: 400 entries.\n" in verify()
    # Ids that were committed out of order stand behind, and each writer's own entries are in its order.
    by_writer: dict[int, list[int]] = {}
    for entry in AuditEntry.objects.order_by("position"):
        by_writer.setdefault(entry.data["writer"], []).append(entry.data["number"])
    assert all(numbers == sorted(numbers) for numbers in by_writer.values())


def _postgresql_url(name: str) -> str:
    settings = connection.settings_dict
    who = f"{settings['USER']}:{settings['PASSWORD']}@" if settings["USER"] else ""
    return f"postgresql://{who}{settings['HOST'] or '127.0.0.1'}:{settings['PORT'] or 5432}/{name}"
