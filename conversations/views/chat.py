"""Pages and actions: fetch what this user owns or 404, check the form, call `turns`, render.

Every action is a form that works without JavaScript: it answers htmx with a fragment and everybody else with a
redirect, or, when it was refused, with the page, a sentence, and what was typed.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import cast

from django.contrib.admin.views.decorators import staff_member_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from conversations import turns
from conversations.asking.catalogue import available_models
from conversations.asking.context import answer_text
from conversations.forms import AnswerForm, EditForm, RegenerateForm, SendForm, first_error
from conversations.live.state import dom_id
from conversations.models import Attachment, Conversation, Message, QueuedMessage
from conversations.reading import library, transcript
from conversations.reading.waiting import queue
from conversations.serving.bodies import takes_files
from conversations.serving.health import DRIP_SECONDS
from conversations.turns import Gone, KeyUsed, Turn, TurnRefused
from conversations.views.attachments import keep_files, typed_in
from conversations.views.base import (
    UNPROCESSABLE,
    Request,
    conversation_page,
    owned_conversation,
    owned_message,
    refused,
    refused_by,
    refused_form,
    shows_end,
    thread_changed,
    title_pending,
    why,
)
from conversations.views.beginnings import beginning_of, forget_beginning
from conversations.views.composing import Typed, chosen_model
from conversations.views.limits import needs_room
from conversations.views.queue import queue_changed

TITLE_ATTEMPTS = 8


@require_GET
@never_cache
def home(request: Request) -> HttpResponse:
    """Show a new, empty conversation; `?q=` fills the composer."""
    return conversation_page(request, None, typed=Typed(request.GET.get("q", "")))


@require_http_methods(["GET", "POST"])
@takes_files
@needs_room
def start(request: Request) -> HttpResponse:
    """Begin a conversation with its first message; by a mere link there is none, and the way leads home."""
    if request.method == "GET":
        return redirect("conversations:home")
    form, kept, error = _sent_form(request, None)
    if error:
        return refused(request, None, error, typed=typed_in(request, kept), status=UNPROCESSABLE)
    cleaned = form.cleaned_data
    beginning = beginning_of(request.user, request.session)
    try:
        turn = turns.start(
            request.user,
            text=cleaned["text"],
            model=cleaned["model"] or chosen_model(available_models(), beginning.model),
            request_key=cleaned["request_key"],
            settings=beginning.settings,
            attachments=cleaned["attachment"],
            temporary=cleaned["temporary"],
            draft_key=cleaned["draft_key"],
        )
    except TurnRefused as refusal:
        return refused_by(request, None, refusal, typed=typed_in(request, kept))
    forget_beginning(request.session)
    return redirect("conversations:conversation", turn.conversation.pk)


def _sent_form(request: Request, conversation: Conversation | None) -> tuple[SendForm, list[Attachment], str]:
    """Return the form of a message, the files that came with it, which are kept already, and why it cannot be sent."""
    kept, error = keep_files(request, conversation, request.FILES.getlist("files"))
    data = request.POST.copy()
    data.setlist("attachment", [*data.getlist("attachment"), *(str(row.pk) for row in kept)])
    form = SendForm(data)
    return form, kept, error or first_error(form)


@require_POST
@takes_files
@needs_room
def send(request: Request, conversation_id: uuid.UUID) -> HttpResponse:
    """Send a message and have it answered; while an answer is written, it waits for its end."""
    conversation = owned_conversation(request, conversation_id)
    form, kept, error = _sent_form(request, conversation)
    if error:
        return refused(request, conversation, error, typed=typed_in(request, kept), status=UNPROCESSABLE)
    cleaned = form.cleaned_data
    try:
        sent = turns.send_or_queue(
            conversation,
            text=cleaned["text"],
            model=cleaned["model"] or conversation.model or available_models()[0],
            request_key=cleaned["request_key"],
            stop_first=cleaned["stop_first"],
            attachments=cleaned["attachment"],
            draft_key=cleaned["draft_key"],
        )
    except TurnRefused as refusal:
        return refused_by(request, conversation, refusal, typed=typed_in(request, kept))
    if request.htmx and request.user.attachments.unsent().filter(pk__in=cleaned["attachment"]).exists():
        return refused_by(request, conversation, KeyUsed())  # an earlier request sent it, without these files
    if isinstance(sent, QueuedMessage):
        return queue_changed(request, conversation, request_key=uuid.uuid4())
    return _turn_sent(request, sent)


def _turn_sent(request: Request, turn: Turn) -> HttpResponse:
    question = cast(Message, turn.answer.parent)
    if turn.repeated or not request.htmx or not shows_end(request, question):
        return thread_changed(request, turn.conversation, request_key=uuid.uuid4())
    context = {
        "conversation": turn.conversation,
        "conversations": library.sidebar(request.user, turn.conversation),
        "thread": transcript.sent(question, turn.generation),
        "queue": queue(turn.conversation),
        "request_key": uuid.uuid4(),
    }
    return render(request, "conversations/_sent.html", context)


@require_POST
def stop(request: Request, conversation_id: uuid.UUID) -> HttpResponse:
    """Stop what is being written."""
    conversation = owned_conversation(request, conversation_id)
    turns.stop(conversation)
    return HttpResponse(status=204) if request.htmx else redirect("conversations:conversation", conversation.pk)


@require_GET
@never_cache
def title(request: Request, conversation_id: uuid.UUID) -> HttpResponse:
    """Give the title as a fragment, which asks again, a few times, while the model has not found a better one."""
    conversation = owned_conversation(request, conversation_id)
    attempt = request.GET.get("attempt", "1")
    number = int(attempt) if attempt.isascii() and attempt.isdigit() and len(attempt) < 3 else TITLE_ATTEMPTS  # noqa: PLR2004
    context = {
        "conversation": conversation,
        "title_pending": title_pending(conversation) and number < TITLE_ATTEMPTS,
        "attempt": number + 1,
        "fragment": True,
    }
    return render(request, "conversations/_title.html", context)


@require_http_methods(["GET", "POST"])
@never_cache
@needs_room
def edit(request: Request, message_id: uuid.UUID) -> HttpResponse:
    """Show a user's message as a form; ask anew with what comes back."""
    message = owned_message(request, message_id, Message.Role.USER)
    context = {"message": transcript.single(message), "conversation": message.conversation, "text": message.text}
    template = "conversations/_edit.html" if request.htmx else "conversations/edit.html"
    if request.method == "GET":
        return render(request, template, context)
    form = EditForm(request.POST)
    error, status = first_error(form), UNPROCESSABLE
    if form.is_valid():
        try:
            turn = turns.edit(message, **form.cleaned_data)
        except TurnRefused as refusal:
            if request.htmx:
                return refused_by(request, message.conversation, refusal, key_id=f"{dom_id(message.pk)}-key")
            error, status = why(refusal), refusal.status
        else:
            return thread_changed(request, turn.conversation)
    if request.htmx:
        return refused(request, message.conversation, error, status=status)
    return render(request, template, context | {"text": request.POST.get("text", ""), "error": error}, status=status)


@require_POST
@needs_room
def regenerate(request: Request, message_id: uuid.UUID) -> HttpResponse:
    """Have an answer written again, as a new version."""
    return _have_written(request, message_id, turns.regenerate, RegenerateForm)


@require_POST
@needs_room
def continue_(request: Request, message_id: uuid.UUID) -> HttpResponse:
    """Have a partial answer continued."""
    return _have_written(request, message_id, turns.continue_, AnswerForm)


def _have_written(
    request: Request, message_id: uuid.UUID, action: Callable[..., Turn], form_class: type[AnswerForm]
) -> HttpResponse:
    message = owned_message(request, message_id, Message.Role.ASSISTANT)
    form = form_class(request.POST)
    if not form.is_valid():
        return refused_form(request, message.conversation, form)
    try:
        turn = action(message, **form.cleaned_data)
    except TurnRefused as refusal:
        return refused_by(request, message.conversation, refusal)
    return thread_changed(request, turn.conversation)


@require_POST
def activate(request: Request, message_id: uuid.UUID) -> HttpResponse:
    """Show another version and what follows it."""
    rows = Message.objects.select_related("conversation").filter(
        conversation__owner=request.user, conversation__deleted_at=None
    )
    message = get_object_or_404(rows, pk=message_id)
    try:
        turns.activate(message)
    except Gone as gone:
        raise Http404 from gone
    return thread_changed(request, message.conversation, near=message.pk)


@require_GET
@never_cache
def raw(request: Request, message_id: uuid.UUID) -> HttpResponse:
    """Give what was written, for the Copy button: a question, or the Markdown source of an answer."""
    message = owned_message(request, message_id, Message.Role.USER, Message.Role.ASSISTANT)
    text = answer_text(message) if message.role == Message.Role.ASSISTANT else message.text
    return HttpResponse(text, content_type="text/plain; charset=utf-8")


@staff_member_required
@require_GET
@never_cache
def deployment(request: HttpRequest) -> HttpResponse:
    """Show operators what their browser sees of the deployment."""
    context = {
        "now_ms": round(time.time() * 1000),
        "pause_ms": round(DRIP_SECONDS * 1000),
        "ready": "/readyz",
        "drip": "/drip",
    }
    return render(request, "conversations/deployment.html", context)


@require_GET
def stream(request: Request, generation_id: uuid.UUID) -> HttpResponse:  # noqa: ARG001 - the row names the URL
    """Say what is wrong when the stream's URL reaches Django: the ASGI application serves it before."""
    return HttpResponse("Streams need the ASGI application: serve Stillwater with daphne or uvicorn.", status=501)
