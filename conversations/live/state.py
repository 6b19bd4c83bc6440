"""The rendered state of a generation as the database has it: for a page, or as the start of a live document."""

from __future__ import annotations

import uuid

from conversations.journal import Progress, StoredDelta, replay
from conversations.live.message import MessageRenderer
from conversations.live.sse import Position
from conversations.models import Generation, Parts


def dom_id(message_id: uuid.UUID) -> str:
    """Return the id of a message's element; the ids within it begin with it."""
    return f"m{message_id.hex[-16:]}"


class RenderedState:
    """A message up to what is known of its latest generation. Text only grows, so feeding it is all there is."""

    def __init__(self, message_id: uuid.UUID, earlier: list[Parts]) -> None:
        self.renderer = MessageRenderer(dom_id(message_id))
        for parts in earlier:
            self._feed_parts(parts)
            self.renderer.begin_generation()
        self._base = self.renderer.characters
        self.next_seq = 0
        self.ended = False

    @property
    def position(self) -> Position:
        """Where a viewer is that has seen everything."""
        return Position(len(self.renderer.operations), self.renderer.characters)

    def feed(self, delta: StoredDelta) -> None:
        """Take the next delta."""
        self.next_seq = delta.seq + 1
        self.renderer.feed(delta.kind, delta.text, delta.at_ms)

    def apply(self, progress: Progress) -> None:
        """Take what was read from the database, leaving out what is known."""
        for delta in progress.deltas:
            if delta.seq >= self.next_seq:
                self.feed(delta)
        if progress.ended and not self.ended:
            self._feed_parts(progress.output, known=self.renderer.characters - self._base)
            self.renderer.finish()
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
    generation = Generation.objects.filter(pk=generation_id).only("message_id").first()
    progress = replay(generation_id)
    if generation is None or progress is None:
        return None
    earlier = Generation.objects.filter(message=generation.message_id, pk__lt=generation_id).order_by("pk")
    state = RenderedState(generation.message_id, list(earlier.values_list("output", flat=True)))
    state.apply(progress)
    return state
