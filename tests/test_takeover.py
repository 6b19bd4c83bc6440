"""Any interleaving of writing, dying, taking over, reconnecting and bad hints ends with the canonical text."""

from __future__ import annotations

import asyncio
import random

import pytest

from conversations.generating import claims
from conversations.journal import Ending, Journal
from conversations.live.bus import bus
from conversations.models import Generation
from conversations.threads import reader
from tests.factories import make_conversation, make_running, make_user
from tests.test_document import TEXT, assert_canonical, follow, page_of
from tests.viewer import Viewer

COMPLETED = Ending("completed", finish_reason="stop")


class Process:
    """One of the processes that write the generation in turn; it has a journal of its own."""

    def __init__(
        self, generation: Generation, source: random.Random, *, next_seq: int = 0, elapsed_ms: int = 0
    ) -> None:
        self._source = source
        self.fenced = False
        self.journal = Journal(self._publish)
        self.lane = self.journal.open(
            generation, next_seq=next_seq, elapsed_ms=elapsed_ms, on_stop=lambda: None, on_fenced=self._fence
        )

    def write(self, text: str) -> None:
        self.journal.append(self.lane, "text", text)

    def _publish(self, hints) -> None:
        """As a bus on a bad day."""
        for hint in hints:
            for _ in range(self._source.choices([0, 1, 2], [2, 7, 1])[0]):
                bus.deliver(hint)

    def _fence(self) -> None:
        self.fenced = True


async def take_over(generation: Generation, source: random.Random) -> tuple[Process, int]:
    """Claim an abandoned generation; return the writer, and how much of the text there is already."""
    job = await reader.call(claims.claim, generation.pk)
    assert job is not None
    assert job.plan.request.partial == TEXT[: len(job.plan.request.partial)]  # byte by byte
    process = Process(job.generation, source, next_seq=job.next_seq, elapsed_ms=job.elapsed_ms)
    return process, len(job.plan.request.partial)


async def die(generation: Generation, process: Process, source: random.Random) -> None:
    """Stop writing: in good order, or frozen with text in its hands and a lease that runs out."""
    if source.random() < 0.4:
        assert await process.journal.hand_back(process.lane)
    else:
        await reader.call(Generation.objects.filter(pk=generation.pk).release)


@pytest.mark.parametrize("seed", range(12))
async def test_any_interleaving_ends_with_the_canonical_text(process, settings, seed):
    settings.POLL_SECONDS = 0.2
    settings.WORKER_GENERATIONS = 0  # the upkeep of this process would take over as well
    source = random.Random(seed)
    generation = await reader.call(lambda: make_running(make_conversation(make_user("ada"))))
    viewers = [Viewer(page_of(generation)) for _ in range(3)]
    watching = asyncio.gather(
        *(follow(generation, viewer, drop_every=source.choice([0, 1, 3]), seed=seed) for viewer in viewers)
    )
    writer, written, zombies = Process(generation, source), 0, []
    while written < len(TEXT):
        size = source.randint(1, 40)
        writer.write(TEXT[written : written + size])
        written += size
        await asyncio.sleep(source.choice([0, 0.01, 0.06]))
        if source.random() < 0.15:
            await die(generation, writer, source)
            zombies.append(writer)
            writer, written = await take_over(generation, source)
        if zombies and source.random() < 0.5:
            zombies[-1].write("a word from the grave")
    assert await writer.journal.finish(writer.lane, COMPLETED)
    await asyncio.wait_for(watching, 20)
    row = await Generation.objects.aget(pk=generation.pk)
    assert "".join(part["text"] for part in row.output) == TEXT
    assert row.epoch == 1 + len(zombies) == 1 + row.takeovers
    for viewer in viewers:
        assert_canonical(viewer, TEXT, generation)
    for zombie in zombies:
        if zombie.lane in zombie.journal._lanes:
            assert await zombie.journal.finish(zombie.lane, COMPLETED) is False
    for one in (writer, *zombies):
        await one.journal.close()
