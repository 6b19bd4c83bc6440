"""Pages and fragments for readers: a part of a long conversation, one message of it, what a page lacks.

None of them writes, but for the link to a message on another branch, which makes that branch the one that is shown.
"""

from __future__ import annotations

import uuid
from dataclasses import replace

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import get_language
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from conversations import turns
from conversations.live.sse import Position
from conversations.live.state import dom_id
from conversations.models import Conversation, Generation, Message
from conversations.models.paths import upward
from conversations.reading import windows
from conversations.reading.progress import catch_up
from conversations.reading.windows import Window
from conversations.turns import Gone
from conversations.views.base import (
    Request,
    conversation_page,
    owned_conversation,
    page_nonce,
    patch_context,
    shown,
)

NOTHING_NEW = 204


@require_GET
@never_cache
def conversation(request: Request, conversation_id: uuid.UUID) -> HttpResponse:
    """Show a conversation: its end, or what is before, after or around a message that the query names.

    To htmx, which adds to a page, it gives only the messages.
    """
    conversation = owned_conversation(request, conversation_id)
    turns.come_back(conversation)
    window = _window(request, conversation)
    if request.htmx:
        return render(request, "conversations/_window.html", _context(conversation, window))
    if "before" in request.GET and window.views:
        window = replace(window, later=window.views[-1].id)
    if "after" in request.GET and window.views:
        window = replace(window, earlier=window.views[0].id)
    return conversation_page(request, conversation, window=window)


@require_GET
@never_cache
def message(request: Request, message_id: uuid.UUID) -> HttpResponse:
    """Lead to a message, wherever it is in its conversation; its branch is shown from then on.

    A link on somebody else's page changes nothing: it leads to the branch that is shown.
    """
    rows = Message.objects.select_related("conversation").filter(
        conversation__owner=request.user, conversation__deleted_at=None
    )
    message = get_object_or_404(rows, pk=message_id)
    conversation = message.conversation
    leaf = conversation.active_leaf_id
    ours = request.headers.get("Sec-Fetch-Site", "none") in {"same-origin", "none"}
    if ours and (leaf is None or upward(leaf, until=message.pk)[-1] != message.pk):
        try:
            turns.activate(message)
        except Gone as gone:
            raise Http404 from gone
    page = reverse("conversations:conversation", args=[conversation.pk])
    return redirect(f"{page}?message={message.pk}#{dom_id(message.pk)}")


@require_GET
@never_cache
def fresh(request: Request, conversation_id: uuid.UUID) -> HttpResponse:
    """Give what a page lacks that was asleep, or whose conversation went on elsewhere: usually nothing."""
    conversation = owned_conversation(request, conversation_id)
    known = shown(request)
    patch = windows.patch(conversation, known)
    if patch.is_empty:
        return HttpResponse(status=NOTHING_NEW)
    context = patch_context(conversation, patch, known) | {"csp_nonce": page_nonce(request)}
    return render(request, "conversations/_thread.html", context)


@require_GET
@never_cache
def progress(request: Request, generation_id: uuid.UUID) -> HttpResponse:
    """Give what a page at the position `from` lacks of an answer: usually nothing; `polled`, if it will ask again."""
    rows = Generation.objects.select_related("message").filter(
        message__conversation__owner=request.user, message__conversation__deleted_at=None
    )
    html = catch_up(
        get_object_or_404(rows, pk=generation_id),
        Position.parse(request.GET.get("from", "")),
        nonce=page_nonce(request),
        language=get_language() or "en",
        polled="polled" in request.GET,
    )
    return HttpResponse(status=NOTHING_NEW) if html is None else HttpResponse(html)


def _window(request: Request, conversation: Conversation) -> Window:
    for name, find in (("before", windows.before), ("after", windows.after), ("message", windows.around)):
        if name in request.GET:
            return find(conversation, _message_in(conversation, request.GET[name]))
    return windows.latest(conversation)


def _message_in(conversation: Conversation, name: str) -> uuid.UUID:
    """Return the id of a message of this conversation, or answer 404."""
    try:
        message_id = uuid.UUID(name)
    except ValueError:
        raise Http404 from None
    found: uuid.UUID = get_object_or_404(conversation.messages.only("pk"), pk=message_id).pk
    return found


def _context(conversation: Conversation, window: Window) -> dict[str, object]:
    return {"conversation": conversation, "window": window, "thread": window.views}
