"""The command palette's search, and what it and the list of shortcuts are without JavaScript: pages."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from chatapp.accounts.models import User
from conversations.reading.library import day_label
from conversations.views.base import Request

OPTIONS = 8
QUERY_CHARACTERS = 200


@require_GET
@never_cache
def palette(request: Request) -> HttpResponse:
    """Give the user's conversations whose titles hold `?q=`, newest first: options for htmx, else a page."""
    query = " ".join(request.GET.get("q", "").replace("\0", " ").split())[:QUERY_CHARACTERS]
    context = {"query": query, "found": conversations_named(request.user, query, limit=OPTIONS)}
    template = "conversations/_palette_options.html" if request.htmx else "conversations/palette.html"
    return render(request, template, context)


def conversations_named(user: User, query: str, *, limit: int) -> list[dict[str, Any]]:
    """Return the newest conversations whose titles hold every word of `query`; all of them when it is empty."""
    rows = user.conversations.visible().filter(temporary=False)
    for word in query.split():
        rows = rows.filter(title__icontains=word)
    return [
        {
            "id": row.pk,
            "title": row.title or gettext("New conversation"),
            "day": day_label(timezone.localtime(row.updated_at).date()),
        }
        for row in rows.only("id", "title", "updated_at", "owner")[:limit]
    ]


@require_GET
def shortcuts(request: HttpRequest) -> HttpResponse:
    """List the keyboard shortcuts."""
    return render(request, "conversations/shortcuts.html")
