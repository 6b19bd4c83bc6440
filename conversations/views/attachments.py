"""Files: taken before a message is sent, shown to their owner alone, taken back."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace

from django.core.files.uploadedfile import UploadedFile
from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.http import content_disposition_header
from django.utils.translation import gettext
from django.views.decorators.http import require_GET, require_POST

from conversations import turns
from conversations.forms import DraftForm
from conversations.live.state import dom_id
from conversations.models import Attachment, Conversation
from conversations.reading import transcript
from conversations.serving.bodies import takes_files
from conversations.turns import FileGone, Gone, TurnRefused
from conversations.views.base import UNPROCESSABLE, Request, owned_conversation
from conversations.views.composing import Typed, chip, window_view

CREATED = 201
CACHE_SECONDS = 3600


@require_POST
@takes_files
def upload(request: Request, conversation_id: uuid.UUID | None = None) -> HttpResponse:
    """Take files, one after the other, until one is refused; answer what was taken, and the sentence if one was not."""
    conversation = owned_conversation(request, conversation_id) if conversation_id is not None else None
    files = request.FILES.getlist("files")
    if not files:
        return JsonResponse({"files": [], "error": gettext("No file has arrived.")}, status=UNPROCESSABLE)
    kept, error = keep_files(request, conversation, files)
    status = UNPROCESSABLE if error else CREATED
    return JsonResponse({"files": [chip(row) for row in kept], "error": error}, status=status)


def keep_files(
    request: Request, conversation: Conversation | None, files: Sequence[UploadedFile[bytes]]
) -> tuple[list[Attachment], str]:
    """Return the files that were taken, and the sentence about the first one that was not."""
    kept: list[Attachment] = []
    for file in files:
        try:
            kept.append(turns.upload_file(request.user, file, conversation))
        except TurnRefused as refusal:
            return kept, str(refusal)
    return kept, ""


def typed_in(request: Request, kept: Sequence[Attachment] = ()) -> Typed:
    """Return what a refused form held, so that nothing of it is lost."""
    ids = []
    for value in request.POST.getlist("attachment")[:100]:
        try:
            ids.append(uuid.UUID(value))
        except ValueError:
            continue
    unsent = request.user.attachments.unsent().filter(pk__in=ids)
    return Typed(
        request.POST.get("text", ""),
        [*unsent.defer("text"), *kept],
        model=request.POST.get("model", ""),
        stop_first="stop_first" in request.POST,
    )


@require_GET
def attachment(request: Request, attachment_id: uuid.UUID) -> HttpResponse:
    """Give a file to its owner: an image to look at, a text to download; it can do nothing in the browser."""
    row = _owned(request, attachment_id)
    image = row.kind == Attachment.Kind.IMAGE
    try:
        data = row.file.read() if image else row.text.encode()
    except FileNotFoundError as gone:
        raise Http404 from gone
    disposition = content_disposition_header(as_attachment=not image, filename=row.name)
    return HttpResponse(
        data,
        content_type=row.content_type,
        headers={
            "Content-Disposition": disposition or "attachment",
            "Content-Security-Policy": "default-src 'none'; sandbox; frame-ancestors 'none'",
            "Cross-Origin-Resource-Policy": "same-origin",
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": f"private, max-age={CACHE_SECONDS}",
        },
    )


@require_POST
def remove(request: Request, attachment_id: uuid.UUID) -> HttpResponse:
    """Delete a file that was not sent, and show its composer again, with what has been typed."""
    row = _owned(request, attachment_id)
    conversation = row.unsent_in
    try:
        turns.remove_file(row)
        form = DraftForm(request.POST)
        if form.is_valid():  # the button of a form; a script sends no text
            turns.keep_draft(request.user, conversation, **form.cleaned_data)
    except (FileGone, Gone) as gone:
        raise Http404 from gone
    return redirect("conversations:conversation", conversation.pk) if conversation else redirect("conversations:home")


@require_GET
def window(request: Request, conversation_id: uuid.UUID) -> HttpResponse:
    """Show how full the model's window is, after an answer, as a fragment; and where it begins in the thread."""
    conversation: Conversation = owned_conversation(request, conversation_id)
    view = replace(window_view(conversation, conversation.model), begins=_begins(conversation))
    return render(request, "conversations/_meter.html", {"window": view})


def _begins(conversation: Conversation) -> str:
    """Return the id in the page of the first message that was sent last, when others were left out."""
    begin = transcript.window_begin(conversation.active_leaf_id)
    return dom_id(begin) if begin is not None else ""


def _owned(request: Request, attachment_id: uuid.UUID) -> Attachment:
    places = ("message__conversation", "queued_message__conversation", "unsent_in")
    there = {f"{place}__deleted_at": None for place in places}  # also where there is no such place
    return get_object_or_404(request.user.attachments.filter(**there), pk=attachment_id)
