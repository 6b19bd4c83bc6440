"""What a user may use and has used, and the gate before everything that makes a model write."""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from chatapp.accounts.addresses import client_network
from conversations import limits
from conversations.limits.admission import Full, gate
from conversations.models import Attachment
from conversations.views.attachments import keep_files, typed_in
from conversations.views.base import Request, owned_conversation, refused

UNAVAILABLE = 503
NOT_KEPT = {"csrfmiddlewaretoken"}

View = Callable[..., HttpResponse]


def needs_room(view: View) -> View:
    """Refuse what would make a model write when the machine is full, before anything else is done."""

    @wraps(view)
    def gated(request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.method == "POST":
            try:
                gate.enter()
            except Full as full:
                return _full(request, full, kwargs.get("conversation_id"))
        return view(request, *args, **kwargs)

    gated.needs_room = True  # type: ignore[attr-defined] # for `EarlyRefusal`
    return gated


def _full(request: Request, full: Full, conversation_id: uuid.UUID | None) -> HttpResponse:
    """Answer with the sentence; without htmx with a page that has what was typed and attached and sends it again."""
    if request.htmx:
        response = refused(request, None, full.sentence(), status=UNAVAILABLE)
    else:
        context = {"error": full.sentence(), **_sent_again(request, conversation_id)}
        response = render(request, "conversations/full.html", context, status=UNAVAILABLE)
    response["Retry-After"] = str(math.ceil(full.retry_after_seconds))
    return response


def _sent_again(request: Request, conversation_id: uuid.UUID | None) -> dict[str, Any]:
    """Return all that a form has sent as fields of another; its files are kept, because no page can send them again."""
    kept: list[Attachment] = []
    file_error = ""
    if files := request.FILES.getlist("files"):
        conversation = owned_conversation(request, conversation_id) if conversation_id is not None else None
        kept, file_error = keep_files(request, conversation, files)
    fields = [(name, value) for name, values in request.POST.lists() if name not in NOT_KEPT for value in values]
    fields += [("attachment", str(row.pk)) for row in kept]
    return {"fields": fields, "files": typed_in(request, kept).attachments, "file_error": file_error}


@require_GET
@never_cache
def usage(request: Request) -> HttpResponse:
    """Show a user's limits, what is left of them, and when it comes back."""
    context = {"overview": limits.overview(request.user, client_network.get())}
    return render(request, "conversations/limits.html", context)
