"""The clocks of one answer: first token, idle and total. The connect clock belongs to the HTTP client."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar, cast

from conversations.providers.base import Deadlines, ProviderError
from conversations.providers.errors import failure

T = TypeVar("T")


class Clock:
    """Started with the call of `stream()`; `waiting` wraps everything that is waited for, `progress` marks a delta.

    Only deltas move it: bytes that bring no text (comments, role changes, junk) leave every clock running.

    There is one timer for all that is waited for. A deadline that moves on leaves it as it is: when it rings too early,
    or while nothing is waited for, it is set anew. (A timer for each wait is a
    good part of what reading a delta costs.)
    """

    def __init__(self, deadlines: Deadlines) -> None:
        self._now = asyncio.get_running_loop().time
        self._deadlines = deadlines
        self.started_at = self._now()
        self._total_at = self.started_at + deadlines.total_seconds
        self._next_at = self.started_at + deadlines.first_token_seconds
        self.began = False
        self._alarm: asyncio.TimerHandle | None = None
        self._waiter: asyncio.Task[Any] | None = None
        self._rang = False

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
        task = self._waiter = cast("asyncio.Task[Any]", asyncio.current_task())
        cancelling, self._rang = task.cancelling(), False
        self._set_alarm()
        try:
            return await awaitable
        except asyncio.CancelledError:
            if self._rang and task.uncancel() <= cancelling:
                raise self._error() from None
            raise
        finally:
            self._waiter = None

    def _set_alarm(self) -> None:
        """Ring at the next deadline, or before it."""
        at = min(self._next_at, self._total_at)
        if self._alarm is None or at < self._alarm.when():
            if self._alarm is not None:
                self._alarm.cancel()
            self._alarm = asyncio.get_running_loop().call_at(at, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        if self._waiter is None:
            return
        if self.remaining_seconds() > 0:
            self._set_alarm()
        else:
            self._rang = True
            self._waiter.cancel()

    async def sleep(self, seconds: float) -> None:
        """Like asyncio.sleep; raises ProviderError at the moment a deadline passes."""
        await self.waiting(asyncio.sleep(seconds))

    def _error(self) -> ProviderError:
        if self._total_at <= self._next_at:
            code = "total_timeout"
        else:
            code = "idle_timeout" if self.began else "first_token_timeout"
        return failure(code, interrupted=self.began)
