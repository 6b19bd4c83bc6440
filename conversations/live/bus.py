"""Hints between those who write generations and those who show them.

A hint may be lost, doubled or late: whoever listens also looks into the database from time to time. The truth is never
here.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterable

from django.conf import settings

from conversations.journal import Hint

logger = logging.getLogger(__name__)

Listener = Callable[[Hint], None]


class Bus(ABC):
    """Carries hints to the listeners of this process; subclasses also carry them between processes."""

    def __init__(self) -> None:
        self._listeners: defaultdict[uuid.UUID, list[Listener]] = defaultdict(list)

    @abstractmethod
    def publish(self, hints: Iterable[Hint]) -> None:
        """Send hints, from the thread of the event loop."""

    def listen(self, generation_id: uuid.UUID, listener: Listener) -> None:
        """Call `listener` in the event loop for each hint about this generation."""
        self._listeners[generation_id].append(listener)

    def leave(self, generation_id: uuid.UUID, listener: Listener) -> None:
        """Undo `listen`."""
        listeners = self._listeners.get(generation_id, [])
        if listener in listeners:
            listeners.remove(listener)
        if not listeners:
            self._listeners.pop(generation_id, None)

    @property
    def connected(self) -> bool:
        """Whether hints reach other processes, and theirs this one."""
        return True

    @property
    def unsent(self) -> int:
        """How many hints wait to be sent."""
        return 0

    async def close(self) -> None:  # noqa: B027 - most have none
        """End connections; they come back when they are needed."""

    def deliver(self, hint: Hint) -> None:
        """Hand a hint to those of this process who listen."""
        for listener in tuple(self._listeners.get(hint.generation_id, ())):
            try:
                listener(hint)
            except Exception:  # one who cannot hear is not to make all others deaf
                logger.exception("A listener could not take a hint about %s", hint.generation_id)


class InProcessBus(Bus):
    """The embedded mode: whoever writes and whoever watches share one event loop."""

    def publish(self, hints: Iterable[Hint]) -> None:
        for hint in hints:
            self.deliver(hint)


def open_bus(url: str) -> Bus:
    """Return the bus at `url`; empty: the one within this process."""
    if not url:
        return InProcessBus()
    from conversations.live.redis_bus import RedisBus  # noqa: PLC0415 - it builds on this module

    return RedisBus(url)


bus: Bus = open_bus(settings.BUS_URL)


def publish_from_thread(loop: asyncio.AbstractEventLoop, hints: Iterable[Hint]) -> None:
    """Send hints from a thread that has no event loop, such as a view's."""
    loop.call_soon_threadsafe(bus.publish, tuple(hints))
