"""Filters between a real provider's socket and the journal: what they take out is nowhere, the rest is all there."""

from __future__ import annotations

import asyncio
import logging
import uuid
from pathlib import Path

import pytest
from django.apps import apps
from django.contrib.auth.models import Group
from django.db import connection
from django.utils import timezone

from conversations import runner
from conversations.asking import titles
from conversations.models import AuditEntry, Conversation, Delta, FilterRule, Generation, Message
from conversations.providers.base import ChatMessage, ChatRequest
from conversations.safety import filtering, moderation
from conversations.threads import reader, writer
from tests import provider_fixtures
from tests.factories import make_conversation, make_model, make_turn, make_user
from tests.filters.planted import KEYS
from tests.test_document import follow, page_of
from tests.viewer import Viewer

provider_server_process = provider_fixtures.provider_server_process
provider_server = provider_fixtures.provider_server

KEY = KEYS["github"]
TEXT = f"The key is {KEY} and the card 4111 1111 1111 1111; that is all."
SHOWN = "The key is [redacted: secret] and the card [redacted: card number]; that is all."


@pytest.fixture
async def threads(transactional_db):
    filtering.rules.forget()
    yield
    await runner.close()
    await reader.close()
    await writer.close()
    filtering.rules.forget()


def make_rule(kind: str, **fields) -> FilterRule:
    values = {"name": f"{kind} {uuid.uuid4().hex[:6]}", "kind": kind, "enabled": True, **fields}
    filtering.rules.forget()
    return FilterRule.objects.create(**values)


def make_rules() -> None:
    for kind in ("secrets", "card", "email"):
        make_rule(kind)


def queued(server, text: str, directives: str = "", **fields) -> Generation:
    """An answer that is going to be this text."""
    model = make_model(server.base_url, "say", prefill="assistant")
    conversation = make_conversation(make_user(f"user-{uuid.uuid4().hex[:8]}"), model=model)
    question = f"[[say={text.encode().hex()}]] {directives}"
    return make_turn(conversation, question, "", status="queued", finish_reason="", **fields)


async def answered(generation: Generation) -> Generation:
    assert await runner.run(generation.pk)
    await moderation.idle()
    return await Generation.objects.select_related("message").aget(pk=generation.pk)


def text_of(row: Generation, kind: str = "text") -> str:
    return "".join(part["text"] for part in row.output if part["kind"] == kind)


class Recorder(Viewer):
    """A viewer who keeps every frame."""

    def __init__(self, page: str) -> None:
        super().__init__(page)
        self.frames: list[str] = []

    def take(self, message: str) -> None:
        self.frames.append(message)
        super().take(message)


def stored() -> str:
    """Everything that any row says; on SQLite also what was deleted, as far as its bytes are still in the file."""
    rows = "".join(str(list(model.objects.values())) for model in apps.get_models())
    if connection.vendor == "sqlite":
        name = connection.settings_dict["NAME"]
        for path in (Path(name), Path(f"{name}-wal")):
            rows += path.read_bytes().decode("latin-1") if path.exists() else ""
    return rows


async def test_a_secret_cut_anywhere_is_in_no_row_no_frame_and_no_log(threads, provider_server, caplog):
    caplog.set_level(logging.DEBUG)
    await reader.call(make_rules)
    text = f"It is {KEY}, yes."
    frames: list[str] = []
    for cut in range(1, len(text)):
        generation = await reader.call(queued, provider_server, text, f"[[cut={cut}]]")
        viewer = Recorder(await reader.call(page_of, generation))
        watching = asyncio.create_task(follow(generation, viewer))
        row = await answered(generation)
        await asyncio.wait_for(watching, 10)
        assert text_of(row) == "It is [redacted: secret], yes."
        frames += viewer.frames
    places = {"rows": await reader.call(stored), "frames": "".join(frames), "log": caplog.text}
    assert "[redacted: secret]" in places["rows"]
    assert "[redacted: secret]" in places["frames"]
    # 12 characters of it anywhere are too many
    assert not [
        name for name, place in places.items() if any(KEY[at : at + 12] in place for at in range(len(KEY) - 11))
    ]


@pytest.mark.parametrize("size", [1, 3, 1000])
async def test_redactions_are_noted_by_place_and_time_but_not_by_content(threads, provider_server, size):
    await reader.call(make_rules)
    row = await answered(await reader.call(queued, provider_server, TEXT, f"[[scenario=say-{size}]]"))
    assert (row.status, row.finish_reason, text_of(row), row.redaction_count) == ("completed", "stop", SHOWN, 2)
    assert [(place, label) for _, place, label in row.redactions] == [
        (SHOWN.index("[redacted: secret]"), "secret"),
        (SHOWN.index("[redacted: card"), "card number"),
    ]
    assert all(0 <= ms <= row.timeline[-1][0] for ms, _, _ in row.redactions)
    assert sum(characters for _, characters in row.timeline) == len(SHOWN)


async def test_thoughts_are_filtered_as_well(threads, provider_server):
    await reader.call(make_rules)
    row = await answered(
        await reader.call(queued, provider_server, TEXT, "[[as=reasoning_content]] [[scenario=say-2]]")
    )
    assert text_of(row, "reasoning") == SHOWN


async def test_without_rules_every_delta_passes_as_it_is(threads, provider_server):
    await reader.call(make_rule, "secrets", enabled=False)
    row = await answered(await reader.call(queued, provider_server, TEXT))
    assert (text_of(row), row.redactions) == (TEXT, [])


@pytest.mark.parametrize("then", ["cut", "length"])
async def test_what_is_held_back_at_a_break_is_asked_for_again_by_continue(threads, provider_server, then):
    await reader.call(make_rules)
    cut = TEXT.index(KEY) + 20
    generation = await reader.call(queued, provider_server, TEXT[:cut], f"[[then={then}]] [[scenario=say-5]]")
    row = await answered(generation)
    assert (row.status, text_of(row)) == ("interrupted" if then == "cut" else "completed", "The key is ")

    def continued() -> Generation:
        whole = f"[[say={TEXT.encode().hex()}]] [[scenario=say-5]]"
        Message.objects.filter(pk=generation.message.parent_id).update(text=whole)
        return Generation.objects.create(message=generation.message, kind="continue", model=generation.model)

    again = await answered(await reader.call(continued))
    assert provider_server.answers[-1].body["messages"][-1]["content"] == "The key is "
    assert text_of(row) + text_of(again) == SHOWN


async def test_a_writer_that_dies_while_something_is_held_back_loses_nothing(threads, provider_server):
    await reader.call(make_rules)
    generation = await reader.call(queued, provider_server, TEXT[: TEXT.index(KEY) + 20], "[[then=stall]]")
    first = asyncio.create_task(runner.run(generation.pk))
    async with asyncio.timeout(5):
        while not await Delta.objects.filter(generation=generation).aexists():  # noqa: ASYNC110 - the database tells nobody
            await asyncio.sleep(0.02)
    assert await runner.hand_back_all() == 1
    await first
    whole = f"[[say={TEXT.encode().hex()}]] [[scenario=say-5]]"
    await Message.objects.filter(pk=generation.message.parent_id).aupdate(text=whole)
    row = await answered(generation)
    assert (row.status, row.takeovers, text_of(row), row.redaction_count) == ("completed", 1, SHOWN, 2)
    assert provider_server.answers[-1].body["messages"][-1]["content"] == "The key is "


async def test_redactions_of_a_writer_that_died_are_kept_with_its_text(threads, provider_server):
    await reader.call(make_rules)
    generation = await reader.call(queued, provider_server, f"{TEXT} And", "[[then=stall]]")
    first = asyncio.create_task(runner.run(generation.pk))
    async with asyncio.timeout(5):
        while not await Delta.objects.filter(generation=generation).aexists():  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.02)
    await runner.hand_back_all()
    await first
    whole = f"[[say={f'{SHOWN} And ada@example.org.'.encode().hex()}]]"
    await Message.objects.filter(pk=generation.message.parent_id).aupdate(text=whole)
    row = await answered(generation)
    assert text_of(row) == f"{SHOWN} And [redacted: e-mail]."
    assert [label for _, _, label in row.redactions] == ["secret", "card number", "e-mail"]
    assert all(text_of(row)[place:].startswith(f"[redacted: {label}]") for _, place, label in row.redactions)


async def test_a_stop_keeps_what_was_visible_and_drops_what_was_held_back(threads, provider_server):
    await reader.call(make_rules)
    generation = await reader.call(queued, provider_server, TEXT[: TEXT.index(KEY) + 20], "[[then=stall]]")
    running = asyncio.create_task(runner.run(generation.pk))
    async with asyncio.timeout(5):
        while not await Delta.objects.filter(generation=generation).aexists():  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.02)
    await reader.call(Generation.request_stop, Generation.objects.filter(pk=generation.pk))
    await running
    row = await Generation.objects.aget(pk=generation.pk)
    assert (row.status, text_of(row)) == ("stopped", "The key is ")


async def test_a_rule_that_blocks_ends_the_answer_with_its_sentence(threads, provider_server):
    rule = await reader.call(
        lambda: make_rule("words", source="falcon", action="block", sentence="We do not say that.")
    )
    row = await answered(
        await reader.call(queued, provider_server, "It flies, the Falcon, and on.", "[[scenario=say-2]]")
    )
    assert (row.status, row.finish_reason, row.error_code) == ("completed", "content_filter", "blocked")
    assert (text_of(row), row.error_message) == ("It flies, the ", "We do not say that.")
    entry = await AuditEntry.objects.aget(action="filter.blocked")
    assert entry.data == {"rule": rule.pk, "direction": "output", "reason": "matched"}
    assert entry.generation_id == row.pk


@pytest.mark.parametrize(("action", "entry"), [("flag", "flag.raised"), ("audit", "filter.found")])
async def test_a_rule_that_looks_tells_once_and_changes_nothing(threads, provider_server, action, entry):
    await reader.call(lambda: make_rule("words", source="falcon", action=action))
    text = "A falcon and a Falcon."
    row = await answered(await reader.call(queued, provider_server, text, "[[scenario=say-2]]"))
    assert text_of(row) == text
    assert "falcon" not in str(await reader.call(lambda: AuditEntry.objects.get(action=entry).data)).lower()


async def test_what_users_write_is_redacted_for_the_provider_alone(threads, provider_server):
    await reader.call(lambda: make_rule("email", direction="input"))
    generation = await reader.call(queued, provider_server, "Hello ada@example.org", "I am ada@example.org")
    row = await answered(generation)
    sent = provider_server.answers[-1].body["messages"][-1]["content"]
    assert sent.endswith("I am [redacted: e-mail]")
    question = await Message.objects.aget(pk=generation.message.parent_id)
    assert question.text.endswith("I am ada@example.org")
    assert text_of(row) == "Hello ada@example.org"  # the rule is for one direction


async def test_a_question_that_a_rule_blocks_reaches_no_provider_now_or_later(threads, provider_server):
    await reader.call(lambda: make_rule("words", source="falcon", action="block", direction="input"))
    generation = await reader.call(queued, provider_server, "No", "about the Falcon")
    row = await answered(generation)
    assert (row.status, row.finish_reason, row.error_code) == ("completed", "content_filter", "not_sent")
    assert (row.output, row.input_tokens, row.output_tokens) == ([], 0, 0)
    await titles.suggest(row.pk)
    assert provider_server.requests == []

    def next_turn() -> Generation:
        FilterRule.objects.all().delete()
        filtering.rules.forget()
        conversation = Conversation.objects.get()
        return make_turn(conversation, f"[[say={b'Yes'.hex()}]]", "", status="queued", finish_reason="")

    assert text_of(await answered(await reader.call(next_turn))) == "Yes"
    assert "Falcon" not in str(provider_server.answers[-1].body)


async def test_a_rule_is_for_some_models_and_some_groups(transactional_db):
    def of(user, model) -> int:
        return len(filtering.filters_for(user, model.pk, "output").changing)

    def check() -> list[int]:
        group = Group.objects.create(name="staff")
        member, other = make_user("ada"), make_user("eve")
        member.groups.add(group)
        ours, theirs = make_model(), make_model("http://127.0.0.1:9/v1", "x")
        make_rule("email").chat_models.add(ours)
        make_rule("card").groups.add(group)
        filtering.rules.forget()
        return [of(member, ours), of(member, theirs), of(other, ours), of(other, theirs)]

    assert await reader.call(check) == [2, 1, 1, 0]
    filtering.rules.forget()
    await reader.close()


def test_a_running_process_sees_a_change_within_seconds_and_asks_little(db, monkeypatch, django_assert_num_queries):
    user, model = make_user("ada"), make_model()
    filtering.rules.forget()
    assert not filtering.filters_for(user, model.pk, "output")
    with django_assert_num_queries(0):
        filtering.filters_for(user, model.pk, "output")
    rule = FilterRule.objects.create(name="addresses", kind="email", enabled=True)
    monkeypatch.setattr(filtering, "FRESH_SECONDS", 0)
    assert len(filtering.filters_for(user, model.pk, "output").changing) == 1
    with django_assert_num_queries(1):
        filtering.filters_for(user, model.pk, "output")
    rule.delete()
    assert not filtering.filters_for(user, model.pk, "output")
    filtering.rules.forget()


async def test_a_title_of_the_model_is_filtered(threads, provider_server, settings):
    await reader.call(lambda: make_rule("words", source="provider", label="who"))

    def first_answer() -> Generation:
        conversation = make_conversation(make_user("ada"), model=make_model(provider_server.base_url, "fast"))
        return make_turn(conversation)

    await titles.suggest((await reader.call(first_answer)).pk)
    assert (await Conversation.objects.aget()).title == "A title of the [redacted: who]"


def test_a_pattern_that_cannot_be_used_any_more_is_left_out(db, caplog):
    make_rule("pattern", source="(")
    make_rule("email")
    assert len(filtering.filters_for(make_user("ada"), None, "output").changing) == 1
    assert "is left out" in caplog.text
    filtering.rules.forget()


def test_a_request_keeps_what_the_assistant_said(db):
    make_rule("email", direction="both")
    generation = make_turn(make_conversation(make_user("ada")))
    said = ChatRequest((ChatMessage("assistant", "a@example.org"), ChatMessage("user", "b@example.org")))
    contents = [message.content for message in filtering.outgoing(said, generation).messages]
    assert contents == ["a@example.org", "[redacted: e-mail]"]
    filtering.rules.forget()


def test_the_details_of_an_answer_count_what_was_redacted(client, user):
    conversation = make_conversation(user)
    make_turn(conversation, answer=SHOWN, redaction_count=2, ended_at=timezone.now(), input_tokens=3, output_tokens=5)
    client.force_login(user)
    html = client.get(f"/c/{conversation.pk}/").content.decode()
    assert "<dt>Redacted places</dt><dd>2</dd>" in html


def test_the_sentence_of_a_rule_is_shown_below_the_answer_it_ended(client, user):
    conversation = make_conversation(user)
    make_turn(conversation, finish_reason="content_filter", error_code="blocked", error_message="We do not say that.")
    client.force_login(user)
    html = client.get(f"/c/{conversation.pk}/").content.decode()
    assert "We do not say that." in html
    assert "The provider's content filter" not in html
