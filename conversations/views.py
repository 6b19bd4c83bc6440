"""Pages and actions: fetch what this user owns or 404, check the form, call `turns`, render.

Every action is a form that works without JavaScript: it answers htmx with a fragment and everybody else with a
redirect, or, when it was refused, with the page, a sentence, and what was typed.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any, cast

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django_htmx.middleware import HtmxDetails

from chatapp.accounts.models import User
from conversations import transcript, turns
from conversations.catalogue import available_models
from conversations.context import answer_text
from conversations.forms import AnswerForm, EditForm, RenameForm, SendForm, first_error
from conversations.models import Conversation, Message
from conversations.turns import Turn, TurnRefused

CONFLICT = 409
UNPROCESSABLE = 422
TITLE_ATTEMPTS = 8


class Request(HttpRequest):
    """A request as our middleware leaves it."""

    user: User
    htmx: HtmxDetails


def _conversation(request: Request, conversation_id: uuid.UUID) -> Conversation:
    rows = request.user.conversations.select_related("owner", "model", "active_leaf").with_running()
    return get_object_or_404(rows, pk=conversation_id)


def _message(request: Request, message_id: uuid.UUID, role: str) -> Message:
    rows = Message.objects.select_related("conversation__owner", "conversation__model", "parent")
    return get_object_or_404(rows, pk=message_id, role=role, conversation__owner=request.user)


def _composer(conversation: Conversation | None, *, text: str = "", error: str = "") -> dict[str, Any]:
    models = available_models()
    chosen = conversation.model if conversation is not None and conversation.model in models else None
    chosen = chosen or (models[0] if models else None)
    choices = [{"id": m.pk, "label": m.label, "selected": m == chosen, "is_demo": m.is_demo} for m in models]
    composer = {"text": text, "error": error, "request_key": uuid.uuid4(), "models": choices, "stop_first": False}
    return {"composer": composer, "demo": chosen is not None and chosen.is_demo}


def _page(
    request: Request, conversation: Conversation | None, *, text: str = "", error: str = "", status: int = 200
) -> HttpResponse:
    views = transcript.thread(conversation) if conversation is not None else []
    context = {
        "conversation": conversation,
        "title_pending": conversation is not None and _title_pending(conversation),
        "conversations": transcript.sidebar(request.user, conversation),
        "thread": views,
        "running": any(view.running for view in views),
        **_composer(conversation, text=text, error=error),
    }
    return render(request, "conversations/conversation.html", context, status=status)


def _title_pending(conversation: Conversation) -> bool:
    return conversation.title_source == Conversation.TitleSource.FIRST_WORDS


def _done(request: Request, conversation: Conversation) -> HttpResponse:
    """Answer an action that changed the thread: the new thread, or a redirect to it."""
    if not request.htmx:
        return redirect("conversations:conversation", conversation.pk)
    fresh = _conversation(request, conversation.pk)
    views = transcript.thread(fresh)
    return render(request, "conversations/_thread.html", {"conversation": fresh, "thread": views, "whole": True})


def _refused(
    request: Request, conversation: Conversation | None, error: str, *, text: str = "", status: int
) -> HttpResponse:
    """Answer an action that was refused: nothing is lost, and the sentence says what to do."""
    if request.htmx:
        return render(request, "conversations/_refused.html", {"error": error}, status=status)
    return _page(request, conversation, text=text, error=error, status=status)


@require_GET
@never_cache
def home(request: Request) -> HttpResponse:
    """Show a new, empty conversation; `?q=` fills the composer."""
    return _page(request, None, text=request.GET.get("q", ""))


@require_POST
def start(request: Request) -> HttpResponse:
    """Begin a conversation with its first message."""
    form = SendForm(request.POST)
    text = request.POST.get("text", "")
    if not form.is_valid():
        return _refused(request, None, first_error(form), text=text, status=UNPROCESSABLE)
    cleaned = form.cleaned_data
    model = cleaned["model"] or available_models()[0]
    try:
        turn = turns.start(request.user, text=cleaned["text"], model=model, request_key=cleaned["request_key"])
    except TurnRefused as refusal:
        return _refused(request, None, str(refusal), text=text, status=CONFLICT)
    return redirect("conversations:conversation", turn.conversation.pk)


@require_GET
@never_cache
def conversation(request: Request, conversation_id: uuid.UUID) -> HttpResponse:
    """Show a conversation."""
    return _page(request, _conversation(request, conversation_id))


@require_POST
def send(request: Request, conversation_id: uuid.UUID) -> HttpResponse:
    """Send a message and have it answered."""
    conversation = _conversation(request, conversation_id)
    form = SendForm(request.POST)
    text = request.POST.get("text", "")
    if not form.is_valid():
        return _refused(request, conversation, first_error(form), text=text, status=UNPROCESSABLE)
    cleaned = form.cleaned_data
    try:
        turn = turns.send(
            conversation,
            text=cleaned["text"],
            model=cleaned["model"] or conversation.model or available_models()[0],
            request_key=cleaned["request_key"],
            stop_first=cleaned["stop_first"],
        )
    except TurnRefused as refusal:
        return _refused(request, conversation, str(refusal), text=text, status=CONFLICT)
    if turn.repeated or not request.htmx:
        return _done(request, turn.conversation)
    views = transcript.sent(cast(Message, turn.answer.parent), turn.generation)
    context = {"conversation": turn.conversation, "thread": views, "request_key": uuid.uuid4()}
    return render(request, "conversations/_sent.html", context)


@require_POST
def stop(request: Request, conversation_id: uuid.UUID) -> HttpResponse:
    """Stop what is being written."""
    conversation = _conversation(request, conversation_id)
    turns.stop(conversation)
    return HttpResponse(status=204) if request.htmx else redirect("conversations:conversation", conversation.pk)


@require_POST
def rename(request: Request, conversation_id: uuid.UUID) -> HttpResponse:
    """Give a conversation a title."""
    conversation = _conversation(request, conversation_id)
    form = RenameForm(request.POST)
    if not form.is_valid():
        return _refused(request, conversation, first_error(form), status=UNPROCESSABLE)
    turns.rename(conversation, title=form.cleaned_data["title"])
    return redirect("conversations:conversation", conversation.pk)


@require_POST
def delete(request: Request, conversation_id: uuid.UUID) -> HttpResponse:
    """Delete a conversation with all that is in it."""
    turns.delete(_conversation(request, conversation_id))
    return redirect("conversations:home")


@require_GET
@never_cache
def title(request: Request, conversation_id: uuid.UUID) -> HttpResponse:
    """Give the title as a fragment, which asks again, a few times, while the model has not found a better one."""
    conversation = _conversation(request, conversation_id)
    attempt = request.GET.get("attempt", "1")
    number = int(attempt) if attempt.isascii() and attempt.isdigit() and len(attempt) < 3 else TITLE_ATTEMPTS  # noqa: PLR2004
    context = {
        "conversation": conversation,
        "title_pending": _title_pending(conversation) and number < TITLE_ATTEMPTS,
        "attempt": number + 1,
        "fragment": True,
    }
    return render(request, "conversations/_title.html", context)


@require_http_methods(["GET", "POST"])
@never_cache
def edit(request: Request, message_id: uuid.UUID) -> HttpResponse:
    """Show a user's message as a form; ask anew with what comes back."""
    message = _message(request, message_id, Message.Role.USER)
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
            error, status = str(refusal), CONFLICT
        else:
            return _done(request, turn.conversation)
    if request.htmx:
        return _refused(request, message.conversation, error, status=status)
    return render(request, template, context | {"text": request.POST.get("text", ""), "error": error}, status=status)


@require_POST
def regenerate(request: Request, message_id: uuid.UUID) -> HttpResponse:
    """Have an answer written again, as a new version."""
    return _have_written(request, message_id, turns.regenerate)


@require_POST
def continue_(request: Request, message_id: uuid.UUID) -> HttpResponse:
    """Have a partial answer continued."""
    return _have_written(request, message_id, turns.continue_)


def _have_written(request: Request, message_id: uuid.UUID, action: Callable[..., Turn]) -> HttpResponse:
    message = _message(request, message_id, Message.Role.ASSISTANT)
    form = AnswerForm(request.POST)
    if not form.is_valid():
        return _refused(request, message.conversation, first_error(form), status=UNPROCESSABLE)
    try:
        turn = action(message, **form.cleaned_data)
    except TurnRefused as refusal:
        return _refused(request, message.conversation, str(refusal), status=CONFLICT)
    return _done(request, turn.conversation)


@require_POST
def activate(request: Request, message_id: uuid.UUID) -> HttpResponse:
    """Show another version and what follows it."""
    rows = Message.objects.select_related("conversation").filter(conversation__owner=request.user)
    message = get_object_or_404(rows, pk=message_id)
    turns.activate(message)
    return _done(request, message.conversation)


@require_GET
@never_cache
def raw(request: Request, message_id: uuid.UUID) -> HttpResponse:
    """Give the Markdown source of an answer, for the Copy button."""
    message = _message(request, message_id, Message.Role.ASSISTANT)
    return HttpResponse(answer_text(message), content_type="text/plain; charset=utf-8")


@require_GET
def stream(request: Request, generation_id: uuid.UUID) -> HttpResponse:  # noqa: ARG001 - the row names the URL
    """Say what is wrong when the stream's URL reaches Django: the ASGI application serves it before."""
    return HttpResponse("Streams need the ASGI application: serve Stillwater with daphne or uvicorn.", status=501)
