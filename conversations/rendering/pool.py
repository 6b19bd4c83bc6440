"""Things that only one thread at a time may use: bleach's cleaners and markdown-it's parsers keep state at work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

T = TypeVar("T")


class Pool(Generic[T]):
    """As many of them as threads work at once, made when they are needed and kept."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._idle: list[T] = []  # append and pop are atomic

    @contextmanager
    def one(self) -> Iterator[T]:
        """Have one to oneself."""
        try:
            thing = self._idle.pop()
        except IndexError:
            thing = self._make()
        yield thing
        self._idle.append(thing)  # one whose work failed is not used again
