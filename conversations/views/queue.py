"""Messages that wait, and drafts: what has been typed and not been sent."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import Any

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from conversations import turns
from conversations.forms import DraftForm, first_error
from conversations.models import Attachment, Conversation, QueuedMessage
from conversations.reading import library, windows
from conversations.reading.transcript import MessageView
from conversations.reading.waiting import queue
from conversations.turns import AlreadySent, CannotSee, Gone, TurnRefused
from conversations.views.base import (
    UNPROCESSABLE,
    Request,
    conversation_page,
    owned_conversation,
    patch_context,
    refused_by,
    runs_elsewhere,
    shown,
    shows_last,
    shows_part,
    thread_changed,
    why,
)
from conversations.views.composing import Typed, chip
from conversations.views.limits import needs_room

NO_CONTENT = 204


@require_POST
def send_due(request: Request, conversation_id: uuid.UUID) -> HttpResponse:
    """Send what is due, unless that has happened already, and bring a page up to date that shows what it has `seen`.

    A page that shows another branch by now keeps it: its reader did not ask for anything.
    """
    conversation = owned_conversation(request, conversation_id)
    if conversation.queued_messages.due().exists():
        try:
            turns.send_due(conversation)
        except CannotSee:
            pass  # it is held now, and the queue says why
        except TurnRefused as refusal:
            return refused_by(request, conversation, refusal)
    if not request.htmx:
        return redirect("conversations:conversation", conversation.pk)
    fresh = owned_conversation(request, conversation.pk)
    seen, waiting = request.POST.get("seen", ""), queue(fresh)
    if seen == waiting.seen:
        return HttpResponse(status=NO_CONTENT)
    thread = windows.latest(fresh).views
    rest = None if shows_part(request) else _after(thread, seen)
    if not rest and seen.partition(" ")[2] == waiting.seen.partition(" ")[2]:
        return HttpResponse(status=NO_CONTENT)
    return _tail(request, fresh, thread if rest is not None else [], rest or [])


@require_POST
@needs_room
def send_now(request: Request, conversation_id: uuid.UUID, queued_id: uuid.UUID) -> HttpResponse:
    """Send a message that waits, although the answer before it was not completed."""
    return _act(request, conversation_id, queued_id, turns.send_queued, _sent)


@require_POST
def edit(request: Request, conversation_id: uuid.UUID, queued_id: uuid.UUID) -> HttpResponse:
    """Take a message that waits back into the composer, with its files."""
    waiting = Attachment.objects.filter(queued_message=queued_id, queued_message__conversation=conversation_id)
    files = list(waiting.filter(owner=request.user).defer("text"))

    def taken_back(request: Request, conversation: Conversation) -> HttpResponse:
        if files and not request.htmx:
            return conversation_page(request, conversation, typed=Typed(attachments=files))
        return queue_changed(request, conversation, files)

    return _act(request, conversation_id, queued_id, turns.edit_queued, taken_back)


@require_POST
def remove(request: Request, conversation_id: uuid.UUID, queued_id: uuid.UUID) -> HttpResponse:
    """Take a message out of the queue."""
    return _act(request, conversation_id, queued_id, turns.remove_queued, queue_changed)


@require_POST
def draft(request: Request, conversation_id: uuid.UUID | None = None) -> HttpResponse:
    """Keep what has been typed, except for a temporary conversation that has not begun: it leaves nothing behind."""
    if conversation_id is None and "temporary" in request.GET:
        return HttpResponse(status=NO_CONTENT)
    conversation = owned_conversation(request, conversation_id) if conversation_id is not None else None
    form = DraftForm(request.POST)
    if not form.is_valid():
        return HttpResponse(first_error(form), status=UNPROCESSABLE, content_type="text/plain; charset=utf-8")
    try:
        turns.keep_draft(request.user, conversation, **form.cleaned_data)
    except Gone as gone:
        why(gone)
    return HttpResponse(status=NO_CONTENT)


def queue_changed(
    request: Request,
    conversation: Conversation,
    files: Sequence[Attachment] = (),
    request_key: uuid.UUID | None = None,
) -> HttpResponse:
    """Answer an action that changed the queue alone; `files` come back into the composer.

    `request_key` is for the composer, when its own was used.

    A page that does not show the end of the thread gets what it lacks: what is sent later is added to its end.
    """
    if not request.htmx:
        return redirect("conversations:conversation", conversation.pk)
    context = {
        "conversation": conversation,
        "queue": queue(conversation),
        "files": [chip(row) for row in files],
        "draft": turns.draft_of(request.user, conversation),
        "request_key": request_key,
    }
    leaf = conversation.active_leaf_id
    if leaf is not None and not shows_part(request) and not shows_last(request, leaf):
        fresh, known = owned_conversation(request, conversation.pk), shown(request)
        context |= patch_context(fresh, windows.patch(fresh, known), known)
    return render(request, "conversations/_queued.html", context)


def _act(
    request: Request,
    conversation_id: uuid.UUID,
    queued_id: uuid.UUID,
    action: Callable[[QueuedMessage], Any],
    answer: Callable[[Request, Conversation], HttpResponse],
) -> HttpResponse:
    conversation = owned_conversation(request, conversation_id)
    queued = conversation.queued_messages.select_related("conversation").filter(pk=queued_id).first()
    try:
        if queued is None:
            raise AlreadySent
        action(queued)
    except TurnRefused as refusal:
        return refused_by(request, conversation, refusal)
    return answer(request, conversation)


def _sent(request: Request, conversation: Conversation) -> HttpResponse:
    """Answer with what the page lacks of the thread, or, when it shows another branch, with all of it."""
    fresh = owned_conversation(request, conversation.pk)
    thread = windows.latest(fresh).views
    rest = None if shows_part(request) else _after(thread, request.POST.get("seen", ""))
    return thread_changed(request, fresh) if rest is None or not request.htmx else _tail(request, fresh, thread, rest)


def _after(thread: list[MessageView], seen: str) -> list[MessageView] | None:
    """Return what follows the last message that was seen; None when that is not in this thread."""
    last = seen.partition(" ")[0]
    return next((thread[number:] for number, view in enumerate(thread, start=1) if str(view.id) == last), None)


def _tail(
    request: Request, conversation: Conversation, shown: list[MessageView], rest: list[MessageView]
) -> HttpResponse:
    context = {
        "conversation": conversation,
        "conversations": library.sidebar(request.user, conversation),
        "thread": rest,
        "queue": queue(conversation),
        "running_elsewhere": runs_elsewhere(conversation, shown),
    }
    return render(request, "conversations/_tail.html", context)
