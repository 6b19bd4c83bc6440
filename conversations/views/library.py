"""The list in the sidebar: its pages, its search, and what can be done with one conversation of it.

What htmx asks for is answered with fragments; whoever comes without it gets a page, or is sent to one.
"""

from __future__ import annotations

import uuid
from datetime import UTC

from django.contrib import messages
from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext, ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from conversations import turns
from conversations.forms import RenameForm
from conversations.models import Conversation, ConversationQuerySet
from conversations.reading import library as lists
from conversations.turns import Gone, TurnRefused
from conversations.views.base import UNPROCESSABLE, Request, owned_conversation, refused, refused_form

ON = "on"


@require_GET
@never_cache
def listing(request: Request) -> HttpResponse:
    """Give the next page of the list, or, without a place to begin at, the list anew."""
    if not request.htmx:
        return redirect("conversations:manage")
    after = lists.Cursor.parse(request.GET.get("after", ""))
    current = _opened(request)
    context = {"conversations": lists.sidebar(request.user, current, after)}
    return render(request, "conversations/_groups.html" if after else "conversations/_conversations.html", context)


@require_GET
@never_cache
def search(request: Request) -> HttpResponse:
    """Give what is found as one types: nothing for nothing, else conversations, and messages in them."""
    filters = lists.Filters.read(request.GET.dict())
    if not request.htmx:
        return redirect(f"{reverse('conversations:manage')}?{filters.encoded()}")
    context: dict[str, object] = {"filters": filters}
    if filters.query:
        context["results"] = lists.found(request.user, filters)
    elif filters:
        context["listing"] = lists.managed(request.user, filters)
    return render(request, "conversations/_results.html", context)


@require_GET
@never_cache
def state(request: Request) -> HttpResponse:
    """Say which conversations have an answer being written, and whether the list has changed; three queries."""
    running = lists.running_ids(request.user)
    newest = lists.newest(request.user)
    opened = request.GET.get("open", "")
    gone = bool(opened) and not lists.rows_of(request.user, [opened]).exists()
    return JsonResponse(
        {"running": [str(pk) for pk in running], "newest": newest.isoformat() if newest else "", "gone": gone}
    )


@require_GET
@never_cache
def options(request: Request, conversation_id: uuid.UUID) -> HttpResponse:
    """Show what can be done with a conversation: as a menu, or as a page."""
    conversation = owned_conversation(request, conversation_id)
    context = _options(request, conversation)
    return render(request, "conversations/_options.html" if request.htmx else "conversations/options.html", context)


@require_GET
@never_cache
def row(request: Request, conversation_id: uuid.UUID) -> HttpResponse:
    """Give one row of the list, with `?rename` as a form for its title."""
    conversation = owned_conversation(request, conversation_id)
    if not request.htmx:
        return redirect("conversations:options", conversation.pk)
    template = "conversations/_row_rename.html" if "rename" in request.GET else "conversations/_row.html"
    return render(request, template, {"item": _item(request, conversation)})


@require_POST
def rename(request: Request, conversation_id: uuid.UUID) -> HttpResponse:
    """Give a conversation a title."""
    conversation = owned_conversation(request, conversation_id)
    form = RenameForm(request.POST)
    if not form.is_valid():
        return refused_form(request, conversation, form)
    turns.rename(conversation, title=form.cleaned_data["title"])
    if not request.htmx:
        return _back(request, conversation)
    return render(
        request, "conversations/_renamed.html", {"item": _item(request, conversation), "conversation": conversation}
    )


@require_POST
def pin(request: Request, conversation_id: uuid.UUID) -> HttpResponse:
    """Put a conversation at the top of the list (`value=on`), or back into its day."""
    conversation = owned_conversation(request, conversation_id)
    turns.set_pinned(_only(conversation), request.POST.get("value") == ON)
    return _list_changed(request) if request.htmx else _back(request, conversation)


@require_POST
def archive(request: Request, conversation_id: uuid.UUID) -> HttpResponse:
    """Take a conversation out of the list (`value=on`), or bring it back."""
    conversation = owned_conversation(request, conversation_id)
    archived = request.POST.get("value") == ON
    turns.set_archived(_only(conversation), archived)
    if request.htmx:
        return _list_changed(request)
    messages.success(request, gettext("Archived.") if archived else gettext("Back in the list."))
    return _back(request, conversation)


@require_POST
def tags(request: Request, conversation_id: uuid.UUID) -> HttpResponse:
    """Add the tag named `name`, or take away the one with the id `remove`."""
    conversation = owned_conversation(request, conversation_id)
    try:
        if removed := request.POST.get("remove", ""):
            tag = get_object_or_404(request.user.tags, pk=lists.number(removed))
            turns.untag(_only(conversation), tag)
        else:
            turns.tag(request.user, _only(conversation), request.POST.get("name", ""))
    except TurnRefused as refusal:
        return refused(request, conversation, str(refusal), status=UNPROCESSABLE)
    if request.htmx:
        return render(request, "conversations/_options.html", _options(request, conversation))
    return redirect("conversations:options", conversation.pk)


@require_POST
def delete(request: Request, conversation_id: uuid.UUID) -> HttpResponse:
    """Delete a conversation; for a while it can be brought back."""
    try:
        turns.delete(owned_conversation(request, conversation_id))
    except Gone as gone:
        raise Http404 from gone
    if not request.htmx:
        return redirect("conversations:home")
    context = {"conversation_id": conversation_id, "undoable": lists.undoable(request.user)}
    return render(request, "conversations/_deleted.html", context)


@require_POST
def undo(request: Request) -> HttpResponse:
    """Bring back what was deleted at the moment `at`."""
    try:
        at = parse_datetime(request.POST.get("at", ""))
        at = at.astimezone(UTC) if at is not None and at.tzinfo is not None else None
    except (ValueError, OverflowError):
        at = None
    restored = turns.undo_delete(request.user, at) if at is not None else 0
    if request.htmx:
        context = {"conversations": lists.sidebar(request.user, _opened(request)), "too_late": not restored}
        return render(request, "conversations/_undone.html", context)
    if restored:
        count = {"count": restored}
        messages.success(
            request, ngettext("%(count)d conversation is back.", "%(count)d conversations are back.", restored) % count
        )
    else:
        messages.error(request, gettext("It was too late: this is gone for good."))
    return redirect("conversations:manage")


@require_POST
def keep(request: Request, conversation_id: uuid.UUID) -> HttpResponse:
    """Make a temporary conversation one like all others."""
    conversation = owned_conversation(request, conversation_id)
    try:
        turns.keep(conversation)
    except Gone as gone:
        raise Http404 from gone
    return redirect("conversations:conversation", conversation.pk)


@require_POST
def presence(request: Request, conversation_id: uuid.UUID) -> HttpResponse:
    """Note that a page of a temporary conversation is open (`here=yes`), or was closed."""
    conversation = owned_conversation(request, conversation_id)
    (turns.come_back if request.POST.get("here") == "yes" else turns.leave)(conversation)
    return HttpResponse(status=204)


def _only(conversation: Conversation) -> ConversationQuerySet:
    return Conversation.objects.filter(pk=conversation.pk, owner=conversation.owner_id)


def _opened(request: Request) -> Conversation | None:
    """Return the conversation that the asking page shows; only its id is known."""
    try:
        parts = (request.htmx.current_url_abs_path or "").split("/")
        return Conversation(pk=uuid.UUID(parts[2])) if parts[1:2] == ["c"] else None
    except (IndexError, ValueError):
        return None


def _item(request: Request, conversation: Conversation) -> lists.Item:
    item = lists.item(conversation, _opened(request))
    item.running = conversation.running  # type: ignore[attr-defined] # by with_running
    return item


def _options(request: Request, conversation: Conversation) -> dict[str, object]:
    return {
        "conversation": conversation,
        "current": conversation == _opened(request),
        "tags": list(conversation.tags.all()),
        "known_tags": lists.tags_of(request.user),
    }


def _list_changed(request: Request) -> HttpResponse:
    context = {"conversations": lists.sidebar(request.user, _opened(request))}
    return render(request, "conversations/_list_changed.html", context)


def _back(request: Request, conversation: Conversation) -> HttpResponse:
    """Return to the page of options when it was asked there, else to the conversation."""
    page = "options" if request.POST.get("page") == "options" else "conversation"
    return redirect(f"conversations:{page}", conversation.pk)
