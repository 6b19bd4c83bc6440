"""Branches: an answer written otherwise, versions side by side, a conversation made of a branch, undoing, opinions."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST
from django_htmx.http import HttpResponseClientRedirect

from conversations import turns
from conversations.asking.catalogue import available_models
from conversations.forms import FeedbackForm, ForkForm, UndoForm, VersionsForm
from conversations.models import Message
from conversations.reading import transcript
from conversations.reading.transcript import INSTRUCTION_LABELS as LABELS
from conversations.reading.versions import compared
from conversations.turns import TurnRefused
from conversations.views.base import Request, owned_message, refused_by, refused_form, thread_changed


@require_GET
@never_cache
def again(request: Request, message_id: uuid.UUID) -> HttpResponse:
    """Show the ways to have an answer written again: by which model, and how it is to differ."""
    message = owned_message(request, message_id, Message.Role.ASSISTANT)
    context = {
        "conversation": message.conversation,
        "message": transcript.single(message),
        "models": available_models(),
        "instructions": [("", gettext("As before")), *((name, gettext(label)) for name, label in LABELS.items())],
    }
    return render(request, "conversations/_again.html" if request.htmx else "conversations/again.html", context)


@require_GET
@never_cache
def versions(request: Request, message_id: uuid.UUID) -> HttpResponse:
    """Show two versions of a message side by side, with their differences; `?old=` and `?new=` choose which."""
    rows = Message.objects.select_related("conversation").filter(
        conversation__owner=request.user, conversation__deleted_at=None
    )
    message = get_object_or_404(rows, pk=message_id)
    form = VersionsForm(request.GET)
    chosen: dict[str, Any] = form.cleaned_data if form.is_valid() else {}
    comparison = compared(message, old=chosen.get("old"), new=chosen.get("new"))
    context = {"conversation": message.conversation, "message": message, "comparison": comparison}
    return render(request, "conversations/versions.html", context)


@require_POST
def fork(request: Request, message_id: uuid.UUID) -> HttpResponse:
    """Make the branch down to an answer a conversation of its own, and show it."""
    message = owned_message(request, message_id, Message.Role.ASSISTANT)
    form = ForkForm(request.POST)
    if not form.is_valid():
        return refused_form(request, message.conversation, form)
    try:
        copy = turns.fork(message, **form.cleaned_data)
    except TurnRefused as refusal:
        return refused_by(request, message.conversation, refusal)
    page = reverse("conversations:conversation", args=[copy.pk])
    return HttpResponseClientRedirect(page) if request.htmx else redirect(page)


@require_POST
def undo_continue(request: Request, message_id: uuid.UUID) -> HttpResponse:
    """Remove the last continuation of an answer."""
    message = owned_message(request, message_id, Message.Role.ASSISTANT)
    form = UndoForm(request.POST)
    if not form.is_valid():
        return refused_form(request, message.conversation, form)
    try:
        turns.undo_continue(message, generation_id=form.cleaned_data["generation"])
    except TurnRefused as refusal:
        return refused_by(request, message.conversation, refusal)
    return thread_changed(request, message.conversation)


@require_POST
def feedback(request: Request, message_id: uuid.UUID) -> HttpResponse:
    """Keep, change or withdraw an opinion about an answer."""
    message = owned_message(request, message_id, Message.Role.ASSISTANT)
    form = FeedbackForm(request.POST)
    if not form.is_valid():
        return refused_form(request, message.conversation, form)
    if form.cleaned_data["value"] is None:
        turns.withdraw_feedback(request.user, message)
    else:
        comment = form.cleaned_data["comment"] if "comment" in request.POST else None
        turns.give_feedback(request.user, message, value=form.cleaned_data["value"], comment=comment)
    view = transcript.single(message)
    if not request.htmx:
        page = reverse("conversations:conversation", args=[message.conversation_id])
        return redirect(f"{page}#{view.dom_id}")
    return render(request, "conversations/_opinion.html", {"message": view, "fresh": "comment" not in request.POST})
