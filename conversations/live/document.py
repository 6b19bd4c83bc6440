"""One rendered generation and its many viewers.

A live document is made when the first viewer of a generation comes to this process, and dropped when the last has gone.
It follows the generation by the hints of the bus, and by the database whenever a hint is missing: the next one tells,
or a look at what is durable, every `POLL_SECONDS`, for all documents together. Viewers ask it for what they lack and
wait for its next version; a slow one skips versions, it never queues them. It writes nothing.
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
from django.db import Error
from django.utils.translation import get_language

from conversations.journal import Hint, Progress, StoredDelta, heads, replay
from conversations.live import sse
from conversations.live.bus import bus
from conversations.live.governor import governor
from conversations.live.message import healing, lacking
from conversations.live.sse import Position
from conversations.live.state import RenderedState, read_state
from conversations.measuring import pacing
from conversations.rendering.markdown import render
from conversations.threads import reader

logger = logging.getLogger(__name__)

SLICE_CHARACTERS = 4_000


@dataclass(frozen=True, slots=True)
class Frame:
    """What brings one viewer up to date, where it then is, and how many characters it then has."""

    data: str
    position: Position
    characters: int  # of the generation


class LiveDocument:
    """The rendered state of a running generation, kept up to date for those who watch."""

    def __init__(self, generation_id: uuid.UUID, state: RenderedState) -> None:
        self.generation_id = generation_id
        self.state = state
        self._pace = pacing.pace_of(state.arm)
        self.version = 0
        self.gone = False
        self.viewers = 0
        self._frames: dict[tuple[Position | None, str | None], Frame | None] = {}
        self._waiting: list[StoredDelta] = []
        self._rendered_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._stalled = False
        self._shown_until = 0  # characters: so far somebody has seen the text, be it in a tail
        self._stall_timer: asyncio.TimerHandle | None = None
        self._changed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._resync = asyncio.Event()
        self._resync.set()  # whatever became durable between reading the state and listening
        self._reading = asyncio.Lock()
        bus.listen(generation_id, self._hear)
        self._notice_stall_later()
        self._task = asyncio.get_running_loop().create_task(self._follow(), context=contextvars.Context())
        _look_after(self)

    @property
    def ended(self) -> bool:
        """Whether no more will come."""
        return self.state.ended or self.gone

    @property
    def position(self) -> Position:
        """Where a viewer is that has seen everything; held text counts when the writer has paused, and what was shown
        of it then stays until it is final."""
        renderer = self.state.renderer
        has_tail = self._stalled or renderer.characters - renderer.held < self._shown_until
        return Position(self.state.position.operations, renderer.held + 1 if has_tail else 0)

    async def reach(self, position: Position | None) -> bool:
        """Know at least what a viewer at `position` has seen, so that nothing is taken back; False: try again.

        What was seen elsewhere is in the database, though the hints of it may be late or lost. A position that is ahead
        of the database as well is forged.
        """
        if position is None:
            return True
        try:
            async with self._reading:
                if self._is_behind(position) and not self.ended:
                    await self._catch_up()
        except Error:
            return False
        self._keep_shown(position)
        return True

    def _is_behind(self, position: Position) -> bool:
        here = Position(self.state.position.operations, self.state.renderer.held + 1)
        return (position.operations, position.tail) > (here.operations, here.tail)

    def _keep_shown(self, position: Position) -> None:
        """Let what a viewer has in its tail stay there until it is final."""
        renderer = self.state.renderer
        if position.tail > 1 and not self._is_behind(position):
            final = renderer.characters - renderer.held
            same = position.operations == self.state.position.operations
            self._shown_until = max(self._shown_until, final + position.tail - 1 if same else renderer.characters)
            self._frames.clear()

    def frame(self, position: Position | None) -> Frame | None:
        """Return what a viewer at `position` lacks, in the current language; None when it lacks nothing.

        None, or a position that is ahead of this state, means: everything again, as a replacement.
        """
        key = position, get_language()
        if key not in self._frames:
            self._frames[key] = self._frame(position)
        return self._frames[key]

    async def changed(self, version: int, patience_seconds: float) -> bool:
        """Wait until there is a version other than `version`; False when the patience ran out first."""
        if self.version != version:
            return True
        done, _ = await asyncio.wait({self._changed}, timeout=patience_seconds)
        return bool(done)

    async def healing_data(self) -> str:
        """Return what turns the finished document into what a reload shows: nothing, when it is that already."""
        renderer = self.state.renderer
        canonical = await reader.call(
            render, "".join(renderer.text), id_prefix=renderer.prefix, image_hosts=settings.IMAGE_HOSTS
        )
        return sse.update(renderer.prefix, healing(renderer.body_html(), canonical))

    def close(self) -> None:
        """Stop following."""
        _followed.discard(self)
        bus.leave(self.generation_id, self._hear)
        self._task.cancel()
        for timer in (self._timer, self._stall_timer):
            if timer is not None:
                timer.cancel()

    def _frame(self, position: Position | None) -> Frame | None:
        here, renderer = self.position, self.state.renderer
        if position == here:
            return None
        tail = [renderer.tail()] if here.tail else []
        known = position.operations if position is not None else None
        fresh = lacking(renderer, known, shows_tail=position is not None and position.tail > 0)
        held = 0 if here.tail else renderer.held
        return Frame(sse.update(renderer.prefix, fresh + tail), here, self.state.characters - held)

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
            self._timer = loop.call_at(self._rendered_at + governor.interval(self._pace.frame_seconds), self._render)

    def _render(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = None
        self._rendered_at = loop.time()
        self._feed_waiting()
        self._stalled = False
        self._notice_stall_later()
        governor.note(loop.time() - self._rendered_at, len(_documents))
        self._bump()

    def _notice_stall_later(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
        self._stall_timer = asyncio.get_running_loop().call_later(self._pace.stall_seconds, self._stall)

    def _stall(self) -> None:
        """Show what is held, and that more seems to take its time."""
        if not self.ended and self.state.position.operations:
            self._stalled = True
            self._shown_until = self.state.renderer.characters
            self._bump()

    def _feed_waiting(self) -> None:
        while self._waiting:
            delta = self._waiting.pop(0)
            # Else it was read from the database meanwhile; of what has ended, everything was.
            if delta.seq == self.state.next_seq and not self.state.ended:
                self.state.feed(delta)

    def _bump(self) -> None:
        self.version += 1
        self._frames.clear()
        changed, self._changed = self._changed, asyncio.get_running_loop().create_future()
        changed.set_result(None)

    def compare(self, head: int | None) -> None:
        """Read the database when a hint is missing; `head` is the newest delta that is durable, None after the end."""
        if head is None or head >= self._expected:
            self._resync.set()

    async def _follow(self) -> None:
        while not self.ended:
            await self._resync.wait()
            self._resync.clear()
            try:
                async with self._reading:
                    await self._catch_up()
            except Error as error:
                logger.warning("A live document waits for the database: %s", error)
                await asyncio.sleep(settings.POLL_SECONDS)
                self._resync.set()
            except Exception:
                logger.exception("Generation %s cannot be shown", self.generation_id)
                self.gone = True
                self._bump()
        _followed.discard(self)

    async def _catch_up(self) -> None:
        before = self.position
        progress = await reader.call(replay, self.generation_id, after=self.state.next_seq - 1)
        self._feed_waiting()
        if progress is None:
            self.gone = True
        else:
            await self._apply(progress)
        if self.ended:
            self._stalled = False
        if self.ended or self.position != before:
            self._bump()

    async def _apply(self, progress: Progress) -> None:
        """Take what was read, in slices, so that a long text does not keep the loop from everybody else."""
        taken = 0
        for delta in progress.deltas:
            if delta.seq >= self.state.next_seq:
                self.state.feed(delta)
                taken += len(delta.text)
            if taken > SLICE_CHARACTERS:
                taken = 0
                await asyncio.sleep(0)
        self.state.apply(progress)


_documents: dict[uuid.UUID, LiveDocument] = {}
_followed: set[LiveDocument] = set()
_looking: asyncio.Task[None] | None = None


def _look_after(document: LiveDocument) -> None:
    global _looking  # noqa: PLW0603 - one task a process, or none
    _followed.add(document)
    loop = asyncio.get_running_loop()
    if _looking is None or _looking.done() or _looking.get_loop() is not loop:
        _looking = loop.create_task(_look(), context=contextvars.Context())


async def _look() -> None:
    """Now and then ask for all documents at once what is durable: whoever has not heard of it reads it."""
    while _followed:
        patience = settings.POLL_SECONDS / 20  # for hints that are on their way
        await asyncio.sleep(settings.POLL_SECONDS - 2 * patience)  # at most a poll from a lost hint to the comparison
        asked = {document: document.generation_id for document in _followed}
        try:
            durable = await reader.call(heads, set(asked.values()))
        except Error as error:
            logger.warning("What is durable cannot be seen: %s", error)
            continue
        await asyncio.sleep(patience)
        for document, generation_id in asked.items():
            document.compare(durable.get(generation_id))


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
