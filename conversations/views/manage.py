"""The page that manages conversations: search, filters, archive, and actions on many at once; without any script."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from conversations import turns
from conversations.models import ConversationQuerySet
from conversations.reading import library as lists
from conversations.turns import TurnRefused
from conversations.views.base import Request

BULK: dict[str, Callable[[ConversationQuerySet], int]] = {
    "pin": lambda rows: turns.set_pinned(rows, True),
    "unpin": lambda rows: turns.set_pinned(rows, False),
    "archive": lambda rows: turns.set_archived(rows, True),
    "restore": lambda rows: turns.set_archived(rows, False),
}


@require_GET
@never_cache
def manage(request: Request) -> HttpResponse:
    """Show what passes the filters, with what can be done with it; `after` is where a later page begins."""
    filters = lists.Filters.read(request.GET.dict())
    after = request.GET.get("after", "")
    context: dict[str, object] = {
        "filters": filters,
        "tags": lists.tags_of(request.user),
        "models": lists.models_of(request.user),
        "undoable": lists.undoable(request.user),
        "later": bool(after),
    }
    if filters.query:
        before = int(after) if after.isascii() and after.isdigit() and len(after) < 18 else None  # noqa: PLR2004 - a key
        context["results"] = lists.found(request.user, filters, before)
    else:
        context["listing"] = lists.managed(request.user, filters, lists.Cursor.parse(after))
    return render(request, "conversations/manage.html", context)


@require_POST
def bulk(request: Request) -> HttpResponse:
    """Do `action` with the conversations whose ids were ticked, and return to where that was."""
    rows = lists.rows_of(request.user, request.POST.getlist("ids"))
    count = rows.count()
    back = _back(request)
    if not count:
        messages.error(request, gettext("Tick the conversations first."))
        return redirect(back)
    try:
        _do(request, rows, request.POST.get("action", ""))
    except TurnRefused as refusal:
        messages.error(request, str(refusal))
        return redirect(back)
    done = ngettext("Done with %(count)d conversation.", "Done with %(count)d conversations.", count)
    messages.success(request, done % {"count": count})
    return redirect(back)


@require_POST
def delete_all(request: Request) -> HttpResponse:
    """Delete all conversations, those in the archive too; for a while they can be brought back."""
    if request.POST.get("sure") != "yes":
        messages.error(request, gettext("Nothing was deleted. Tick the box to say that you are sure."))
    else:
        turns.delete_many(request.user, request.user.conversations.all())
    return redirect("conversations:manage")


def _do(request: Request, rows: ConversationQuerySet, action: str) -> None:
    if action in BULK:
        BULK[action](rows)
    elif action == "delete":
        turns.delete_many(request.user, rows)
    elif action == "tag":
        turns.tag(request.user, rows, request.POST.get("name", ""))
    elif action == "untag":
        name = request.POST.get("name", "").replace("\0", "").strip().removeprefix("#")
        tag = request.user.tags.filter(name__iexact=name).first()
        if tag is None:
            raise TurnRefused(gettext("You have no tag of this name."))
        turns.untag(rows, tag)
    else:
        raise TurnRefused(gettext("Choose what to do with the conversations you ticked."))


def _back(request: Request) -> str:
    filters = lists.Filters.read(request.POST.dict())
    return f"{reverse('conversations:manage')}?{filters.encoded()}" if filters else reverse("conversations:manage")
