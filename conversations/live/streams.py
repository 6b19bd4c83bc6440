"""The open streams of this process: who watches, how many each may watch, and the end of those who may no more.

A stream is checked when it begins. Afterwards its session may end: signed out in another tab, password changed, account
closed; or the time may, for which a reviewer may read what they watch. A hint on the bus makes every process look at
once; without one each looks every `POLL_SECONDS`. Processes that share a bus tell each other through the database how
many streams they have, and of whom.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import os
import socket
import uuid
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from django.conf import settings
from django.db import Error

from conversations.journal import SESSIONS, Hint
from conversations.limits import note_streams
from conversations.live.bus import bus
from conversations.threads import reader

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.2  # the least time between two looks, however many sessions end

PROCESS = f"{socket.gethostname()[:60]}:{os.getpid()}:{uuid.uuid4().hex[:8]}"

Stream = asyncio.Future[None]


@dataclass(frozen=True, slots=True)
class Watcher:
    """The session by which somebody watches; `proof` changes with the password, `network` is where they come from.

    `opened` is the conversation of somebody else, which they may read for a while only.
    """

    user_id: int
    session_key: str
    proof: str
    network: str = ""
    opened: uuid.UUID | None = None

    @property
    def subjects(self) -> tuple[str, ...]:
        """As whom they count: themselves, and those who come from where they come from."""
        return (f"user:{self.user_id}", *([f"address:{self.network}"] if self.network else ()))


Check = Callable[[Iterable[Watcher]], set[Watcher]]

_streams: dict[Stream, Watcher | None] = {}
_revoked: weakref.WeakSet[Stream] = weakref.WeakSet()
_looking: asyncio.Task[None] | None = None
_telling: asyncio.Task[None] | None = None
_changed = asyncio.Event()  # the number of streams, since it was told
_ending = False


def opened(stream: Stream) -> None:
    """Note a stream; it is cancelled at once when the process is about to end."""
    _streams[stream] = None
    stream.add_done_callback(_closed)
    if _ending:
        stream.cancel()


def enter(
    stream: Stream, watcher: Watcher, *, most: Mapping[str, int], elsewhere: Mapping[str, int], check: Check
) -> bool:
    """Let somebody watch, unless they or their network already watch as many streams as they may.

    `most` and `elsewhere` say for their subjects how many they may watch, and how many they do at other processes.
    `check` returns those of some watchers whose session, or whose leave, has ended; it blocks on the database.
    """
    here = _counts()
    if any(here[subject] + elsewhere.get(subject, 0) >= limit for subject, limit in most.items()):
        return False
    _streams[stream] = watcher
    _look_for_ends(check)
    if settings.BUS_URL:
        _tell_others()
    return True


def _closed(stream: Stream) -> None:
    if _streams.pop(stream, None) is not None:
        _changed.set()


def _counts() -> Counter[str]:
    return Counter(subject for watcher in _streams.values() if watcher is not None for subject in watcher.subjects)


def watching() -> int:
    """Return how many streams are open in this process."""
    return len(_streams)


def is_revoked(stream: Stream) -> bool:
    """Whether a stream was cancelled because its session has ended."""
    return stream in _revoked


def end_streams() -> None:
    """Cancel all streams, and every one that still begins: their clients resume at another process."""
    global _ending  # noqa: PLW0603 - the process ends once
    _ending = True
    for stream in tuple(_streams):
        stream.cancel()


def _look_for_ends(check: Check) -> None:
    global _looking  # noqa: PLW0603 - one task a process, or none
    loop = asyncio.get_running_loop()
    if _looking is None or _looking.done() or _looking.get_loop() is not loop:
        _looking = loop.create_task(_look(check), context=contextvars.Context())


def _tell_others() -> None:
    global _telling, _changed  # noqa: PLW0603 - one task a process, or none
    loop = asyncio.get_running_loop()
    if _telling is None or _telling.done() or _telling.get_loop() is not loop:
        _changed = asyncio.Event()
        _telling = loop.create_task(_tell(), context=contextvars.Context())
    _changed.set()


async def _tell() -> None:
    """Say how many streams there are, soon after that has changed, and else so often that it counts as said."""
    told: Counter[str] | None = None
    while (counts := _counts()) or told:
        _changed.clear()
        try:
            await reader.call(note_streams, PROCESS, counts)
            told = counts
        except Error as error:
            logger.warning("How many streams are open could not be told: %s", error)
        await asyncio.sleep(LOOK_SECONDS)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(_changed.wait(), settings.POLL_SECONDS)


async def _look(check: Check) -> None:
    """Look now and then, and whenever the bus says so, as long as somebody watches."""
    hinted = asyncio.Event()

    def hear(_hint: Hint) -> None:
        hinted.set()

    bus.listen(SESSIONS, hear)
    try:
        while watchers := {watcher for watcher in _streams.values() if watcher is not None}:
            try:
                _revoke(await reader.call(check, watchers))
            except Error as error:
                logger.warning("Whether sessions have ended cannot be seen: %s", error)
            await asyncio.sleep(LOOK_SECONDS)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(hinted.wait(), settings.POLL_SECONDS)
            hinted.clear()
    finally:
        bus.leave(SESSIONS, hear)


def _revoke(ended: set[Watcher]) -> None:
    for stream in [stream for stream, watcher in _streams.items() if watcher in ended]:
        _revoked.add(stream)
        stream.cancel()
