"""The audit trail, for reading and for taking away."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from itertools import islice
from typing import Any, cast

from asgiref.sync import sync_to_async
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, gettext_lazy

from chatapp.accounts.models import User
from conversations import audit
from conversations.admin.base import ReadOnlyAdmin, masked
from conversations.admin.list_filters import ActionFilter
from conversations.audit import export
from conversations.models import AuditEntry

LINES_AT_ONCE = 500
MOST_TOLD = 200  # characters in the list


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    list_display = ("at", "action", "who", "where", "told")
    list_filter = (ActionFilter, "at")
    list_select_related = ("actor",)
    search_fields = ("=conversation_id", "=generation_id", "=actor__username")
    search_help_text = gettext_lazy("The id of a conversation or of a generation, or the user name of whoever did it.")
    ordering = ("-pk",)
    fields = ("at", "action", "who", "where", "generation_id", "data", "position", "hash")
    readonly_fields = ("where",)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Call it what everybody calls it."""
        return super().changelist_view(request, {"list_title": gettext("Audit trail"), **(extra_context or {})})

    @admin.display(description=gettext_lazy("conversation"))
    def where(self, entry: AuditEntry) -> SafeString | str:
        """A link to the conversation; it may be gone by now."""
        if entry.conversation_id is None:
            return "-"
        url = reverse("admin:conversations_conversation_change", args=[entry.conversation_id])
        return format_html('<a href="{}">{}</a>', url, masked(entry.conversation_id))

    @admin.display(description=gettext_lazy("details"))
    def told(self, entry: AuditEntry) -> str:
        """What else the entry says, in one line."""
        return ", ".join(f"{name}: {value}" for name, value in entry.data.items())[:MOST_TOLD]

    @admin.display(description=gettext_lazy("actor"), ordering="actor_id")
    def who(self, entry: AuditEntry) -> str:
        """The name of whoever it was; of a deleted account only the id is left."""
        if entry.actor_id is None:
            return gettext("the system")
        actor = (
            User.objects.filter(pk=entry.actor_id).first() if "actor" not in entry._state.fields_cache else entry.actor
        )
        return str(actor) if actor is not None else gettext("deleted account %(id)d") % {"id": entry.actor_id}

    def get_urls(self) -> list[URLPattern]:
        """Add the export."""
        own = path("export/", self.admin_site.admin_view(self.export_view), name="conversations_auditentry_export")
        return [own, *super().get_urls()]

    def export_view(self, request: HttpRequest) -> HttpResponseBase:
        """Stream the trail as JSON Lines, from `since` on and before `until`."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        try:
            since, until = _moment(request, "since"), _moment(request, "until")
        except ValueError:
            return HttpResponseBadRequest(gettext("Give days, such as 2026-03-01."), content_type="text/plain")
        audit.record(cast(User, request.user), "audit.export", since=str(since or ""), until=str(until or ""))
        lines = export.lines(export.between(since, until))
        response = StreamingHttpResponse(_in_pieces(lines), content_type="application/x-ndjson")
        response["Content-Disposition"] = 'attachment; filename="audit.jsonl"'
        response["Cache-Control"] = "no-store"
        return response


def _moment(request: HttpRequest, name: str) -> datetime | None:
    text = request.GET.get(name)
    return export.moment(text) if text else None


async def _in_pieces(lines: Iterator[str]) -> AsyncIterator[str]:
    """Read in a thread, so that the event loop does not wait for the database."""

    def piece() -> str:
        return "".join(islice(lines, LINES_AT_ONCE))

    while text := await sync_to_async(piece, thread_sensitive=True)():
        yield text
