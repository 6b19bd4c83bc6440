"""Old conversations go by the rules, whole; what a legal hold keeps stays, whoever wants it gone."""

from __future__ import annotations

import io
from datetime import timedelta
from importlib import import_module

import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.files.base import ContentFile
from django.core.management import call_command
from django.db import connection
from django.db.models import ProtectedError
from django.urls import reverse
from django.utils import timezone

from conversations import turns
from conversations.keeping import holds, purge, retention
from conversations.models import (
    Attachment,
    AuditEntry,
    Conversation,
    Generation,
    Job,
    LegalHold,
    RetentionRule,
    SearchEntry,
    StoredFile,
)
from conversations.process import jobs
from conversations.search import index_conversation
from tests.factories import make_conversation, make_running, make_turn, make_user

pytestmark = pytest.mark.django_db


def old(owner, days: float = 40, **fields) -> Conversation:
    conversation = make_conversation(owner, **fields)
    make_turn(conversation)
    Conversation.objects.filter(pk=conversation.pk).update(updated_at=timezone.now() - timedelta(days=days))
    return conversation


def rule(days: int = 30, **fields) -> RetentionRule:
    values = {"name": f"rule {days}", "days": days, "for_everybody": True, "enabled": True, **fields}
    return RetentionRule.objects.create(**values)


def apply() -> set:
    """Apply all rules and take away what is due; return what is left."""
    call_command("retention", stdout=io.StringIO())
    purge.tidy()
    return set(Conversation.objects.values_list("pk", flat=True))


@pytest.fixture
def boss(db):
    return make_user("boss", is_staff=True, is_superuser=True)


@pytest.fixture
def staff_client(client, boss):
    client.force_login(boss)
    return client


def hold(by, **about) -> LegalHold:
    return holds.place(LegalHold(reason="A lawsuit", **about), by=by)


def test_what_is_older_goes_and_what_is_younger_stays(user):
    old(user, days=31)
    young = old(user, days=29)
    rule(30)
    assert apply() == {young.pk}


def test_a_conversation_goes_with_its_files_and_words(user, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    conversation = old(user)
    index_conversation(conversation)
    file = Attachment(owner=user, message=conversation.messages.first(), kind="image", name="x.png", size=1)
    file.file.save("x", ContentFile(b"x"), save=False)
    file.save()
    rule(30)
    assert apply() == set()
    assert not any(model.objects.exists() for model in (Attachment, StoredFile, SearchEntry, Generation))


def test_each_piece_is_noted_with_its_counts(user, monkeypatch):
    monkeypatch.setattr(retention, "PIECE", 2)
    for _ in range(3):
        old(user)
    made = rule(30)
    assert [retention.delete_piece(made) for _ in range(3)] == [2, 1, 0]
    first, second = AuditEntry.objects.filter(action="retention.delete").order_by("pk")
    assert first.data == {"rule": made.pk, "days": 30, "conversations": 2, "messages": 4, "attachments": 0}
    assert second.data["conversations"] == 1


def test_the_upkeep_deletes_a_piece_at_a_time(user, monkeypatch):
    monkeypatch.setattr(retention, "PIECE", 2)
    monkeypatch.setattr(retention, "_looked_at", -retention.LOOK_SECONDS)
    for _ in range(5):
        old(user)
    rule(30)
    left = []
    for _ in range(4):
        retention.delete_now_and_then()
        left.append(Conversation.objects.visible().count())
    assert left == [3, 1, 0, 0]
    old(user)
    retention.delete_now_and_then()  # it has looked just now
    assert Conversation.objects.visible().count() == 1


def test_a_rule_that_cannot_be_applied_keeps_no_other_from_it(user, monkeypatch, caplog):
    monkeypatch.setattr(retention, "_looked_at", -retention.LOOK_SECONDS)
    old(user)
    too_long = rule(2_000_000)  # as a row may be that no form has checked
    rule(30)
    retention.delete_now_and_then()
    assert not Conversation.objects.visible().exists()
    assert f"Retention rule {too_long.pk} cannot be applied" in caplog.text


def test_days_beyond_the_calendar_are_refused_and_were_put_right(staff_client):
    values = {"name": "for ever", "for_everybody": "on", "enabled": "on"}
    url = reverse("admin:conversations_retentionrule_add")
    refused = staff_client.post(url, values | {"days": "36501"})
    assert refused.context["adminform"].errors["days"] == ["Ensure this value is less than or equal to 36500."]
    assert staff_client.post(url, values | {"days": "36500"}).status_code == 302
    rule(2_000_000)
    clamp = import_module("conversations.migrations.0019_bounded_retention").clamp
    clamp(apps, connection.schema_editor())
    assert list(RetentionRule.objects.values_list("days", flat=True)) == [36_500, 36_500]
    retention.delete_now_and_then()


def test_pinned_conversations_are_kept_if_the_rule_says_so(user):
    pinned = old(user, pinned=True)
    first = rule(30)
    assert apply() == {pinned.pk}
    RetentionRule.objects.filter(pk=first.pk).update(keep_pinned=False)
    assert apply() == set()


def test_a_rule_for_groups_is_for_their_members_alone(user, stranger):
    group = Group.objects.create(name="interns")
    user.groups.add(group)
    old(user)
    other = old(stranger)
    made = rule(30, for_everybody=False)
    assert len(apply()) == 2
    made.groups.add(group)
    assert apply() == {other.pk}


def test_a_rule_whose_group_is_deleted_is_for_nobody(user):
    group = Group.objects.create(name="interns")
    made = rule(30, for_everybody=False)
    made.groups.add(group)
    group.delete()
    kept = old(user)
    assert apply() == {kept.pk}


def test_what_is_being_written_stays(user):
    conversation = old(user)
    make_running(conversation)
    Conversation.objects.filter(pk=conversation.pk).update(updated_at=timezone.now() - timedelta(days=90))
    rule(30)
    assert apply() == {conversation.pk}


def test_a_rule_that_is_not_enabled_and_a_dry_run_delete_nothing(user, staff_client):
    conversation = old(user)
    made = rule(30, enabled=False)
    assert apply() == {conversation.pk}
    RetentionRule.objects.update(enabled=True)
    out = io.StringIO()
    call_command("retention", "--dry-run", stdout=out)
    assert "rule 30: 1 conversations with 2 messages and 0 files" in out.getvalue()
    assert Conversation.objects.visible().count() == 1
    page = staff_client.get(reverse("admin:conversations_retentionrule_change", args=[made.pk])).content.decode()
    assert "1 conversations, 2 messages, 0 files" in page
    assert staff_client.get(reverse("admin:conversations_retentionrule_changelist")).status_code == 200


@pytest.mark.parametrize("of", ["user", "conversation"])
def test_a_hold_keeps_what_rules_would_delete(user, boss, of):
    conversation = old(user)
    placed = hold(boss, **{of: user if of == "user" else conversation})
    rule(30, keep_pinned=False)
    assert apply() == {conversation.pk}
    holds.release(placed, by=boss)
    assert apply() == set()
    noted = AuditEntry.objects.filter(action__startswith="hold.").order_by("pk").values_list("action", "actor_id")
    assert list(noted) == [("hold.place", boss.pk), ("hold.release", boss.pk)]


@pytest.mark.parametrize("of", ["user", "conversation"])
def test_a_held_conversation_vanishes_from_lists_and_is_kept(user, boss, client, of):
    conversation = old(user, title="Evidence")
    placed = hold(boss, **{of: user if of == "user" else conversation})
    turns.delete(conversation)
    Conversation.objects.update(deleted_at=timezone.now() - timedelta(hours=1))
    purge.tidy()
    assert not purge.purge(conversation.pk)
    assert Conversation.objects.filter(pk=conversation.pk).exists()
    client.force_login(user)
    assert "Evidence" not in client.get("/").content.decode()
    assert client.get(reverse("conversations:conversation", args=[conversation.pk])).status_code == 404
    holds.release(placed, by=boss)
    purge.tidy()
    assert not Conversation.objects.exists()


@pytest.mark.parametrize("of", ["user", "conversation"])
def test_a_held_account_is_closed_at_once_and_erased_when_the_hold_is_released(user, boss, of):
    kept, other = old(user), old(user)
    placed = hold(boss, **{of: user if of == "user" else kept})
    job = turns.delete_account(user, confirmation="a long password")
    jobs.run(job.pk)
    user.refresh_from_db()
    assert not user.is_active
    assert Conversation.objects.filter(pk=kept.pk).exists()
    assert Conversation.objects.filter(pk=other.pk).exists() == (of == "user")
    job.refresh_from_db()
    assert job.lease_expires_at > timezone.now() + timedelta(minutes=5)
    holds.release(placed, by=boss)
    Job.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    jobs.run(job.pk)
    assert not get_user_model().objects.filter(pk=user.pk).exists()
    assert not Conversation.objects.exists()


def test_the_database_layer_refuses_whichever_way_a_deletion_goes(user, boss, staff_client):
    conversation = old(user)
    hold(boss, conversation=conversation)
    for deletion in (conversation.delete, user.delete, Conversation.objects.all().delete):
        with pytest.raises(ProtectedError):
            deletion()
    response = staff_client.post(reverse("admin:accounts_user_delete", args=[user.pk]), {"post": "yes"})
    assert response.status_code in {200, 403}
    assert get_user_model().objects.filter(pk=user.pk).exists()


def test_a_continuation_of_a_held_answer_cannot_be_taken_away(user, boss):
    conversation = old(user)
    message = conversation.messages.get(role="assistant")
    continued = Generation.objects.create(message=message, kind="continue", status="completed")
    hold(boss, conversation=conversation)
    with pytest.raises(turns.NothingToUndo):
        turns.undo_continue(message, generation_id=continued.pk)
    assert Generation.objects.filter(pk=continued.pk).exists()


def test_holds_are_placed_and_released_in_the_admin(user, boss, staff_client):
    conversation = old(user)
    add = reverse("admin:conversations_legalhold_add")
    wrong = staff_client.post(add, {"user": user.pk, "conversation": str(conversation.pk), "reason": "x"})
    assert "Choose a user or a conversation." in wrong.content.decode()
    assert staff_client.post(add, {"user": user.pk, "reason": "x"}).status_code == 302
    made = LegalHold.objects.get()
    assert (made.user, made.placed_by) == (user, boss)
    assert AuditEntry.objects.get(action="hold.place").data == {"hold": made.pk, "user_id": user.pk}
    chosen = {"action": "delete_selected", "_selected_action": [str(made.pk)], "post": "yes"}
    staff_client.post(reverse("admin:conversations_legalhold_changelist"), chosen)
    assert not LegalHold.objects.exists()
    assert AuditEntry.objects.filter(action="hold.release", actor=boss).exists()
