"""What is noted: every action of `turns`, sign-ins, limits, exports, changes in the admin. Never any content."""

from __future__ import annotations

import inspect
import json
import uuid
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from conversations import audit, turns
from conversations.keeping import purge
from conversations.models import (
    Attachment,
    AuditEntry,
    Conversation,
    Feedback,
    Generation,
    Job,
    Preset,
    QueuedMessage,
    Tag,
)
from tests.factories import make_conversation, make_model, make_running, make_turn, make_user

WORD = "planted4711"


@pytest.fixture
def scene(db, settings, tmp_path, user, ending_process):
    """A conversation in which everything can be done, with a word in all that has content."""
    settings.MEDIA_ROOT = tmp_path
    conversation = make_conversation(user, title=WORD, system_prompt=WORD)
    answer = make_turn(conversation, WORD, WORD).message
    return SimpleNamespace(user=user, conversation=conversation, answer=answer, question=answer.parent)


def _key() -> uuid.UUID:
    return uuid.uuid4()


def _rows(scene):
    return Conversation.objects.filter(pk=scene.conversation.pk)


def _upload(scene) -> Attachment:
    return turns.upload_file(scene.user, SimpleUploadedFile(f"{WORD}.txt", WORD.encode()))


def _preset(scene) -> Preset:
    return Preset.objects.create(owner=scene.user, name=f"{WORD} {uuid.uuid4()}")


def _queued(scene) -> QueuedMessage:
    return QueuedMessage.objects.create(conversation=scene.conversation, text=WORD)


def _partial(scene):
    Generation.objects.filter(message=scene.answer).update(status="stopped")
    return scene.answer


def _continued(scene):
    return Generation.objects.create(message=scene.answer, kind="continue", status="completed").pk


def _queue(scene):
    make_running(scene.conversation)
    made = turns.send_or_queue(scene.conversation, text=WORD, model=None, request_key=_key())
    assert isinstance(made, QueuedMessage)


def _due(scene):
    last = Generation.objects.get(message=scene.answer)
    QueuedMessage.objects.create(conversation=scene.conversation, text=WORD, after=last)
    turns.send_due(scene.conversation)


def _stop(scene):
    make_running(scene.conversation)
    turns.stop(scene.conversation)


def _stop_all(scene):
    running = make_running(scene.conversation)
    turns.stop_generations(Generation.objects.filter(pk=running.pk), actor=scene.user)


def _keep(scene):
    _rows(scene).update(temporary=True)
    turns.keep(scene.conversation)


def _untag(scene):
    turns.untag(_rows(scene), turns.tag(scene.user, _rows(scene), WORD))


def _withdraw(scene):
    Feedback.objects.create(message=scene.answer, owner=scene.user, value=1)
    turns.withdraw_feedback(scene.user, scene.answer)


def _discard(scene):
    turns.discard(turns.start_export(scene.user, form="json"))


def _configured():
    return turns.ConversationSettings.given(WORD, {})


ACTIONS: dict[str, tuple[str, Callable]] = {
    "start": ("conversation.start", lambda s: turns.start(s.user, text=WORD, model=make_model(), request_key=_key())),
    "send": ("generation.new", lambda s: turns.send(s.conversation, text=WORD, model=None, request_key=_key())),
    "send_or_queue": ("message.queue", _queue),
    "send_due": ("generation.new", _due),
    "send_queued": ("generation.new", lambda s: turns.send_queued(_queued(s))),
    "edit_queued": ("message.unqueue", lambda s: turns.edit_queued(_queued(s))),
    "remove_queued": ("message.unqueue", lambda s: turns.remove_queued(_queued(s))),
    "edit": ("message.edit", lambda s: turns.edit(s.question, text=WORD, request_key=_key())),
    "regenerate": ("answer.regenerate", lambda s: turns.regenerate(s.answer, request_key=_key())),
    "continue_": ("generation.continue", lambda s: turns.continue_(_partial(s), request_key=_key())),
    "undo_continue": ("generation.undo", lambda s: turns.undo_continue(s.answer, generation_id=_continued(s))),
    "stop": ("generation.stop", _stop),
    "stop_generations": ("generation.stop", _stop_all),
    "activate": ("conversation.branch", lambda s: turns.activate(s.answer)),
    "rename": ("conversation.rename", lambda s: turns.rename(s.conversation, title=WORD)),
    "fork": ("conversation.fork", lambda s: turns.fork(s.answer, request_key=_key())),
    "share": ("conversation.share", lambda s: turns.share(s.conversation, follows=False, named=False)),
    "revoke": (
        "conversation.unshare",
        lambda s: turns.revoke(turns.share(s.conversation, follows=False, named=False)),
    ),
    "delete": ("conversation.delete", lambda s: turns.delete(s.conversation)),
    "delete_many": ("conversation.delete", lambda s: turns.delete_many(s.user, _rows(s))),
    "undo_delete": ("conversation.restore", lambda s: turns.undo_delete(s.user, turns.delete(s.conversation))),
    "set_pinned": ("conversation.pin", lambda s: turns.set_pinned(_rows(s), True)),
    "set_archived": ("conversation.archive", lambda s: turns.set_archived(_rows(s), True)),
    "tag": ("conversation.tag", lambda s: turns.tag(s.user, _rows(s), WORD)),
    "untag": ("conversation.untag", _untag),
    "keep": ("conversation.keep", _keep),
    "give_feedback": ("feedback.give", lambda s: turns.give_feedback(s.user, s.answer, value=1, comment=WORD)),
    "withdraw_feedback": ("feedback.withdraw", _withdraw),
    "configure": ("conversation.configure", lambda s: turns.configure(s.conversation, _configured())),
    "create_preset": ("preset.create", lambda s: turns.create_preset(s.user, name=WORD, settings=_configured())),
    "rename_preset": ("preset.rename", lambda s: turns.rename_preset(_preset(s), name=WORD)),
    "delete_preset": ("preset.delete", lambda s: turns.delete_preset(_preset(s))),
    "set_defaults": ("account.defaults", lambda s: turns.set_defaults(s.user, model=make_model(), preset=None)),
    "upload_file": ("file.upload", _upload),
    "remove_file": ("file.remove", lambda s: turns.remove_file(_upload(s))),
    "start_import": ("import.start", lambda s: turns.start_import(s.user, SimpleUploadedFile("x.json", b"{}"))),
    "start_export": ("export.start", lambda s: turns.start_export(s.user, form="json")),
    "start_download": ("export.start", lambda s: turns.start_download(s.user)),
    "discard": ("export.discard", _discard),
    "delete_account": ("account.delete", lambda s: turns.delete_account(s.user, confirmation="a long password")),
}
NO_ACTIONS = {
    "attach": "makes an event loop known",
    "attach_files": "a part of sending, which is noted",
    "complete": "a part of sending, which is noted",
    "copy_attachments": "a part of editing, which is noted",
    "come_back": "a page was opened",
    "leave": "a page was closed",
    "draft_of": "reads",
    "presets_for": "reads",
    "unsent_files": "reads",
    "keep_draft": "what is being typed is nobody's business yet",
    "send_after": "the upkeep: calls send_due",
    "send_all_due": "the upkeep: calls send_due",
}


def test_every_action_is_under_test():
    """A new action of `turns` is noted, and its entry is tested here; or it is said why it is none."""
    public = {name for name in turns.__all__ if inspect.isfunction(getattr(turns, name))}
    assert public == set(ACTIONS) | set(NO_ACTIONS)


@pytest.mark.parametrize("name", ACTIONS)
def test_an_action_is_noted_without_content(scene, name):
    action, act = ACTIONS[name]
    act(scene)
    entries = AuditEntry.objects.filter(action=action)
    assert entries.filter(actor=scene.user).exists()
    assert not [row for row in AuditEntry.objects.values() if WORD in json.dumps(row, default=str)]


def test_an_action_that_fails_is_not_noted(scene):
    with pytest.raises(turns.NothingToContinue):
        turns.continue_(scene.answer, request_key=_key())
    assert not AuditEntry.objects.exists()


def actions() -> list[str]:
    return list(AuditEntry.objects.order_by("pk").values_list("action", flat=True))


@pytest.mark.django_db
def test_signing_in_and_out_is_noted_and_failing_without_what_was_typed():
    make_model()
    cache.clear()
    user = make_user("grace")
    client = Client()
    for name in ("grace", "nobody"):
        client.post("/accounts/login/", {"login": name, "password": f"wrong {WORD}"})
    client.post("/accounts/login/", {"login": "grace", "password": "a long password"})
    client.post("/accounts/logout/")
    assert actions() == ["sign_in.failed", "sign_in.failed", "sign_in", "sign_out"]
    known, unknown, came, went = AuditEntry.objects.order_by("pk")
    assert known.data == {"network": "127.0.0.1", "user_id": user.pk}
    assert unknown.data == {"network": "127.0.0.1", "user_id": 0}
    assert (came.actor_id, went.actor_id) == (user.pk, user.pk)
    cache.clear()


@pytest.mark.django_db
def test_a_changed_password_is_noted(user, client):
    client.force_login(user)
    new = "quite another pass phrase"
    fields = {"oldpassword": "a long password", "password1": new, "password2": new}
    client.post("/accounts/password/change/", fields)
    assert "account.password_change" in actions()


def test_a_limit_that_was_reached_is_noted_once_a_minute(scene, client, settings):
    settings.LIMIT_REQUESTS_PER_MINUTE = 1
    client.force_login(scene.user)
    url = reverse("conversations:send", args=[scene.conversation.pk])
    audit._noted.clear()
    statuses = [
        client.post(url, {"text": WORD, "request_key": str(_key()), "stop_first": "on"}).status_code for _ in range(3)
    ]
    assert statuses == [302, 429, 429]
    entry = AuditEntry.objects.get(action="limit.reached")
    assert (entry.actor_id, entry.data) == (scene.user.pk, {"limit": "requests_per_minute"})


def test_exports_are_noted(scene, client):
    client.force_login(scene.user)
    client.get(reverse("conversations:export", args=[scene.conversation.pk]), {"format": "json"})
    entry = AuditEntry.objects.get(action="conversation.export")
    assert (entry.conversation_id, entry.data) == (scene.conversation.pk, {"format": "json"})


def test_what_is_taken_away_for_good_is_noted(scene):
    _rows(scene).update(deleted_at=timezone.now())
    assert purge.purge(scene.conversation.pk)
    assert AuditEntry.objects.get(action="conversation.purge").conversation_id == scene.conversation.pk


@pytest.mark.django_db
def test_changes_in_the_admin_are_noted_without_content(client):
    boss = make_user("boss", is_staff=True, is_superuser=True)
    client.force_login(boss)
    preset = Preset.objects.create(name=WORD)
    url = reverse("admin:conversations_preset_change", args=[preset.pk])
    client.post(url, {"name": f"{WORD} 2", "system_prompt": WORD, "parameters": "{}"})
    chosen = [str(preset.pk), str(Preset.objects.create(name=f"{WORD} 3").pk)]
    fields = {"action": "delete_selected", "_selected_action": chosen, "post": "yes"}
    client.post(reverse("admin:conversations_preset_changelist"), fields)
    changed, *deleted = AuditEntry.objects.filter(action__startswith="admin.").order_by("pk")
    assert changed.data["model"] == "preset"
    assert changed.data["object"] == str(preset.pk)
    assert "Name" in changed.data["fields"]
    assert {entry.data["object"] for entry in deleted} == set(chosen)
    assert {entry.action for entry in deleted} == {"admin.delete"}
    assert {entry.actor_id for entry in (changed, *deleted)} == {boss.pk}
    assert WORD not in str([entry.data for entry in (changed, *deleted)])


@pytest.mark.django_db
def test_a_tag_or_pin_of_many_is_noted_for_each(user):
    rows = [make_conversation(user) for _ in range(3)]
    turns.set_pinned(Conversation.objects.filter(owner=user), True)
    noted = set(AuditEntry.objects.filter(action="conversation.pin").values_list("conversation_id", flat=True))
    assert noted == {row.pk for row in rows}
    assert Tag.objects.count() == 0
    assert not Job.objects.exists()
