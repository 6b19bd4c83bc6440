"""The time machine: an answer as it stood at any moment, and what happened meanwhile.

Without a script it is a page with links from event to event; `static/js/replay.js` plays it, asking for frames.
"""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import URLPattern, path
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache

from conversations import audit
from conversations.admin.base import reading_context, user_of
from conversations.admin.forms import ReasonForm
from conversations.models import Generation
from conversations.reading.tracks import Event, Track, seconds

SPEEDS = ("0.5", "1", "2", "4", "8", "16")
WIDTH = 1_000  # of the drawing of a track, in its own units
HEIGHT = 48
POINTS = 200


def url(model_admin: admin.ModelAdmin[Generation]) -> URLPattern:
    """Return the address of the replays, for the admin of generations."""

    def view(request: HttpRequest, generation_id: uuid.UUID) -> HttpResponse:
        there = Generation.objects.filter(message__conversation__deleted_at=None)
        rows = there.select_related("message__conversation__owner", "model")
        generation = get_object_or_404(rows, pk=generation_id)
        if not model_admin.has_view_permission(request, generation):
            raise PermissionDenied
        return _replay(request, generation, model_admin)

    wrapped = model_admin.admin_site.admin_view(never_cache(view))
    return path("<uuid:generation_id>/replay/", wrapped, name="conversations_generation_replay")


def _replay(request: HttpRequest, generation: Generation, model_admin: admin.ModelAdmin[Generation]) -> HttpResponse:
    conversation = generation.message.conversation
    reading = reading_context(user_of(request), conversation.pk, ReasonForm())
    readable = reading["opening"] is not None
    track = Track(generation)
    at = _moment(request, track)
    frame = track.frame(at) if readable else None
    if "frame" in request.GET:
        if frame is None:
            raise PermissionDenied
        return render(request, "admin/conversations/generation/_frame.html", {"frame": frame})
    if readable:
        audit.record(user_of(request), "generation.replay", generation_id=generation.pk)
    context = {
        **model_admin.admin_site.each_context(request),
        **reading,
        "opts": Generation._meta,
        "title": gettext("Replay"),
        "generation": generation,
        "conversation": conversation if readable else None,
        "conversation_id": conversation.pk,
        "track": track,
        "at": at,
        "frame": frame,
        "time": seconds(at),
        "length": seconds(track.length_ms),
        "drawing": _drawing(track),
        "speeds": SPEEDS,
        **_neighbours(track.events, at),
    }
    return render(request, "admin/conversations/generation/replay.html", context)


def _moment(request: HttpRequest, track: Track) -> int:
    """Return the moment that is asked for; what is none is the beginning."""
    text = request.GET.get("at", "")[:12]
    return min(int(text), track.length_ms) if text.isascii() and text.isdecimal() else 0


def _neighbours(events: list[Event], at: int) -> dict[str, Any]:
    return {
        "previous": next((event for event in reversed(events) if event.ms < at), None),
        "following": next((event for event in events if event.ms > at), None),
    }


def _drawing(track: Track) -> dict[str, Any]:
    """Return the track as shapes: when it grew, pauses, what was sent to whom, events. Positions are attributes of
    SVG: the policy of our pages lets no element have a style of its own."""

    def x(ms: int) -> float:
        return round(WIDTH * ms / track.length_ms, 1)

    steps = track.steps[:: max(1, len(track.steps) // POINTS)] + track.steps[-1:]
    curve = [f"{x(ms)},{round(HEIGHT * (1 - characters / max(1, track.total)), 1)}" for ms, characters in steps]
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "curve": " ".join([f"0,{HEIGHT}", *curve]),
        "marks": [(x(event.ms), event.kind) for event in track.events],
        "spans": [(x(span.from_ms), max(2.0, x(span.to_ms) - x(span.from_ms)), span.label) for span in track.spans],
        "pauses": [(x(before), x(after) - x(before)) for before, after in track.pauses],
    }
