"""Text on its way past moderation services, in pieces about as long as a sentence.

While a service is asked about one piece, what comes meanwhile waits to be the next one; who writes waits when too much
does. Each piece is judged with the end of the one before it. After a pause also half a sentence is judged.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from conversations.providers.base import ProviderError
from conversations.providers.moderation import Verdict, moderate
from conversations.safety.filtering import ServiceRule

logger = logging.getLogger(__name__)

SHORTEST, LONGEST = 60, 400  # characters of a piece: when its sentence ends, and (about) at the latest
MOST_WAITING = 4_000  # characters
PAUSE_SECONDS = 1.0
BEFORE = 200  # characters that a piece is judged with
MOST_AT_ONCE = 10_000  # characters in one request
_ENDS = (".", "!", "?", "\n", ":", ";", "\u3002", "\uff01", "\uff1f")  # the last three end Chinese sentences


@dataclass(frozen=True, slots=True)
class Waiting:
    """A piece of an answer that no service has seen yet."""

    kind: str
    text: str
    redactions: tuple[tuple[int, str], ...] = ()


class Gate:
    """Asks `services` about what it is given; calls `release` with each piece that passes.

    `flagged` is called with each service that flags a piece, and why; from then on nothing passes any more. Without
    `release` nothing waits to pass, and all is looked at to the end.
    """

    def __init__(
        self,
        services: Sequence[ServiceRule],
        release: Callable[[Waiting], None] | None,
        flagged: Callable[[ServiceRule, str], None],
    ) -> None:
        self._services = services
        self._release = release
        self._flagged = flagged
        self._waiting: list[Waiting] = []
        self._length = 0
        self._before = ""
        self._shut = self._ended = False
        self._changed, self._room = asyncio.Event(), asyncio.Event()
        self._work = asyncio.get_running_loop().create_task(self._run(), context=contextvars.Context())
        self._work.add_done_callback(lambda _: self._room.set())

    def offer(self, piece: Waiting) -> None:
        """Take a piece, however many wait."""
        self._waiting.append(piece)
        self._length += len(piece.text)
        self._changed.set()

    async def put(self, piece: Waiting) -> None:
        """Take a piece; wait while too many do."""
        self.offer(piece)
        while self._length >= MOST_WAITING and not self._work.done():
            self._room.clear()
            await self._room.wait()

    async def drain(self) -> None:
        """Judge what is left, and end."""
        self._ended = True
        self._changed.set()
        await self._work

    def abandon(self) -> None:
        """End at once; what waits is let go of."""
        self._work.cancel()

    async def _run(self) -> None:
        while pieces := await self._next():
            if not self._shut:
                await self._judge(pieces)

    async def _next(self) -> list[Waiting]:
        """Return what waits, as soon as that is a piece or comes no further; nothing at the end."""
        while not (self._ended or self._is_piece()):
            self._changed.clear()
            try:
                async with asyncio.timeout(PAUSE_SECONDS if self._waiting else None):
                    await self._changed.wait()
            except TimeoutError:
                break
        return self._taken()

    def _taken(self) -> list[Waiting]:
        """Take a piece out of what waits; where more does than one may hold, as much as it may."""
        count = length = 0
        while count < len(self._waiting) and length < LONGEST:
            length += len(self._waiting[count].text)
            count += 1
        pieces, self._waiting = self._waiting[:count], self._waiting[count:]
        self._length -= length
        self._room.set()
        return pieces

    def _is_piece(self) -> bool:
        if self._length >= LONGEST:
            return True
        return self._length >= SHORTEST and self._waiting[-1].text.rstrip(" *_`\"')").endswith(_ENDS)

    async def _judge(self, pieces: list[Waiting]) -> None:
        text = "".join(piece.text for piece in pieces)
        found = await judge(self._services, self._before + text)
        self._before = (self._before + text)[-BEFORE:]
        for rule, why in found:
            self._shut = self._release is not None
            self._flagged(rule, why)
        if self._release is not None and not self._shut:
            for piece in pieces:
                self._release(piece)


async def judge(services: Sequence[ServiceRule], text: str) -> list[tuple[ServiceRule, str]]:
    """Ask services about a text, all at once; return those that flag it, with the reason in their words or ours."""
    parts = [text[start : start + MOST_AT_ONCE] for start in range(0, len(text), MOST_AT_ONCE)]
    found = await asyncio.gather(*(_ask(rule, part) for rule in services for part in parts if part.strip()))
    return list({rule.pk: (rule, why) for rule, why in found if why}.values())


async def _ask(rule: ServiceRule, text: str) -> tuple[ServiceRule, str]:
    try:
        verdict = await moderate(rule.endpoint, text, seconds=rule.seconds, categories=rule.categories)
    except ProviderError as error:
        logger.warning("The moderation service of rule %s does not answer: %s %s", rule.pk, error.code, error.detail)
        closed = rule.action == "block" and rule.on_failure == "closed"
        return rule, "not checked" if closed else ""
    return rule, _reason(verdict)


def _reason(verdict: Verdict) -> str:
    return ", ".join(verdict.categories) or "flagged" if verdict.flagged else ""
