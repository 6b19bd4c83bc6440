"""Links by which others read along: making and revoking them, and the pages that they lead to."""

from __future__ import annotations

import uuid

from csp.constants import NONE, SELF
from csp.decorators import csp
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.http import content_disposition_header
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST, require_safe

from chatapp.accounts.context_processors import THEMES
from conversations import turns
from conversations.forms import ShareForm
from conversations.models import Attachment, Share
from conversations.reading import copies
from conversations.transfer.texts import models_of
from conversations.turns import TurnRefused
from conversations.views.base import CONFLICT, Request, owned_conversation, why

SHARES_ON_A_PAGE = 50
# What a browser may show in the page; everything else is for saving.
IMAGE_TYPES = {"image/png", "image/jpeg", "image/gif", "image/webp"}
# Nothing on a shared page runs, is sent anywhere or can be framed.
READ_ONLY_POLICY = {
    "default-src": [NONE],
    "style-src": [SELF],
    "img-src": [SELF, "data:", *(f"https://{host}" for host in settings.IMAGE_HOSTS)],
    "base-uri": [NONE],
    "form-action": [NONE],
    "frame-ancestors": [NONE],
}


@require_http_methods(["GET", "POST"])
@never_cache
def share(request: Request, conversation_id: uuid.UUID) -> HttpResponse:
    """Show the links to a conversation, and make another one."""
    conversation = owned_conversation(request, conversation_id)
    error, status = "", 200
    if request.method == "POST":
        form = ShareForm(request.POST)
        form.is_valid()  # two ticks: nothing about them can be wrong
        try:
            made = turns.share(conversation, **form.cleaned_data)
        except TurnRefused as refusal:
            error, status = why(refusal), CONFLICT
        else:
            return redirect(f"{reverse('conversations:share', args=[conversation.pk])}#{made.pk}")
    context = {
        "conversation": conversation,
        "shares": [_link(request, row) for row in conversation.shares.open()],
        "running": conversation.running,  # type: ignore[attr-defined] # by with_running
        "error": error,
    }
    return render(request, "conversations/share.html", context, status=status)


@require_GET
@never_cache
def shares(request: Request) -> HttpResponse:
    """List the links of this user."""
    rows = Share.objects.open().filter(conversation__owner=request.user).select_related("conversation")
    page = Paginator(rows, SHARES_ON_A_PAGE).get_page(request.GET.get("page"))
    context = {"page": page, "shares": [_link(request, row) for row in page]}
    return render(request, "conversations/shares.html", context)


@require_POST
def revoke(request: Request, share_id: uuid.UUID) -> HttpResponse:
    """Make a link lead nowhere."""
    rows = Share.objects.select_related("conversation__owner").filter(conversation__owner=request.user)
    row = get_object_or_404(rows, pk=share_id)
    turns.revoke(row)
    messages.success(request, gettext("The link leads nowhere any more."))
    if request.POST.get("back") == "conversation":
        return redirect("conversations:share", row.conversation_id)
    return redirect("conversations:shares")


@require_safe
@never_cache
@csp(READ_ONLY_POLICY)  # type: ignore[arg-type] # it takes views with arguments, too
@login_not_required
def shared(request: HttpRequest, token: str) -> HttpResponse:
    """Show whoever has the link what was shared; a revoked one is like one that never was."""
    row = _open_share(token)
    rows = copies.of_share(row)
    thread = copies.copies(rows)
    for copy in thread:
        for file in copy.files:
            file.url = reverse("conversations:shared_file", args=[token, file.id])
    theme = request.COOKIES.get("theme", "")
    context = {
        "share": row,
        "title": str(row.conversation) if row.follows else row.title,
        "owner_name": row.conversation.owner.get_username() if row.named else "",
        "thread": thread,
        "models": models_of(rows),
        "theme": theme if theme in THEMES else "",
    }
    # Without the request: what a page of a visitor knows about its reader, this one shall not.
    return _private(HttpResponse(render_to_string("conversations/shared.html", context)))


@require_safe
@never_cache
@csp({"default-src": [NONE], "sandbox": True})  # type: ignore[arg-type] # as above
@login_not_required
def shared_file(request: HttpRequest, token: str, attachment_id: uuid.UUID) -> HttpResponse:  # noqa: ARG001 - a view
    """Give a file of a message that was shared."""
    visible = [message.pk for message in copies.of_share(_open_share(token))]
    attachment = get_object_or_404(Attachment, pk=attachment_id, message__in=visible)
    shown = attachment.content_type in IMAGE_TYPES
    try:
        content = attachment.file.read() if attachment.file else attachment.text.encode()  # attachments are small
    except OSError:
        raise Http404 from None
    content_type = attachment.content_type if shown else "application/octet-stream"
    response = HttpResponse(content, content_type=content_type)
    response["Content-Disposition"] = content_disposition_header(not shown, attachment.name) or "inline"
    return _private(response)


def _open_share(token: str) -> Share:
    rows = Share.objects.open().select_related("conversation__owner", "conversation__active_leaf", "leaf")
    return get_object_or_404(rows, token=token)


def _private(response: HttpResponse) -> HttpResponse:
    """The page is for those who were given the link, and its address is for nobody else."""
    response["X-Robots-Tag"] = "noindex, nofollow, noarchive"
    response["Referrer-Policy"] = "no-referrer"
    return response


def _link(request: Request, row: Share) -> dict[str, object]:
    url = request.build_absolute_uri(reverse("conversations:shared", args=[row.token]))
    return {"row": row, "url": url}
