"""The clocks of one answer: first token, idle and total. The connect clock belongs to the HTTP client."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from conversations.providers.base import Deadlines, ProviderError
from conversations.providers.errors import failure

T = TypeVar("T")


class Clock:
    """Started with the call of `stream()`; `waiting` wraps everything that is waited for, `progress` marks a delta.

    Only deltas move it: bytes that bring no text (comments, role changes, junk) leave every clock running.
    """

    def __init__(self, deadlines: Deadlines) -> None:
        self._now = asyncio.get_running_loop().time
        self._deadlines = deadlines
        self.started_at = self._now()
        self._total_at = self.started_at + deadlines.total_seconds
        self._next_at = self.started_at + deadlines.first_token_seconds
        self.began = False

    def progress(self) -> None:
        """A delta has arrived and the caller has taken it."""
        self.began = True
        self._next_at = self._now() + self._deadlines.idle_seconds

    def linger(self, seconds: float) -> None:
        """The answer is complete; wait at most `seconds` for what may still follow it."""
        self._next_at = min(self._next_at, self._now() + seconds)

    def elapsed_seconds(self) -> float:
        return self._now() - self.started_at

    def remaining_seconds(self) -> float:
        """Until the next deadline; negative when it has passed."""
        return min(self._next_at, self._total_at) - self._now()

    async def waiting(self, awaitable: Awaitable[T]) -> T:
        """The result of `awaitable`; raises ProviderError when a deadline passes first (and cancels it)."""
        try:
            async with asyncio.timeout_at(min(self._next_at, self._total_at)) as timeout:
                return await awaitable
        except TimeoutError:
            if timeout.expired():
                raise self._error() from None
            raise

    async def sleep(self, seconds: float) -> None:
        """Like asyncio.sleep; raises ProviderError at the moment a deadline passes."""
        await self.waiting(asyncio.sleep(seconds))

    def _error(self) -> ProviderError:
        if self._total_at <= self._next_at:
            code = "total_timeout"
        else:
            code = "idle_timeout" if self.began else "first_token_timeout"
        return failure(code, interrupted=self.began)
