"""One generation from its claim to its end, with the journal, the database and the demo model."""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from conversations import dispatch, runner, turns
from conversations.journal import Hint
from conversations.live.bus import bus
from conversations.models import Conversation, Delta, Generation
from conversations.threads import reader
from tests.factories import make_conversation, make_model, make_running, make_turn, make_user

FAST = "[[speed=0]]"


async def ask(text: str, **fields) -> Generation:
    def start() -> Generation:
        user = make_user(f"user-{uuid.uuid4().hex[:8]}")
        return turns.start(user, text=text, model=make_model(**fields), request_key=uuid.uuid4()).generation

    return await reader.call(start)


async def ended(generation: Generation, seconds: float = 10) -> Generation:
    async with asyncio.timeout(seconds):
        while True:
            row = await Generation.objects.select_related("message").aget(pk=generation.pk)
            if not row.is_active:
                return row
            await asyncio.sleep(0.02)


def text_of(generation: Generation) -> str:
    return "".join(part["text"] for part in generation.output if part["kind"] == "text")


async def test_an_answer_is_completed_and_nothing_is_left_in_the_journal(process):
    row = await ended(await ask(f"Hello {FAST} [[length=50]]"))
    assert (row.status, row.finish_reason, row.output_tokens) == ("completed", "stop", 50)
    assert len(text_of(row)) > 100
    assert await Delta.objects.acount() == 0
    assert row.time_to_first_token_ms is not None


async def test_a_second_run_of_the_same_generation_does_nothing(process):
    generation = await ask(f"Hello {FAST} [[length=20]]")
    row = await ended(generation)
    await asyncio.gather(*(runner.run(generation.pk) for _ in range(5)))
    again = await Generation.objects.aget(pk=generation.pk)
    assert (again.output, again.epoch) == (row.output, 1)


async def test_two_runs_at_once_write_one_answer(transactional_db):
    generation = await reader.call(
        lambda: make_turn(make_conversation(make_user("ada")), f"Hello {FAST} [[length=40]]", "", status="queued")
    )
    await asyncio.gather(runner.run(generation.pk), runner.run(generation.pk), runner.run(generation.pk))
    row = await Generation.objects.aget(pk=generation.pk)
    assert (row.status, row.epoch, row.output_tokens) == ("completed", 1, 40)
    await runner.close()
    reader.close()


async def test_stop_ends_an_answer_at_once_and_keeps_its_text(process):
    generation = await ask("A long one [[speed=50]] [[length=2000]]")
    async with asyncio.timeout(5):
        while not await Delta.objects.filter(generation=generation).aexists():  # noqa: ASYNC110 - the database tells nobody
            await asyncio.sleep(0.02)
    conversation = await Conversation.objects.select_related("owner").aget()
    await reader.call(turns.stop, conversation)
    row = await ended(generation, 2)
    assert row.status == "stopped"
    assert text_of(row)


async def test_stop_reaches_the_writer_without_a_hint(process):
    generation = await ask("A long one [[speed=50]] [[length=2000]]")
    await asyncio.sleep(0.3)
    await reader.call(Generation.request_stop, Generation.objects.filter(pk=generation.pk))
    assert (await ended(generation, 3)).status == "stopped"


@pytest.mark.parametrize(
    ("directive", "status", "partial"),
    [
        ("[[fault=cut]] [[after=10]]", "interrupted", True),
        ("[[fault=error]] [[after=10]]", "interrupted", True),
        ("[[fault=eof]] [[after=10]]", "interrupted", True),
        ("[[fault=401]]", "failed", False),
        ("[[fault=429]]", "failed", False),
        ("[[fault=length]] [[after=10]]", "completed", True),
    ],
)
async def test_a_fault_keeps_the_partial_and_says_what_happened(process, directive, status, partial):
    row = await ended(await ask(f"Hello {FAST} {directive}"))
    assert row.status == status
    assert bool(text_of(row)) is partial
    assert row.is_partial is partial
    assert bool(row.error_message) is (status != "completed")


async def test_a_model_that_was_switched_off_is_said(process):
    generation = await ask("Hello", model_name="off", base_url="http://127.0.0.1:9/v1", enabled=False)
    row = await ended(generation)
    assert row.status == "failed"
    assert "no longer available" in row.error_message


async def test_the_sweep_ends_what_is_abandoned_with_its_text(transactional_db):
    def abandon() -> Generation:
        past = timezone.now() - timedelta(seconds=1)
        generation = make_running(make_conversation(make_user("ada")), lease_expires_at=past)
        Delta.objects.create(generation=generation, seq=0, kind="text", text="Half a sen", at_ms=5)
        return generation

    generation = await reader.call(abandon)
    assert await runner.sweep_once() == []
    row = await Generation.objects.aget(pk=generation.pk)
    assert (row.status, row.error_code, text_of(row)) == ("interrupted", "restarted", "Half a sen")
    assert row.is_partial
    assert await Delta.objects.acount() == 0
    await runner.close()
    reader.close()


async def test_the_sweep_starts_what_was_left_queued_and_gives_up_what_is_too_old(transactional_db):
    def leave() -> tuple[Generation, Generation]:
        conversation = make_conversation(make_user("ada"))
        fresh = make_turn(conversation, answer="", status="queued")
        old = make_turn(conversation, answer="", status="queued", created_at=timezone.now() - timedelta(hours=1))
        return fresh, old

    fresh, old = await reader.call(leave)
    assert await runner.sweep_once() == [fresh.pk]
    assert (await Generation.objects.aget(pk=old.pk)).status == "failed"
    await runner.close()
    reader.close()


async def test_deleting_the_conversation_ends_its_writer(process):
    generation = await ask("A long one [[speed=50]] [[length=2000]]")
    await asyncio.sleep(0.3)
    conversation = await Conversation.objects.select_related("owner").aget()
    await reader.call(turns.delete, conversation)
    async with asyncio.timeout(3):
        while generation.pk in runner._attempts:  # noqa: ASYNC110 - the database tells nobody
            await asyncio.sleep(0.02)
    assert await Generation.objects.acount() == await Delta.objects.acount() == 0


async def test_hints_tell_the_whole_text_in_order(process):
    heard: list[Hint] = []
    generation = await reader.call(
        lambda: make_turn(make_conversation(make_user("ada")), "Hello [[speed=400]] [[length=80]]", "", status="queued")
    )
    bus.listen(generation.pk, heard.append)
    await runner.run(generation.pk)
    bus.leave(generation.pk, heard.append)
    row = await Generation.objects.aget(pk=generation.pk)
    deltas = [hint.delta for hint in heard if hint.delta]
    assert [delta.seq for delta in deltas] == list(range(len(deltas)))
    assert "".join(delta.text for delta in deltas) == text_of(row)
    assert heard[-1].what == "ended"


async def test_the_title_comes_from_the_model_after_the_first_answer(process):
    generation = await ask(f"How do glaciers move? {FAST} [[length=20]]")
    await ended(generation)
    async with asyncio.timeout(5):
        while (await Conversation.objects.aget()).title_source != "model":  # noqa: ASYNC110 - the database tells nobody
            await asyncio.sleep(0.02)
    conversation = await Conversation.objects.aget()
    assert conversation.title
    assert "[[" not in conversation.title


async def test_without_a_server_a_turn_is_refused(transactional_db):
    with pytest.raises(dispatch.NotServing, match="ASGI server"):
        await ask("Hello")
    reader.close()
