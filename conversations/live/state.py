"""The rendered state of a generation as the database has it: for a page, or as the start of a live document."""

from __future__ import annotations

import sys
import uuid
from bisect import bisect_right

from django.conf import settings

from conversations.journal import Progress, StoredDelta, replay
from conversations.live.message import MessageRenderer
from conversations.live.sse import Position
from conversations.models import Generation, Parts


def dom_id(message_id: uuid.UUID) -> str:
    """Return the id of a message's element; the ids within it begin with it."""
    return f"m{message_id.hex[-10:]}"


class RenderedState:
    """A message up to what is known of its latest generation. Text only grows, so feeding it is all there is."""

    def __init__(self, message_id: uuid.UUID, earlier: list[Parts], arm: str = "") -> None:
        self.arm = arm
        self.renderer = MessageRenderer(dom_id(message_id), settings.IMAGE_HOSTS)
        for parts in earlier:
            self._feed_parts(parts)
            self.renderer.begin_generation()
        self._base = self.renderer.characters
        self._marks: list[tuple[int, int]] = []  # (operations, characters that are final with them)
        self.next_seq = 0
        self.ended = False

    @property
    def position(self) -> Position:
        """Where a viewer is that has seen everything that is final."""
        return Position(len(self.renderer.operations))

    @property
    def characters(self) -> int:
        """How many characters of the generation have come."""
        return self.renderer.characters - self._base

    def characters_at(self, position: Position | None) -> int:
        """How many characters of the generation a viewer has that is at `position`, or a little less."""
        if position is None:
            return 0
        passed = bisect_right(self._marks, (position.operations, sys.maxsize))
        final = self._marks[passed - 1][1] if passed else 0
        return min(final + max(0, position.tail - 1), self.characters)

    def feed(self, delta: StoredDelta) -> None:
        """Take the next delta."""
        self.next_seq = delta.seq + 1
        self.renderer.feed(delta.kind, delta.text, delta.at_ms)
        self._mark()

    def _mark(self) -> None:
        mark = len(self.renderer.operations), max(0, self.characters - self.renderer.held)
        if mark[0] != (self._marks[-1][0] if self._marks else 0):
            self._marks.append(mark)

    def apply(self, progress: Progress) -> None:
        """Take what was read from the database, leaving out what is known."""
        for delta in progress.deltas:
            if delta.seq >= self.next_seq:
                self.feed(delta)
        if progress.ended and not self.ended:
            self._feed_parts(progress.output, known=self.renderer.characters - self._base)
            self.renderer.finish()
            self._mark()
            self.ended = True

    def _feed_parts(self, parts: Parts, known: int = 0) -> None:
        """Feed stored output beyond its first `known` characters."""
        for part in parts:
            rest = part["text"][known:]
            known = max(0, known - len(part["text"]))
            if rest:
                self.renderer.feed(part["kind"], rest, part["to_ms"])


def read_state(generation_id: uuid.UUID) -> RenderedState | None:
    """Read and render a generation; None when it is gone. Takes as long as rendering its text does: not for a loop."""
    generation = Generation.objects.filter(pk=generation_id).only("message_id", "arm").first()
    progress = replay(generation_id)
    if generation is None or progress is None:
        return None
    earlier = Generation.objects.filter(message=generation.message_id, pk__lt=generation_id).order_by("pk")
    state = RenderedState(generation.message_id, list(earlier.values_list("output", flat=True)), generation.arm)
    state.apply(progress)
    return state
