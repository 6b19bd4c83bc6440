"""Messages and generations, one by one: facts for everybody here, words for those who have opened the conversation."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import URLPattern, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, gettext_lazy

from conversations.admin import replay
from conversations.admin.base import ReadOnlyAdmin, title_of, user_of, with_opened
from conversations.admin.list_filters import GenerationStatusFilter
from conversations.asking.context import answer_text
from conversations.models import Generation, Message
from conversations.reading import transcript

EXCERPT_CHARACTERS = 120


def link_to(row: Any, message: Message) -> SafeString:
    """Return a link to the transcript at a message, for a row that comes `with_opened`."""
    url = reverse("admin:conversations_conversation_change", args=[message.conversation_id])
    query = urlencode({"at": message.pk})
    return format_html('<a href="{}?{}">{}</a>', url, query, title_of(row, message.conversation))


def words_of(row: Any, thread: list[Message]) -> str:
    """Return messages by the users' own template, for a row that comes `with_opened`, or what to do to read them."""
    if not row.opened:
        return gettext("Masked. Open the transcript with a reason to read it.")
    return render_to_string(
        "conversations/_transcript.html", {"thread": [transcript.single(message) for message in thread]}
    )


@admin.register(Message)
class MessageAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "role", "transcript", "excerpt")
    list_filter = ("role",)
    fields = ("transcript", "role", "created_at", "shown")
    readonly_fields = ("transcript", "shown")
    ordering = ("-pk",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Message]:
        """Read the generations of a whole page at once."""
        rows = Message.objects.filter(conversation__deleted_at=None).prefetch_related("generations__model")
        return with_opened(rows.select_related("conversation"), user_of(request), "conversation")

    @admin.display(description=gettext_lazy("transcript"))
    def transcript(self, message: Message) -> SafeString:
        """A link to the conversation at this message."""
        return link_to(message, message)

    @admin.display(description=gettext_lazy("text"), empty_value="••••")
    def excerpt(self, message: Any) -> str | None:
        """The first words, as plain text."""
        return (message.text or answer_text(message))[:EXCERPT_CHARACTERS] if message.opened else None

    @admin.display(description=gettext_lazy("as the user saw it"))
    def shown(self, message: Message) -> str:
        """Show one message by the user's own template."""
        return words_of(message, [message])


@admin.register(Generation)
class GenerationAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "transcript", "shown_status", "why", "model", "output_tokens", "kind", "played")
    list_filter = (GenerationStatusFilter, "model")
    search_fields = ("=id",)
    search_help_text = gettext_lazy("The id of a generation.")
    ordering = ("-pk",)
    fields = (
        "transcript",
        *("kind", "model", "model_name", "instead_of", "status", "finish_reason", "error_code", "takeovers"),
        *("input_tokens", "output_tokens", "usage_estimated", "cost", "time_to_first_token_ms"),
        *("created_at", "started_at", "stop_requested_at", "ended_at"),
    )
    readonly_fields = ("transcript",)

    def get_urls(self) -> list[URLPattern]:
        """Add the replay."""
        return [replay.url(self), *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Generation]:
        """Leave out what the page does not show: texts are long."""
        rows = Generation.objects.filter(message__conversation__deleted_at=None).defer("output", "timeline")
        return with_opened(
            rows.select_related("model", "message__conversation"), user_of(request), "message__conversation"
        )

    @admin.display(description=gettext_lazy("status"))
    def shown_status(self, generation: Generation) -> SafeString:
        """The status as a badge."""
        return format_html('<span class="badge {}">{}</span>', generation.status, generation.get_status_display())

    @admin.display(description=gettext_lazy("why"))
    def why(self, generation: Generation) -> str:
        """Why it ended."""
        return generation.error_code or generation.finish_reason or "-"

    @admin.display(description=gettext_lazy("replay"))
    def played(self, generation: Generation) -> SafeString:
        """A link to its replay."""
        url = reverse("admin:conversations_generation_replay", args=[generation.pk])
        return format_html('<a href="{}">{}</a>', url, gettext("Replay"))

    @admin.display(description=gettext_lazy("transcript"))
    def transcript(self, generation: Generation) -> SafeString:
        """A link to its conversation at its message."""
        return link_to(generation, generation.message)
