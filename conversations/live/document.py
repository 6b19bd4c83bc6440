"""One rendered generation and its many viewers.

A live document is made when the first viewer of a generation comes to this process, and dropped when the last has gone.
It follows the generation by the hints of the bus, and by the database whenever a hint is missing or none has come for
`POLL_SECONDS`. Viewers ask it for what they lack and wait for its next version; a slow one skips versions, it never
queues them. It writes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass

from django.conf import settings
from django.db import DatabaseError

from conversations.journal import Hint, StoredDelta, replay
from conversations.live import sse
from conversations.live.bus import bus
from conversations.live.sse import Position
from conversations.live.state import RenderedState, read_state
from conversations.rendering.markdown import render
from conversations.threads import reader

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Frame:
    """What brings one viewer up to date, and where it then is."""

    data: str
    position: Position


class Governor:
    """Keeps rendering within a share of the event loop, however many documents there are.

    Each document renders no more often than `FRAME_SECONDS`, and less often when all of them together would take more
    than `SHARE` of the loop: frames then hold more text, and no stream falls behind.
    """

    SHARE = 0.4
    WEIGHT = 0.05  # of the newest cost in the average

    def __init__(self) -> None:
        self._cost = 0.0
        self._documents = 0

    def note(self, seconds: float, documents: int) -> None:
        """Learn what a frame has cost, and how many documents there are."""
        self._cost += self.WEIGHT * (seconds - self._cost)
        self._documents = documents

    def interval(self) -> float:
        """Return the least time between two frames of one document, in seconds."""
        return max(float(settings.FRAME_SECONDS), self._cost * self._documents / self.SHARE)


governor = Governor()


class LiveDocument:
    """The rendered state of a running generation, kept up to date for those who watch."""

    def __init__(self, generation_id: uuid.UUID, state: RenderedState) -> None:
        self.generation_id = generation_id
        self.state = state
        self.version = 0
        self.gone = False
        self.viewers = 0
        self._frames: dict[Position | None, Frame | None] = {}
        self._waiting: list[StoredDelta] = []
        self._rendered_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._changed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._resync = asyncio.Event()
        self._resync.set()  # whatever became durable between reading the state and listening
        bus.listen(generation_id, self._hear)
        self._task = asyncio.get_running_loop().create_task(self._follow(), context=contextvars.Context())

    @property
    def ended(self) -> bool:
        """Whether no more will come."""
        return self.state.ended or self.gone

    def frame(self, position: Position | None) -> Frame | None:
        """Return what a viewer at `position` lacks, None when it lacks nothing.

        None, or a position that is ahead of this state, means: everything again, as a replacement.
        """
        if position not in self._frames:
            self._frames[position] = self._frame(position)
        return self._frames[position]

    async def changed(self, version: int, patience_seconds: float) -> bool:
        """Wait until there is a version other than `version`; False when the patience ran out first."""
        if self.version != version:
            return True
        done, _ = await asyncio.wait({self._changed}, timeout=patience_seconds)
        return bool(done)

    async def healing_data(self) -> str:
        """Return what turns the finished document into what a reload shows: nothing, when it is that already."""
        renderer = self.state.renderer
        canonical = await reader.call(render, "".join(renderer.text), id_prefix=renderer.prefix)
        if canonical == renderer.body_html():
            return ""
        return sse.partial(f"{renderer.prefix}body", canonical, "innerHTML")

    def close(self) -> None:
        """Stop following."""
        bus.leave(self.generation_id, self._hear)
        self._task.cancel()
        if self._timer is not None:
            self._timer.cancel()

    def _frame(self, position: Position | None) -> Frame | None:
        here, renderer = self.state.position, self.state.renderer
        if position == here:
            return None
        if position is None or position.operations > here.operations or position.characters > here.characters:
            contents = {
                f"{renderer.prefix}body": renderer.body_html(),
                f"{renderer.prefix}rbody": renderer.reasoning_html(),
                f"{renderer.prefix}thought": renderer.reasoning_label,
            }
            return Frame(sse.update((), contents | renderer.tails()), here)
        return Frame(sse.update(renderer.operations[position.operations :], renderer.tails()), here)

    def _hear(self, hint: Hint) -> None:
        if hint.delta is None:
            if hint.what == "ended":
                self._resync.set()
        elif hint.delta.seq == self._expected:
            self._waiting.append(hint.delta)
            self._render_soon()
        elif hint.delta.seq > self._expected:
            self._resync.set()

    @property
    def _expected(self) -> int:
        return self._waiting[-1].seq + 1 if self._waiting else self.state.next_seq

    def _render_soon(self) -> None:
        """Render at once after a pause, else when the governor allows: later when many documents share the loop."""
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(self._rendered_at + governor.interval(), self._render)

    def _render(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = None
        self._rendered_at = loop.time()
        self._feed_waiting()
        self.state.renderer.tails()  # the costly part of a frame; viewers find it done
        governor.note(loop.time() - self._rendered_at, len(_documents))
        self._bump()

    def _feed_waiting(self) -> None:
        for delta in self._waiting:
            self.state.feed(delta)
        self._waiting.clear()

    def _bump(self) -> None:
        self.version += 1
        self._frames.clear()
        changed, self._changed = self._changed, asyncio.get_running_loop().create_future()
        changed.set_result(None)

    async def _follow(self) -> None:
        while not self.ended:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._resync.wait(), settings.POLL_SECONDS)
            self._resync.clear()
            try:
                await self._catch_up()
            except DatabaseError as error:
                logger.warning("A live document waits for the database: %s", error)
                await asyncio.sleep(settings.POLL_SECONDS)

    async def _catch_up(self) -> None:
        before = self.state.position
        progress = await reader.call(replay, self.generation_id, after=self.state.next_seq - 1)
        self._feed_waiting()
        if progress is None:
            self.gone = True
        else:
            self.state.apply(progress)
        if self.ended or self.state.position != before:
            self._bump()


_documents: dict[uuid.UUID, LiveDocument] = {}


@contextlib.asynccontextmanager
async def watch(generation_id: uuid.UUID) -> AsyncIterator[LiveDocument | None]:
    """Enter as a viewer of a generation's document, which all viewers in this process share; None when it is gone."""
    if generation_id not in _documents:
        state = await reader.call(read_state, generation_id)
        if state is None:
            yield None
            return
        if generation_id not in _documents:  # another viewer may have been quicker
            _documents[generation_id] = LiveDocument(generation_id, state)
    document = _documents[generation_id]
    document.viewers += 1
    try:
        yield document
    finally:
        document.viewers -= 1
        if document.viewers == 0 and _documents.get(generation_id) is document:
            del _documents[generation_id]
            document.close()
