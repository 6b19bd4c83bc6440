"""The journal: what is announced is durable, what is durable is announced, and only one may write."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from asgiref.sync import sync_to_async

from conversations.journal import Ending, Hint, Journal, StoredDelta, fold, replay
from conversations.journal.commit import storable
from conversations.models import Delta, Generation
from conversations.threads import DatabaseThreads
from tests.database import locked_generations, other_connection
from tests.factories import make_conversation, make_running, make_user

COMPLETED = Ending("completed", finish_reason="stop")


class Recorder:
    """A bus that remembers, and notes for each delta whether it was in the database when it was announced."""

    def __init__(self) -> None:
        self.hints: list[Hint] = []

    def __call__(self, hints) -> None:
        self.hints += hints

    @property
    def text(self) -> str:
        return "".join(hint.delta.text for hint in self.hints if hint.delta)


@pytest.fixture
async def database(transactional_db):
    threads = DatabaseThreads("test")
    yield threads
    await threads.close()


@pytest.fixture
async def journal(database):
    journal = Journal(Recorder())
    yield journal
    await journal.close()


@pytest.fixture
async def generation(database) -> Generation:
    return await database.call(lambda: make_running(make_conversation(make_user("ada"))))


def open_lane(journal: Journal, generation: Generation, calls: list[str] | None = None):
    calls = [] if calls is None else calls
    return journal.open(generation, on_stop=lambda: calls.append("stop"), on_fenced=lambda: calls.append("fenced"))


async def until(condition, seconds: float = 3.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.005)


async def test_journal_announces_only_what_is_in_the_database(journal, generation, database):
    seen = []
    recorder = journal._publish

    def publish(hints):
        for hint in hints:
            if hint.delta:
                # A connection of its own sees only what is committed.
                with contextlib.closing(other_connection()) as other:
                    query = f"SELECT text FROM conversations_delta WHERE seq = {hint.delta.seq}"
                    rows = other.execute(query).fetchall()
                seen.append(rows == [(hint.delta.text,)])
        recorder(hints)

    journal._publish = publish
    lane = open_lane(journal, generation)
    for number in range(20):
        journal.append(lane, "text", f"{number} ")
        await asyncio.sleep(0.01)
    await until(lambda: recorder.text == "".join(f"{n} " for n in range(20)))
    assert seen
    assert all(seen)
    await journal.finish(lane, COMPLETED)


async def test_finish_folds_deltas_into_output_and_removes_them(journal, generation, database):
    lane = open_lane(journal, generation)
    journal.append(lane, "reasoning", "Let me think.")
    await until(lambda: journal._publish.text == "Let me think.")
    journal.append(lane, "text", "The ")
    journal.append(lane, "text", "answer.")
    assert await journal.finish(lane, Ending("completed", finish_reason="stop", output_tokens=3)) is True
    row = await Generation.objects.aget(pk=generation.pk)
    assert [(part["kind"], part["text"]) for part in row.output] == [
        ("reasoning", "Let me think."),
        ("text", "The answer."),
    ]
    assert sum(characters for _, characters in row.timeline) == len("Let me think.The answer.")
    assert (row.status, row.finish_reason, row.output_tokens) == ("completed", "stop", 3)
    assert row.ended_at is not None
    assert await Delta.objects.acount() == 0
    assert journal._publish.hints[-1].what == "ended"


async def test_a_stale_epoch_cannot_write(journal, generation, database):
    calls: list[str] = []
    lane = open_lane(journal, generation, calls)
    journal.append(lane, "text", "mine")
    await until(lambda: journal._publish.text == "mine")
    await Generation.objects.filter(pk=generation.pk).aupdate(epoch=2)
    journal.append(lane, "text", " not mine")
    await until(lambda: calls == ["fenced"])
    assert [d.text async for d in Delta.objects.order_by("seq")] == ["mine"]
    assert journal._publish.text == "mine"


async def test_finish_of_a_stale_epoch_changes_nothing(journal, generation, database):
    lane = open_lane(journal, generation)
    await Generation.objects.filter(pk=generation.pk).aupdate(epoch=2)
    assert await journal.finish(lane, COMPLETED) is False
    assert (await Generation.objects.aget(pk=generation.pk)).status == "in_progress"


async def test_a_stop_in_the_database_reaches_an_idle_writer(journal, generation, database):
    calls: list[str] = []
    lane = open_lane(journal, generation, calls)
    await sync_to_async(Generation.request_stop)(Generation.objects.filter(pk=generation.pk))
    await until(lambda: calls == ["stop"])
    await journal.finish(lane, Ending("stopped"))
    assert calls == ["stop"]


async def test_a_deleted_generation_is_fenced_and_not_resurrected(journal, generation, database):
    calls: list[str] = []
    lane = open_lane(journal, generation, calls)
    await database.call(generation.message.conversation.delete)
    journal.append(lane, "text", "too late")
    await until(lambda: calls == ["fenced"])
    assert await Generation.objects.acount() == 0
    assert await Delta.objects.acount() == 0


async def test_text_waits_while_the_database_is_locked(journal, generation, database, settings):
    lane = open_lane(journal, generation)
    with locked_generations():
        journal.append(lane, "text", "patient")
        await asyncio.sleep(0.4)
        assert journal._publish.text == ""
    await until(lambda: journal._publish.text == "patient", seconds=12)
    await journal.finish(lane, COMPLETED)
    assert (await Generation.objects.aget(pk=generation.pk)).output[0]["text"] == "patient"


async def test_leases_are_renewed_while_a_generation_is_silent(journal, generation, settings):
    settings.LEASE_SECONDS = 1.0
    before = generation.lease_expires_at
    await Generation.objects.filter(pk=generation.pk).aupdate(lease_expires_at=before.replace(year=2000))
    lane = open_lane(journal, generation)
    lane.renewed -= 10
    await asyncio.sleep(1.2)
    row = await Generation.objects.aget(pk=generation.pk)
    assert row.lease_expires_at.year > 2000
    await journal.finish(lane, COMPLETED)


async def test_many_generations_share_commits(journal, database, monkeypatch):
    from conversations.journal import commit

    generations = await database.call(
        lambda: [make_running(make_conversation(user)) for user in [make_user("ada")] for _ in range(20)]
    )
    batches = []
    write = commit.write_batch
    monkeypatch.setattr(commit, "write_batch", lambda writes: batches.append(len(writes)) or write(writes))
    lanes = [open_lane(journal, generation) for generation in generations]
    for number in range(10):
        for lane in lanes:
            journal.append(lane, "text", f"{number}")
        await asyncio.sleep(0.01)
    await asyncio.gather(*(journal.finish(lane, COMPLETED) for lane in lanes))
    assert max(batches) == 20
    assert len(batches) < 10
    outputs = [row.output[0]["text"] async for row in Generation.objects.all()]
    assert outputs == ["0123456789"] * 20


@pytest.mark.parametrize(
    "refused",
    [
        StoredDelta(0, "text", "\ud800", 0),  # what no database takes
        StoredDelta(0, "text", "x", 0, ((0, object()),)),  # what fails before any database sees it
    ],
)
async def test_a_write_that_is_refused_harms_only_its_own_generation(journal, database, refused):
    good, bad = await database.call(
        lambda: [make_running(make_conversation(user)) for user in [make_user("ada")] for _ in range(2)]
    )
    calls: list[str] = []
    lanes = open_lane(journal, good), open_lane(journal, bad, calls)
    journal.append(lanes[0], "text", "good")
    lanes[1].pending.append(refused)
    await until(lambda: calls == ["fenced"] and journal._publish.text == "good")
    await journal.finish(lanes[0], COMPLETED)
    assert (await Generation.objects.aget(pk=good.pk)).output[0]["text"] == "good"


async def test_a_journal_that_fails_leaves_no_gap_behind(database, generation):
    told: list[str] = []

    def failing(hints) -> None:
        told.extend(hint.delta.text for hint in hints if hint.delta)
        if told == ["one "]:
            raise MemoryError

    journal, calls = Journal(failing), []
    lane = open_lane(journal, generation, calls)
    journal.append(lane, "text", "one ")
    await until(lambda: calls == ["fenced"])
    journal.append(lane, "text", "two ")
    assert not await journal.finish(lane, COMPLETED)
    deltas = await database.call(lambda: list(Delta.objects.values_list("text", flat=True)))
    assert (deltas, told) == (["one "], ["one "])
    await database.call(lambda: Generation.objects.update(epoch=2))
    generation.epoch = 2
    again = journal.open(generation, next_seq=1, on_stop=lambda: None, on_fenced=lambda: None)
    journal.append(again, "text", "two")
    assert await journal.finish(again, COMPLETED)
    assert (await Generation.objects.aget(pk=generation.pk)).output[0]["text"] == "one two"
    await journal.close()


async def test_replay_gives_what_is_after_a_number(journal, generation, database):
    lane = open_lane(journal, generation)
    for word in ("a", "b", "c"):
        journal.append(lane, "text", word)
        await until(lambda word=word: journal._publish.text.endswith(word))
    progress = await database.call(replay, generation.pk, after=0)
    assert [(delta.seq, delta.text) for delta in progress.deltas] == [(1, "b"), (2, "c")]
    await journal.finish(lane, COMPLETED)
    progress = await database.call(replay, generation.pk, after=0)
    assert progress.ended
    assert progress.output[0]["text"] == "abc"


def test_fold_joins_neighbours_of_one_kind():
    parts = fold([("reasoning", "a", 10), ("reasoning", "b", 30), ("text", "c", 40), ("text", "d", 70)])
    assert parts == [
        {"kind": "reasoning", "text": "ab", "from_ms": 0, "to_ms": 30},
        {"kind": "text", "text": "cd", "from_ms": 30, "to_ms": 70},
    ]


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        (["a\0b"], "ab"),
        (["\ud83d", "\ude00"], "😀"),
        (["x\ud83d", "y"], "x\ufffdy"),
        (["\ude00"], "\ufffd"),
        (["e", "\u0301"], "e\u0301"),
    ],
)
def test_storable_text_joins_halves_and_drops_nul(pieces, expected):
    text, carry = "", ""
    for piece in pieces:
        whole, carry = storable(piece, carry)
        text += whole
    assert text == expected
