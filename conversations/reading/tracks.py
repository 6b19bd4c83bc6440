"""The course of one answer, to be looked at again: what stood there at each moment, and what happened meanwhile.

Moments are milliseconds since the answer was asked for; its timeline counts from when it was begun, `queued_ms` later.
The HTML of a moment is that of the same renderer from the same text, so it is what a viewer had then.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from itertools import accumulate, pairwise
from typing import NamedTuple

from django.conf import settings
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext

from chatapp.accounts.models import User
from conversations.journal import StoredDelta, fold
from conversations.live.state import RenderedState
from conversations.measuring.pacing import pace_of
from conversations.models import AuditEntry, Delivery, Generation, Parts
from conversations.rendering.markdown import render

STALL_MS = 2_000
LATEST_MS = 10_000  # behind the end of an answer, deliveries are shown for so long
_CLOSING = r"(?:</[a-z0-9]+>\s*)"


class Event(NamedTuple):
    """Something that happened: `ms` since the answer was asked for, `characters` of it that were there."""

    ms: int
    characters: int
    label: str
    kind: str = "other"  # a class in the stylesheet: its colour

    @property
    def time(self) -> str:
        """When it was, as the page shows it."""
        return seconds(self.ms)


@dataclass(frozen=True, slots=True)
class Span:
    """What one viewer was sent, from when until when."""

    from_ms: int
    to_ms: int
    label: str


@dataclass(frozen=True, slots=True)
class Frame:
    """What stood there at a moment. `unsent` is text that no stream has ever sent; all of it, if `unseen`."""

    ms: int
    characters: int
    html: SafeString
    reasoning_html: SafeString
    reasoning_label: str
    unsent: str
    unseen: bool


class Track:
    """One generation's course. Blocks on the database when it is made and when it is first asked for `events`."""

    def __init__(self, generation: Generation) -> None:
        self.generation = generation
        self.began_at = generation.started_at or generation.created_at
        self.queued_ms = _ms(self.began_at - generation.created_at)
        self.parts, timeline = _written(generation)
        self._times = [ms + self.queued_ms for ms, _ in timeline]
        self._totals = list(accumulate(count for _, count in timeline))
        self.deliveries = list(generation.deliveries.select_related("viewer"))
        ended = [self.ms_of(generation.ended_at)] if generation.ended_at else []
        self.written_ms = max([0, *self._times[-1:], *ended])
        latest = [self.ms_of(row.ended_at) for row in self.deliveries]
        self.length_ms = max(self.written_ms, min(self.written_ms + LATEST_MS, max(latest, default=0)), 1)

    def ms_of(self, moment: datetime) -> int:
        """Return when something was; what was before the question was at 0."""
        return _ms(moment - self.generation.created_at)

    def characters_at(self, ms: int) -> int:
        """How much had been written."""
        passed = bisect_right(self._times, ms)
        return self._totals[passed - 1] if passed else 0

    @property
    def total(self) -> int:
        """How many characters there are in all."""
        return self._totals[-1] if self._totals else 0

    @property
    def steps(self) -> list[tuple[int, int]]:
        """When how much had been written, for each commit of the journal."""
        return list(zip(self._times, self._totals, strict=True))

    @property
    def sent(self) -> int | None:
        """How many characters some stream has sent to its owner; None when there is no record of any."""
        rows = (row for row in self.deliveries if row.viewer_kind != Delivery.Viewer.STAFF)
        return max((row.to_character for row in rows), default=None)

    @cached_property
    def events(self) -> list[Event]:
        """All that happened, in order."""
        found = (event for source in SOURCES for event in source(self))
        return sorted((event._replace(ms=min(event.ms, self.length_ms)) for event in found), key=lambda event: event.ms)

    @property
    def spans(self) -> list[Span]:
        """What was sent to whom."""
        end = self.length_ms
        return [
            Span(min(self.ms_of(row.started_at), end), min(self.ms_of(row.ended_at), end), _said(row))
            for row in self.deliveries
        ]

    @property
    def pauses(self) -> list[tuple[int, int]]:
        """From when until when nothing came, the wait for the first words included, if it was long."""
        times = pairwise([0, *self._times])
        return [(before, after) for before, after in times if after - before > STALL_MS]

    def frame(self, ms: int) -> Frame:
        """Return what stood there at a moment. Renders: takes as long as a page with the answer."""
        ms = max(0, min(ms, self.length_ms))
        characters = self.characters_at(ms)
        sent = self.sent
        shown = characters if sent is None else min(characters, sent)
        state = self._state(shown, ms)
        renderer = state.renderer
        ended = not self.generation.is_active and ms >= self.written_ms and shown == self.total
        return Frame(
            ms=ms,
            characters=characters,
            html=mark_safe(_ended(state) if ended else self._growing(state, ms)),  # noqa: S308 - sanitised by the renderer
            reasoning_html=mark_safe(renderer.reasoning_html()),  # noqa: S308 - as above
            reasoning_label=renderer.reasoning_label if renderer.has_reasoning else "",
            unsent="".join(part["text"] for part in self.parts)[shown:characters],
            unseen=sent is None and characters > 0,
        )

    def _state(self, characters: int, ms: int) -> RenderedState:
        message_id = self.generation.message_id
        earlier = Generation.objects.filter(message=message_id, pk__lt=self.generation.pk).order_by("pk")
        state = RenderedState(message_id, list(earlier.values_list("output", flat=True)))
        for seq, part in enumerate(self.parts):
            text = part["text"][:characters]
            characters -= len(text)
            if text:
                at_ms = min(part["to_ms"], max(0, ms - self.queued_ms))
                state.feed(StoredDelta(seq, part["kind"], text, at_ms))
        return state

    def _growing(self, state: RenderedState, ms: int) -> str:
        """Return an unfinished text as the stream showed it: what is held only after a pause."""
        html = state.renderer.body_html()
        last = self._times[bisect_right(self._times, ms) - 1] if self._times else 0
        if not state.renderer.held or ms - last < pace_of(self.generation.arm).stall_seconds * 1000:
            return html
        tail = state.renderer.tail()
        ends = re.search(f"{_CLOSING}{{{tail.path.count('>')}}}$", html)
        inside = ends.start() if ends else len(html)
        return html[:inside] + tail.html + html[inside:] if tail.part == "body" else html


def _ended(state: RenderedState) -> str:
    state.renderer.finish()
    text = "".join(state.renderer.text)
    return render(text, id_prefix=state.renderer.prefix, image_hosts=settings.IMAGE_HOSTS)


def _written(generation: Generation) -> tuple[Parts, list[tuple[int, int]]]:
    """Return what has been written, and when: of a generation that runs, what is durable of it."""
    if not generation.is_active:
        return generation.output, [(int(ms), int(count)) for ms, count in generation.timeline] or _untimed(generation)
    rows = list(generation.deltas.order_by("seq").values_list("kind", "text", "at_ms"))
    return fold(rows), [(at_ms, len(text)) for _, text, at_ms in rows]


def _untimed(generation: Generation) -> list[tuple[int, int]]:
    """Return a timeline for what has none, such as an imported answer: each part at once."""
    return [(part.get("to_ms", 0), len(part["text"])) for part in generation.output]


def _waits(track: Track) -> Iterable[Event]:
    if track.steps:
        first, _ = track.steps[0]
        yield Event(first, 0, gettext("First words, after %(seconds)s") % {"seconds": seconds(first)}, "wait")
    for (before, total), (after, _) in pairwise(track.steps):
        if after - before > STALL_MS:
            yield Event(before, total, gettext("Pause of %(seconds)s") % {"seconds": seconds(after - before)}, "stall")


def _deliveries(track: Track) -> Iterable[Event]:
    for row in track.deliveries:
        who = str(row.viewer or row.get_viewer_kind_display())
        began, ended = track.ms_of(row.started_at), track.ms_of(row.ended_at)
        if began <= track.length_ms:
            yield Event(began, row.from_character, gettext("%(who)s connected") % {"who": who}, "delivery")
        if ended <= track.length_ms:
            yield Event(ended, row.to_character, f"{who}: {row.get_end_display()}", "delivery")


def _noted(track: Track) -> Iterable[Event]:
    """Stops and takeovers, as the audit trail has them."""
    rows = AuditEntry.objects.filter(generation_id=track.generation.pk).order_by("pk")
    noted = list(rows.filter(action__in=("generation.stop", "generation.takeover")))
    actors = User.objects.in_bulk({row.actor_id for row in noted if row.actor_id})
    for row in noted:
        ms = track.ms_of(row.at)
        if row.action == "generation.stop":
            who = str(actors.get(row.actor_id or 0) or gettext("somebody"))
            yield Event(ms, track.characters_at(ms), gettext("Stop, by %(who)s") % {"who": who}, "stop")
        else:
            label = gettext("Taken over by another process (epoch %(epoch)s)") % {"epoch": row.data.get("epoch")}
            yield Event(ms, track.characters_at(ms), label, "takeover")


def _edges(track: Track) -> Iterable[Event]:
    generation = track.generation
    yield Event(0, 0, gettext("Asked"), "edge")
    if generation.started_at:
        yield Event(track.queued_ms, 0, gettext("Begun"), "edge")
    if generation.ended_at:
        why = generation.error_code or generation.finish_reason
        label = f"{generation.get_status_display()} ({why})" if why else generation.get_status_display()
        yield Event(track.written_ms, track.total, label, "edge")


Source = Callable[[Track], Iterable[Event]]
# What makes marks on a track: each looks at the generation of the track and tells what it knows.
SOURCES: tuple[Source, ...] = (_edges, _waits, _deliveries, _noted)


def seconds(ms: int) -> str:
    """Write a time as the page shows it."""
    return f"{ms / 1000:.1f} s"


def _said(row: Delivery) -> str:
    amount = {"from": row.from_character, "to": row.to_character, "count": row.connections}
    said = gettext("characters %(from)d to %(to)d, in %(count)d connections") % amount
    return f"{row.viewer or row.get_viewer_kind_display()}: {said}, {row.get_end_display()}"


def _ms(duration: timedelta) -> int:
    return max(0, round(duration.total_seconds() * 1000))
