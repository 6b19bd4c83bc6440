"""Hints between those who write generations and those who show them.

A hint may be lost, doubled or late: whoever listens also looks into the database from time to time. The truth is never
here.
"""

from __future__ import annotations

import asyncio
import uuid
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterable

from conversations.journal import Hint

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
        listeners = self._listeners[generation_id]
        listeners.remove(listener)
        if not listeners:
            del self._listeners[generation_id]

    def deliver(self, hint: Hint) -> None:
        """Hand a hint to those of this process who listen."""
        for listener in tuple(self._listeners.get(hint.generation_id, ())):
            listener(hint)


class InProcessBus(Bus):
    """The embedded mode: whoever writes and whoever watches share one event loop."""

    def publish(self, hints: Iterable[Hint]) -> None:
        for hint in hints:
            self.deliver(hint)


bus: Bus = InProcessBus()


def publish_from_thread(loop: asyncio.AbstractEventLoop, hints: Iterable[Hint]) -> None:
    """Send hints from a thread that has no event loop, such as a view's."""
    loop.call_soon_threadsafe(bus.publish, tuple(hints))
