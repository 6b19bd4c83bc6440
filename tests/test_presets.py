"""Settings of conversations, presets, and what new conversations begin with."""

from __future__ import annotations

import json
import uuid

import pytest
from django.urls import reverse

from conversations import turns
from conversations.models import Conversation, Generation, Preset
from tests.factories import make_conversation, make_model, make_turn

pytestmark = pytest.mark.usefixtures("ending_process")


def url(name: str, *args) -> str:
    return reverse(f"conversations:{name}", args=args)


def settings_form(**fields) -> dict[str, str]:
    return {"system_prompt": "", "temperature": "", "top_p": "", "max_tokens": "", "reasoning_effort": "", **fields}


def test_settings_of_a_conversation_are_kept_and_checked(owner_client, user):
    conversation = make_conversation(user)
    page = url("settings", conversation.pk)
    response = owner_client.post(page, settings_form(system_prompt="Be kind.", temperature="0.5", max_tokens="100"))
    assert response.status_code == 302
    conversation.refresh_from_db()
    assert (conversation.system_prompt, conversation.parameters) == (
        "Be kind.",
        {"temperature": 0.5, "max_tokens": 100},
    )
    bad = owner_client.post(page, settings_form(system_prompt="My words", temperature="3"))
    assert bad.status_code == 422
    assert "My words" in bad.content.decode()
    assert "less than or equal to 2" in bad.content.decode()
    owner_client.post(page, settings_form())
    conversation.refresh_from_db()
    assert (conversation.system_prompt, conversation.parameters) == ("", {})


def test_saving_keeps_parameters_that_have_no_field(owner_client, user):
    conversation = make_conversation(user, parameters={"seed": 42, "temperature": 0.5, "stream": False})
    page = url("settings", conversation.pk)
    owner_client.post(page, settings_form(system_prompt="Be kind.", temperature="0.5"))
    conversation.refresh_from_db()
    assert conversation.parameters == {"seed": 42, "temperature": 0.5}
    owner_client.post(page, settings_form(preset_name="Sown", save_as="yes"))
    conversation.refresh_from_db()
    assert (conversation.parameters, user.presets.get().parameters) == ({"seed": 42}, {"seed": 42})


def test_the_next_conversation_begins_as_it_was_set(owner_client, user):
    owner_client.post(url("new_settings"), settings_form(system_prompt="Be kind.", top_p="0.9"))
    assert "Be kind." in owner_client.get(url("new_settings")).content.decode()
    owner_client.post(url("start"), {"text": "Hello"})
    conversation = Conversation.objects.get()
    assert (conversation.system_prompt, conversation.parameters) == ("Be kind.", {"top_p": 0.9})
    owner_client.post(url("start"), {"text": "Hello again", "request_key": str(uuid.uuid4())})
    assert Conversation.objects.order_by("pk").last().system_prompt == ""


@pytest.mark.parametrize("begun", [True, False])
def test_a_preset_with_a_name_that_is_taken_changes_no_settings(owner_client, user, begun):
    conversation = make_conversation(user, system_prompt="As before")
    turns.create_preset(user, name="Poet", settings=turns.ConversationSettings())
    page = url("settings", conversation.pk) if begun else url("new_settings")
    response = owner_client.post(page, settings_form(system_prompt="Rhyme.", preset_name="Poet", save_as="yes"))
    assert response.status_code == 409
    assert "Rhyme." in response.content.decode()
    assert "Rhyme." not in owner_client.get(page).content.decode()
    conversation.refresh_from_db()
    assert conversation.system_prompt == "As before"


def test_presets_are_made_applied_renamed_and_deleted(owner_client, user):
    conversation = make_conversation(user)
    page = url("settings", conversation.pk)
    data = settings_form(system_prompt="Rhyme.", temperature="1.5", preset_name="Poet", save_as="yes")
    assert owner_client.post(page, data).status_code == 302
    preset = user.presets.get()
    assert (preset.name, preset.parameters) == ("Poet", {"temperature": 1.5})
    assert owner_client.post(page, data).status_code == 409
    assert owner_client.post(page, data | {"preset_name": ""}).status_code == 422
    other = make_conversation(user)
    assert owner_client.post(url("apply_preset", other.pk), {"preset": str(preset.pk)}).status_code == 302
    other.refresh_from_db()
    assert (other.system_prompt, other.parameters) == ("Rhyme.", {"temperature": 1.5})
    assert "Applied" in owner_client.get(url("settings", other.pk)).content.decode()
    owner_client.post(url("rename_preset", preset.pk), {"name": "<b>Bard</b>"})
    assert "&lt;b&gt;Bard&lt;/b&gt;" in owner_client.get(url("account")).content.decode()
    owner_client.post(url("delete_preset", preset.pk))
    assert Preset.objects.count() == 0


def test_shared_presets_can_be_applied_and_not_changed(owner_client, user, stranger):
    shared = Preset.objects.create(name="Terse", system_prompt="Short.")
    foreign = Preset.objects.create(owner=stranger, name="Theirs")
    conversation = make_conversation(user)
    assert owner_client.post(url("apply_preset", conversation.pk), {"preset": str(shared.pk)}).status_code == 302
    assert owner_client.post(url("apply_preset", conversation.pk), {"preset": str(foreign.pk)}).status_code == 422
    for preset in (shared, foreign):
        assert owner_client.post(url("rename_preset", preset.pk), {"name": "Mine"}).status_code == 404
        assert owner_client.post(url("delete_preset", preset.pk)).status_code == 404
    assert "Theirs" not in owner_client.get(url("settings", conversation.pk)).content.decode()
    assert owner_client.post(url("apply_preset", conversation.pk), {"preset": "nonsense"}).status_code == 422


def test_defaults_of_a_user_begin_conversations(owner_client, user):
    model = make_model("http://127.0.0.1:1/v1", "other")
    preset = Preset.objects.create(owner=user, name="Poet", system_prompt="Rhyme.")
    assert owner_client.post(url("account"), {"model": model.pk, "preset": str(preset.pk)}).status_code == 302
    owner_client.post(url("start"), {"text": "Hello"})
    conversation = Conversation.objects.get()
    assert (conversation.model, conversation.system_prompt) == (model, "Rhyme.")
    assert owner_client.post(url("account"), {"model": "99999"}).status_code == 422


def test_settings_of_others_are_not_found(owner_client, stranger):
    conversation = make_conversation(stranger)
    for name in ("settings", "window"):
        assert owner_client.get(url(name, conversation.pk)).status_code == 404
    for name in ("settings", "apply_preset"):
        assert owner_client.post(url(name, conversation.pk), settings_form()).status_code == 404


def test_unknown_parameters_are_refused():
    with pytest.raises(turns.UnknownParameter, match="tools"):
        turns.ConversationSettings.given("", {"tools": "all"})


def test_asking_again_and_editing_keep_the_settings(user):
    conversation = make_conversation(user, system_prompt="Rhyme.", parameters={"top_p": 0.5})
    answer = make_turn(conversation).message
    turns.regenerate(answer, request_key=uuid.uuid4())
    Generation.objects.update(status="stopped")
    turns.edit(answer.parent, text="Otherwise", request_key=uuid.uuid4())
    conversation.refresh_from_db()
    assert (conversation.system_prompt, conversation.parameters) == ("Rhyme.", {"top_p": 0.5})


def test_admins_share_presets_whose_parameters_are_checked(client, user):
    user.is_staff = user.is_superuser = True
    user.save()
    client.force_login(user)
    Preset.objects.create(owner=user, name="My own")
    add, rows = reverse("admin:conversations_preset_add"), reverse("admin:conversations_preset_changelist")
    fields = {"name": "Terse", "system_prompt": "Short.", "parameters": json.dumps({"temperature": 9})}
    assert client.post(add, fields).status_code == 200
    assert client.post(add, fields | {"parameters": json.dumps({"temperature": 0.9})}).status_code == 302
    assert Preset.objects.get(owner=None).parameters == {"temperature": 0.9}
    assert "My own" not in client.get(rows).content.decode()
