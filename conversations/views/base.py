"""What the views share: the rows of this user or 404, the whole page, and the answers to actions."""

from __future__ import annotations

import math
import re
import uuid
from datetime import timedelta
from typing import Any

from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django_htmx.middleware import HtmxDetails

from chatapp.accounts.models import User
from conversations import audit
from conversations.forms import first_error
from conversations.live.state import dom_id
from conversations.models import Conversation, Message
from conversations.reading import library, transcript, windows
from conversations.reading.waiting import queue
from conversations.reading.windows import Patch, Shown, Window
from conversations.review import openings
from conversations.turns import Gone, KeyUsed, LimitReached, TurnRefused, draft_of, unsent_files
from conversations.views.composing import Typed, composer_context

CONFLICT = 409
UNPROCESSABLE = 422
TITLE_PATIENCE = timedelta(minutes=2)
_SHOWN = re.compile(r"(m[0-9a-f]{10})\.(r?[0-9a-f]{1,8})")
_NONCE = re.compile(r"[A-Za-z0-9_\-+/=]{16,64}", re.ASCII)


class Request(HttpRequest):
    """A request as our middleware leaves it."""

    user: User
    htmx: HtmxDetails


def owned_conversation(request: Request, conversation_id: uuid.UUID) -> Conversation:
    """Return a conversation of this user that has not been deleted, or answer 404."""
    rows = request.user.conversations.visible().select_related("owner", "model", "active_leaf").with_running()
    return get_object_or_404(rows, pk=conversation_id)


def owned_message(request: Request, message_id: uuid.UUID, *roles: str) -> Message:
    """Return a message of this user in a conversation that has not been deleted, or answer 404."""
    rows = Message.objects.select_related("conversation__owner", "conversation__model", "parent")
    mine = rows.filter(conversation__owner=request.user, conversation__deleted_at=None)
    return get_object_or_404(mine, pk=message_id, role__in=roles)


def conversation_page(  # noqa: PLR0913 - what a page can show besides its thread
    request: Request,
    conversation: Conversation | None,
    *,
    window: Window | None = None,
    typed: Typed | None = None,
    error: str = "",
    status: int = 200,
) -> HttpResponse:
    """Render the whole page of a conversation, or of a new one.

    `window` is the part of the thread to show, its end if there is none; `error` a sentence, `typed` what is not sent
    yet.
    """
    if window is None:
        window = windows.latest(conversation) if conversation is not None else Window()
    typed = typed or Typed()
    temporary = conversation.temporary if conversation is not None else "temporary" in (request.POST or request.GET)
    keeps_none = temporary and conversation is None
    draft = None if typed.text or error or keeps_none else draft_of(request.user, conversation)
    if not error:
        typed = Typed(draft.text if draft is not None else typed.text, unsent_files(request.user, conversation))
    context = {
        "conversation": conversation,
        "conversations": library.sidebar(request.user, conversation),
        "undoable": library.undoable(request.user),
        "window": window,
        "thread": window.views,
        "running": any(view.running for view in window.views),
        "running_elsewhere": runs_elsewhere(conversation, window.views),
        **composer_context(request.user, request.session, conversation, typed=typed, error=error),
        "draft": draft,
        "temporary": temporary,
    }
    if conversation is not None:
        context |= _shown_of(conversation)
    return render(request, "conversations/conversation.html", context, status=status)


def _shown_of(conversation: Conversation) -> dict[str, Any]:
    return {
        "queue": queue(conversation),
        "title_pending": title_pending(conversation),
        "openings": openings.told_to_owner(conversation.pk),
    }


def runs_elsewhere(conversation: Conversation | None, views: list[transcript.MessageView]) -> bool:
    """Whether an answer is being written in a version that is not the one shown."""
    running: bool = conversation is not None and conversation.running  # type: ignore[attr-defined] # by with_running
    return running and not any(view.running for view in views)


def title_pending(conversation: Conversation) -> bool:
    """Whether the model may yet find a better title; after a while none will come."""
    recent = timezone.now() - conversation.updated_at < TITLE_PATIENCE and not conversation.temporary
    return recent and conversation.title_source == Conversation.TitleSource.FIRST_WORDS


def thread_changed(
    request: Request,
    conversation: Conversation,
    near: uuid.UUID | None = None,
    request_key: uuid.UUID | None = None,
) -> HttpResponse:
    """Answer an action that changed the thread: what the page lacks, or a redirect to all of it.

    `near` is the message that it is about, for a page that shows a part of the thread that there is no more;
    `request_key` is for the composer, when its own was used.
    """
    if not request.htmx:
        return redirect("conversations:conversation", conversation.pk)
    fresh = owned_conversation(request, conversation.pk)
    known = shown(request)
    context = patch_context(fresh, windows.patch(fresh, known, near=near), known)
    return render(request, "conversations/_thread.html", context | {"request_key": request_key})


def patch_context(conversation: Conversation, patch: Patch, known: list[Shown]) -> dict[str, Any]:
    """Return what `_thread.html` needs to bring a page up to date that shows what is `known`."""
    views = [*patch.window.views, *patch.changed]
    goes_on = any(row.tag.startswith("r") and row.dom_id == patch.keep for row in known)
    return {
        "conversation": conversation,
        "patch": patch,
        "window": patch.window,
        "thread": patch.window.views,
        "queue": queue(conversation),
        "running_elsewhere": runs_elsewhere(conversation, views) and not goes_on,
    }


def shown(request: Request) -> list[Shown]:
    """Return what the page says that it shows of the thread, up to its end: nothing, if it shows another part of it."""
    reported = _SHOWN.findall(request.headers.get("Stillwater-Shown", ""))
    return [Shown(name, tag) for name, tag in reported[-windows.REPORTED :]]


def shows_part(request: Request) -> bool:
    """Whether the page shows an earlier part of the thread, at whose end nothing may be added."""
    return request.headers.get("Stillwater-Shown") == "-"


def shows_end(request: Request, question: Message) -> bool:
    """Whether the page shows the message that a question was put below, so that the question can be added there."""
    return question.parent_id is None or shows_last(request, question.parent_id)


def shows_last(request: Request, message_id: uuid.UUID) -> bool:
    """Whether a message is the last that the page shows, as far as the page says."""
    if "Stillwater-Shown" not in request.headers:
        return True
    return [row.dom_id for row in shown(request)][-1:] == [dom_id(message_id)]


def page_nonce(request: Request) -> str:
    """Return the nonce of the page that asks by script: what is stamped with it, the page's htmx accepts."""
    nonce = request.headers.get("Stillwater-Nonce", "")
    return nonce if _NONCE.fullmatch(nonce) else ""


def refused(
    request: Request, conversation: Conversation | None, error: str, *, typed: Typed | None = None, status: int
) -> HttpResponse:
    """Answer an action that was refused: nothing is lost, and the sentence says what to do.

    The key of a form whose action was not done stays: an earlier request may have done it, whose answer was lost.
    """
    if request.htmx:
        return render(request, "conversations/_refused.html", {"error": error}, status=status)
    fresh = owned_conversation(request, conversation.pk) if conversation is not None else None
    return conversation_page(request, fresh, typed=typed, error=error, status=status)


def refused_form(request: Request, conversation: Conversation, form: Form) -> HttpResponse:
    """Answer a form that cannot be taken, with the first of its sentences."""
    return refused(request, conversation, first_error(form), status=UNPROCESSABLE)


def refused_by(
    request: Request,
    conversation: Conversation | None,
    refusal: TurnRefused,
    *,
    typed: Typed | None = None,
    key_id: str = "composer-key",
) -> HttpResponse:
    """Answer an action that `turns` has refused, with the status that fits, and when to come again.

    A form whose key was used before, for something else, gets another one, into its field `key_id`.
    """
    if request.htmx and isinstance(refusal, KeyUsed):
        context = {"error": why(refusal), "request_key": uuid.uuid4(), "key_id": key_id}
        return render(request, "conversations/_refused.html", context, status=refusal.status)
    return come_again(refused(request, conversation, why(refusal), typed=typed, status=refusal.status), refusal)


def come_again(response: HttpResponse, refusal: TurnRefused) -> HttpResponse:
    """Say in an answer when to try again, if that helps."""
    if refusal.retry_after_seconds is not None:
        response["Retry-After"] = str(math.ceil(refusal.retry_after_seconds))
    return response


def why(refusal: TurnRefused) -> str:
    """Return the sentence for the user; what was deleted meanwhile is a 404 like everything that is not there.

    Limits that were reached are noted here: the transaction in which that was seen has been rolled back.
    """
    if isinstance(refusal, LimitReached):
        audit.record_limit(refusal.user, refusal.limit)
    if isinstance(refusal, Gone):
        raise Http404 from refusal
    return str(refusal)
