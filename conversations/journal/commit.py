"""The append-only log of deltas: group commit, fencing, replay.

There is one `Journal` a process. It gathers the deltas of all running generations and commits them together: at once
after a pause, else no more often than every `FRAME_SECONDS`. What a commit holds becomes visible only after it: the
hints go out then. The same transaction reads each generation's epoch and whether a stop was asked for, renews leases,
and folds the deltas of those that have ended into their output.

A transaction that fails is tried again until it passes; deltas are numbered, so trying again doubles nothing. Whatever
else goes wrong costs a generation its writer, never a delta between two others. It knows no provider and no HTML.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import re
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

from django.conf import settings
from django.db import InterfaceError, OperationalError

from conversations import metrics
from conversations.journal.storage import Ending, StoredDelta, Verdict, Write, write_batch
from conversations.measuring import pacing
from conversations.models import Generation
from conversations.threads import DatabaseThreads

logger = logging.getLogger(__name__)

TICK_SECONDS = 0.5  # how soon a stop asked for on another machine is seen when nothing is being written
RETRY_SECONDS = (0.1, 0.2, 0.5, 1.0)
ANY = uuid.UUID(int=0)  # stands for no generation in particular
SESSIONS = uuid.UUID(int=1)  # stands for all sessions
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Hint:
    """News of one generation, sent after it is durable.

    `delta`: this delta stands. `ended`: a terminal state is reached. `stop`: a user asks its writer to stop.
    `waiting`: there is something to claim; it goes by `ANY` to all that run generations.
    `revoked`: sessions may have ended; it goes by `SESSIONS` to all that have streams open.
    """

    generation_id: uuid.UUID
    what: Literal["delta", "ended", "stop", "waiting", "revoked"]
    delta: StoredDelta | None = None


@dataclass(slots=True, eq=False)
class Lane:
    """A running generation's place in the journal, held by its one writer."""

    generation_id: uuid.UUID
    epoch: int
    next_seq: int
    started: float
    on_stop: Callable[[], None]
    on_fenced: Callable[[], None]
    frame_seconds: float
    pending: list[StoredDelta] = field(default_factory=list)
    carry: str = ""
    ending: Ending | None = None
    releasing: bool = False
    ended: asyncio.Future[bool] | None = None
    renewed: float = 0.0
    stop_seen: bool = False

    def elapsed_ms(self) -> int:
        """Milliseconds since the generation started."""
        return max(0, round((time.monotonic() - self.started) * 1000))


def storable(text: str, carry: str = "") -> tuple[str, str]:
    """Return `carry + text` as every database can store it, and what must wait for the next piece.

    NUL goes; halves of a surrogate pair that came in two pieces are joined; a half alone becomes U+FFFD.
    """
    text = (carry + text).replace("\0", "")
    if not _SURROGATE.search(text):
        return text, ""
    kept = text[-1] if "\ud800" <= text[-1] <= "\udbff" else ""
    whole = text[: len(text) - len(kept)]
    return whole.encode("utf-16", "surrogatepass").decode("utf-16", "replace"), kept


class Journal:
    """Group commit for all generations that this process writes."""

    def __init__(self, publish: Callable[[Iterable[Hint]], None]) -> None:
        self._publish = publish
        self._lanes: set[Lane] = set()
        self._task: asyncio.Task[None] | None = None
        self._dirty: asyncio.Event | None = None
        self._checked = 0.0
        self._thread = DatabaseThreads("journal", keeps=True)

    def open(
        self,
        generation: Generation,
        *,
        next_seq: int = 0,
        elapsed_ms: int = 0,
        on_stop: Callable[[], None],
        on_fenced: Callable[[], None],
    ) -> Lane:
        """Make a place for a generation that was just claimed; `finish` must follow.

        `next_seq` and `elapsed_ms` are those of the next delta when another writer has begun it.
        `on_stop` is called at most once, when a user's stop was read; `on_fenced` when somebody else writes it now.
        """
        started = time.monotonic() - elapsed_ms / 1000
        frame_seconds = pacing.pace_of(generation.arm).frame_seconds
        lane = Lane(generation.pk, generation.epoch, next_seq, started, on_stop, on_fenced, frame_seconds)
        lane.renewed = time.monotonic()
        self._lanes.add(lane)
        self._wake(dirty=False)
        return lane

    def append(self, lane: Lane, kind: str, text: str, redactions: tuple[tuple[int, str], ...] = ()) -> None:
        """Take a piece of text; it becomes durable, then visible, with the next commit.

        `redactions`: where in the text something was replaced, and by which label.
        """
        text, lane.carry = storable(text, lane.carry)
        if not text:
            return
        if lane.pending and lane.pending[-1].kind == kind:
            last = lane.pending[-1]
            moved = tuple((len(last.text) + offset, label) for offset, label in redactions)
            lane.pending[-1] = StoredDelta(last.seq, kind, last.text + text, last.at_ms, last.redactions + moved)
        else:
            lane.pending.append(StoredDelta(lane.next_seq, kind, text, lane.elapsed_ms(), redactions))
            lane.next_seq += 1
        self._wake(dirty=True)

    async def finish(self, lane: Lane, ending: Ending) -> bool:
        """Write what is left and the end in one transaction; return False when somebody else writes it now."""
        if lane.carry:  # half of a pair whose other half will not come
            lane.carry = ""
            self.append(lane, "text", "\ufffd")
        lane.ending = ending
        return await self._last_write(lane)

    async def hand_back(self, lane: Lane) -> bool:
        """Write what is left and give the lease back in one transaction, so that anybody may go on at once.

        Half of a surrogate pair is left out: the next writer's model goes on before it.
        """
        lane.releasing = True
        return await self._last_write(lane)

    async def _last_write(self, lane: Lane) -> bool:
        if lane not in self._lanes:  # fenced, or handed back: nothing would ever answer
            return False
        lane.ended = asyncio.get_running_loop().create_future()
        self._wake(dirty=True)
        return await asyncio.shield(lane.ended)

    def leave(self, lane: Lane) -> None:
        """Give a lane up without an end; harmless when it has ended."""
        self._lanes.discard(lane)

    async def idle(self) -> None:
        """Wait until no lane is open."""
        if self._task is not None:
            await asyncio.wait({self._task})

    async def close(self) -> None:
        """End the thread and its connection; the next commit starts a new one."""
        await self._thread.close()

    def _wake(self, *, dirty: bool) -> None:
        if self._task is None or self._task.done():
            self._dirty = asyncio.Event()
            self._task = asyncio.get_running_loop().create_task(self._run(), context=contextvars.Context())
        if dirty and self._dirty is not None:
            self._dirty.set()

    async def _run(self) -> None:
        while self._lanes:
            try:
                await self._write_lanes()
            except Exception:  # what was in its hands may be lost: whoever goes on does so from what is durable
                logger.exception("The journal failed; its generations are left to whoever takes them over")
                for lane in tuple(self._lanes):
                    self._fence(lane)
            await self._thread.release()  # meanwhile there may be lanes again

    async def _write_lanes(self) -> None:
        loop = asyncio.get_running_loop()
        assert self._dirty is not None  # noqa: S101 - made together with this task
        while self._lanes:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._dirty.wait(), TICK_SECONDS)
            self._dirty.clear()
            committed = loop.time()
            await self._commit(self._take())
            # All go along with the one that is shown most often.
            pause = min((lane.frame_seconds for lane in self._lanes), default=settings.FRAME_SECONDS)
            await asyncio.sleep(max(0.0, committed + pause - loop.time()))

    def _take(self) -> list[tuple[Lane, Write]]:
        """Collect what there is to write, and now and then every lane, to renew its lease and see a stop."""
        now = time.monotonic()
        everyone = now - self._checked >= TICK_SECONDS
        if everyone:
            self._checked = now
        batch = []
        for lane in self._lanes:
            renew = now - lane.renewed > settings.LEASE_SECONDS / 4
            if lane.pending or lane.ending or lane.releasing or everyone:
                write = Write(lane.generation_id, lane.epoch, tuple(lane.pending), lane.ending, renew, lane.releasing)
                batch.append((lane, write))
                lane.pending.clear()
        return batch

    async def _commit(self, batch: list[tuple[Lane, Write]]) -> None:
        """Commit together; when the database refuses that for what one of them holds, commit one by one.

        Whoever is refused alone loses the right to write: the sweep ends the generation with what is durable of it.
        """
        if not batch:
            return
        try:
            verdicts = await self._write_until_durable([write for _, write in batch])
        except Exception:  # besides DatabaseError whatever a driver or a thread may raise: no other edge is near
            if len(batch) > 1:
                for single in batch:
                    await self._commit([single])
                return
            logger.exception("Generation %s could not be written", batch[0][0].generation_id)
            verdicts = {batch[0][0].generation_id: Verdict(current=False, running=False, stop_requested=False)}
        for lane, write in batch:
            self._settle(lane, write, verdicts[lane.generation_id])

    async def _write_until_durable(self, writes: list[Write]) -> dict[uuid.UUID, Verdict]:
        """Commit, again and again while the database is locked, full or away: text waits, it is not lost."""
        attempt, started = 0, time.monotonic()
        while True:
            try:
                verdicts = await self._thread.call(write_batch, writes)
            except (OperationalError, InterfaceError) as error:
                if attempt == 0:
                    logger.warning("The journal waits for the database: %s", error)
                await asyncio.sleep(RETRY_SECONDS[min(attempt, len(RETRY_SECONDS) - 1)])
                attempt += 1
            else:
                if settings.METRICS:
                    metrics.journal_commit.observe(time.monotonic() - started)
                    metrics.journal_deltas.observe(sum(len(write.deltas) for write in writes))
                    metrics.journal_generations.observe(len(writes))
                return verdicts

    def _settle(self, lane: Lane, write: Write, verdict: Verdict) -> None:
        """Tell viewers and the writer what the commit did."""
        if not verdict.current:
            self._fence(lane)
            return
        if write.renew:
            lane.renewed = time.monotonic()
        self._publish([Hint(lane.generation_id, "delta", delta) for delta in write.deltas])
        if write.ending is not None or write.release:
            self._lanes.discard(lane)
            if write.ending is not None:
                self._publish([Hint(lane.generation_id, "ended")])
            if lane.ended is not None and not lane.ended.done():
                lane.ended.set_result(True)
        elif verdict.stop_requested and not lane.stop_seen:
            lane.stop_seen = True
            lane.on_stop()

    def _fence(self, lane: Lane) -> None:
        """Take the right to write away: somebody else has it, or is to have it when the lease has run out."""
        self._lanes.discard(lane)
        if lane.ended is not None and not lane.ended.done():
            lane.ended.set_result(False)
        lane.on_fenced()
