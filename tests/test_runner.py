"""One generation from its claim to its end, with the journal, the database and the demo model."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from conversations import runner, turns
from conversations.generating import claims
from conversations.journal import Hint
from conversations.keeping import purge
from conversations.live.bus import bus
from conversations.models import Attachment, ChatModel, Conversation, Delta, Generation, Message
from conversations.process import engine, jobs
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
    await reader.close()


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
    assert (await reader.call(lambda: row.message.is_partial)) is partial
    assert bool(row.error_message) is (status != "completed")


async def test_a_model_that_was_switched_off_is_said(process):
    generation = await ask("Hello", model_name="off", base_url="http://127.0.0.1:9/v1", enabled=False)
    row = await ended(generation)
    assert row.status == "failed"
    assert "no longer available" in row.error_message


@pytest.fixture
async def threads(transactional_db) -> AsyncIterator[None]:
    """No process serves here: the test calls what one would call."""
    yield
    await runner.close()
    await reader.close()


async def left_behind(*pieces: tuple[str, str], prefill: str = "assistant", **fields) -> Generation:
    """A generation whose writer died behind these deltas."""

    def abandon() -> Generation:
        model = make_model(base_url="demo:", model_name=f"demo{prefill}", prefill=prefill)
        conversation = make_conversation(make_user(f"user-{uuid.uuid4().hex[:8]}"), model=model)
        past = timezone.now() - timedelta(seconds=1)
        generation = make_running(conversation, **{"lease_expires_at": past, "started_at": past, **fields})
        Message.objects.filter(pk=generation.message.parent_id).update(text=f"Hello {FAST} [[length=60]]")
        for seq, (kind, text) in enumerate(pieces):
            Delta.objects.create(generation=generation, seq=seq, kind=kind, text=text, at_ms=5 * seq)
        return generation

    return await reader.call(abandon)


async def test_an_answer_of_which_nothing_was_visible_starts_again_silently(threads):
    generation = await left_behind(prefill="")
    assert await reader.call(claims.claimable, 0, 10) == [generation.pk]
    assert await runner.run(generation.pk)
    row = await Generation.objects.aget(pk=generation.pk)
    assert (row.status, row.epoch, row.takeovers, row.output_tokens) == ("completed", 2, 1, 60)


async def test_a_model_that_can_prefill_goes_on_behind_the_last_character(threads):
    generation = await left_behind()
    await Conversation.objects.aupdate(parameters={"seed": 7})
    await runner.run(generation.pk)
    whole = text_of(await Generation.objects.aget(pk=generation.pk))
    again = await left_behind(("text", whole[:20]), ("text", whole[20:51]))
    await Conversation.objects.aupdate(parameters={"seed": 7})
    await runner.run(again.pk)
    row = await Generation.objects.aget(pk=again.pk)
    assert (row.status, row.epoch, row.takeovers) == ("completed", 2, 1)
    assert text_of(row) == whole
    assert [at for at, _ in row.timeline] == sorted(at for at, _ in row.timeline)


@pytest.mark.parametrize(
    ("pieces", "fields", "status", "error_code"),
    [
        ([("text", "Half a sen")], {"prefill": ""}, "interrupted", "restarted"),
        ([("text", "Half a sen")], {"takeovers": 2}, "interrupted", "restarted"),
        ([("reasoning", "Hm")], {}, "interrupted", "restarted"),
        ([], {"takeovers": 5}, "failed", "restarted"),
        ([("text", "Half a sen")], {"stop_requested_at": timezone.now()}, "stopped", ""),
    ],
)
async def test_what_nobody_can_go_on_with_ends_with_its_text(threads, pieces, fields, status, error_code):
    generation = await left_behind(*pieces, **fields)
    await runner.run(generation.pk)
    row = await Generation.objects.select_related("message").aget(pk=generation.pk)
    assert (row.status, row.error_code) == (status, error_code)
    assert [(part["kind"], part["text"]) for part in row.output] == pieces
    assert (await reader.call(lambda: row.message.is_partial)) is (pieces[:1] == [("text", "Half a sen")])
    assert await Delta.objects.acount() == 0


async def test_what_earlier_writers_used_is_accounted_for(threads):
    taken_over = await left_behind(("text", "word " * 800))
    ended = await left_behind(("text", "word " * 800), takeovers=2)
    await ChatModel.objects.aupdate(input_price=10, output_price=10)
    for generation in (taken_over, ended):
        await runner.run(generation.pk)
    rows = [await Generation.objects.aget(pk=generation.pk) for generation in (taken_over, ended)]
    assert [row.status for row in rows] == ["completed", "interrupted"]
    for row in rows:
        assert row.usage_estimated
        assert row.output_tokens >= 4_000 / 3.5
        assert row.cost == pytest.approx(Decimal(row.input_tokens + row.output_tokens) / 100_000)
    assert rows[0].input_tokens > rows[1].input_tokens > 0


async def test_a_question_whose_image_was_lost_is_answered_without_it(threads):
    generation = await left_behind()
    await ChatModel.objects.aupdate(sees_images=True)
    message = await Message.objects.aget(role="user")
    owner = (await Conversation.objects.aget()).owner_id
    fields = {"kind": "image", "name": "x.png", "content_type": "image/png", "size": 10, "tokens": 1}
    await Attachment.objects.acreate(owner_id=owner, message=message, file="attachments/gone.png", **fields)
    await runner.run(generation.pk)
    assert (await Generation.objects.aget(pk=generation.pk)).status == "completed"


async def test_what_cannot_be_asked_for_ends(threads):
    generation = await left_behind()
    await Conversation.objects.aupdate(parameters=["not", "parameters"])
    assert await runner.run(generation.pk)
    row = await Generation.objects.aget(pk=generation.pk)
    assert (row.status, row.error_code) == ("failed", "internal")


async def test_one_of_many_takes_over(threads):
    generation = await left_behind(("text", "Half a sen"))
    assert sorted(await asyncio.gather(*(runner.run(generation.pk) for _ in range(4)))) == [False, False, False, True]
    assert (await Generation.objects.aget(pk=generation.pk)).epoch == 2


async def test_handing_back_keeps_the_text_and_frees_the_lease(threads):
    generation = await left_behind(status="queued", lease_expires_at=None)
    message = await reader.call(lambda: Message.objects.get(generations=generation).parent_id)
    await Message.objects.filter(pk=message).aupdate(text="Hello [[speed=40]] [[length=400]]")
    running = asyncio.create_task(runner.run(generation.pk))
    async with asyncio.timeout(10):
        while not await Delta.objects.filter(generation=generation).aexists():  # noqa: ASYNC110 - the database tells nobody
            await asyncio.sleep(0.02)
    assert await runner.hand_back_all() == 1
    await running
    row = await Generation.objects.aget(pk=generation.pk)
    assert (row.status, row.epoch) == ("in_progress", 2)
    assert await reader.call(claims.claimable, 0, 10) == [generation.pk]
    await runner.run(generation.pk)
    row = await Generation.objects.aget(pk=generation.pk)
    assert (row.status, row.epoch, row.takeovers) == ("completed", 3, 1)


async def test_what_nobody_takes_ends_with_a_sentence(threads):
    def leave() -> tuple[Generation, Generation, Generation]:
        conversation = make_conversation(make_user("ada"))
        hour_ago = timezone.now() - timedelta(hours=1)
        fresh = make_turn(conversation, answer="", status="queued")
        old = make_turn(conversation, answer="", status="queued", created_at=hour_ago)
        return fresh, old, make_running(conversation, lease_expires_at=hour_ago)

    fresh, old, abandoned = await reader.call(leave)
    await reader.call(claims.end_unclaimed)
    assert await reader.call(claims.claimable, 0, 10) == [abandoned.pk, fresh.pk]
    assert await reader.call(claims.claimable, 60, 10) == [abandoned.pk]
    assert await reader.call(claims.claimable, 0, 1) == [abandoned.pk]
    await reader.call(claims.end_abandoned)
    statuses = [row.status async for row in Generation.objects.order_by("pk")]
    assert statuses == ["queued", "failed", "interrupted"]
    assert "No process" in (await Generation.objects.aget(pk=old.pk)).error_message


async def test_deleting_the_conversation_ends_its_writer(process):
    generation = await ask("A long one [[speed=50]] [[length=2000]]")
    await asyncio.sleep(0.3)
    conversation = await Conversation.objects.select_related("owner").aget()
    await reader.call(turns.delete, conversation)
    async with asyncio.timeout(3):
        while generation.pk in runner._attempts:  # noqa: ASYNC110 - the database tells nobody
            await asyncio.sleep(0.02)
    assert (await Generation.objects.aget()).status == "stopped"
    assert await Delta.objects.acount() == 0


async def test_purging_the_conversation_ends_its_writer(process):
    generation = await ask("A long one [[speed=50]] [[length=2000]]")
    await asyncio.sleep(0.3)
    await reader.call(lambda: Conversation.objects.update(deleted_at=timezone.now()))
    await reader.call(purge.purge, (await Conversation.objects.aget()).pk)
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


async def test_without_a_server_a_turn_is_refused_and_nothing_written(transactional_db):
    with pytest.raises(turns.NoServer):
        await ask("Hello")
    assert await Generation.objects.acount() == 0
    await reader.close()


async def test_the_upkeep_leaves_alone_what_this_process_writes(process):
    generation = await ask("A long one [[speed=50]] [[length=2000]]")
    async with asyncio.timeout(5):
        while generation.pk not in runner._attempts:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
    past = timezone.now() - timedelta(hours=1)  # as after a database that was away for longer than a lease
    await Generation.objects.aupdate(lease_expires_at=past)
    assert await reader.call(claims.claimable, 0, 10, runner.held()) == []
    await reader.call(claims.end_abandoned, runner.held())
    assert (await Generation.objects.aget()).status == "in_progress"


async def test_the_upkeep_goes_on_after_a_failure(transactional_db, monkeypatch, caplog):
    calls = []

    async def fail() -> None:
        calls.append(1)
        raise RuntimeError("no such thing")

    monkeypatch.setattr(engine, "UPKEEP_SECONDS", 0.01)
    engine.attach(fail)
    async with asyncio.timeout(5):
        while len(calls) < 3:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
    await engine.detach()
    jobs.open_up()  # for the tests behind this one
    assert "is tried again" in caplog.text


async def test_an_attempt_whose_reading_was_cancelled_ends(process):
    generation = await ask("A long one [[speed=50]] [[length=2000]]")
    async with asyncio.timeout(5):
        while not getattr(runner._attempts.get(generation.pk), "_reading", None):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
    runner._attempts[generation.pk]._reading.cancel()
    row = await ended(generation)
    assert (row.status, row.error_code) == ("interrupted", "cut")
