"""The Django admin: models are edited here; transcripts are read, as the user saw them, and never changed."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.safestring import SafeString

from conversations import transcript
from conversations.context import answer_text
from conversations.models import AuditEntry, ChatModel, Conversation, Generation, Message

EXCERPT_CHARACTERS = 120


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg] # generic for the type checker alone
    """Staff read; nobody adds, changes or deletes here."""

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002 - Django's interface
        """Never."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 - as above
        """Never."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 - as above
        """Never."""
        return False


@admin.register(ChatModel)
class ChatModelAdmin(admin.ModelAdmin):  # type: ignore[type-arg] # as above
    list_display = ("label", "model_name", "base_url", "enabled", "position")
    list_filter = ("enabled",)
    list_editable = ("enabled", "position")
    search_fields = ("label", "model_name", "base_url")


@admin.register(Conversation)
class ConversationAdmin(ReadOnlyAdmin):
    list_display = ("title", "owner", "model", "message_count", "updated_at")
    list_filter = ("model", "updated_at")
    list_select_related = ("owner", "model")
    search_fields = ("title", "owner__username")
    fields = ("title", "owner", "model", "system_prompt", "created_at", "updated_at", "transcript")
    readonly_fields = ("transcript",)

    class Media:
        css: ClassVar = {"all": ("css/stillwater.css", "css/admin.css")}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Conversation]:  # noqa: ARG002 - Django's interface
        """Count messages in the same query."""
        return Conversation.objects.annotate(message_count=Count("messages"))

    @admin.display(description="messages", ordering="message_count")
    def message_count(self, conversation: Any) -> int:
        """How many messages all branches have."""
        return int(conversation.message_count)

    @admin.display(description="transcript")
    def transcript(self, conversation: Conversation) -> SafeString:
        """Show the branch that the user has open, by the user's own templates."""
        return render_to_string("conversations/_transcript.html", {"thread": transcript.thread(conversation)})


@admin.register(Message)
class MessageAdmin(ReadOnlyAdmin):
    list_display = ("id", "role", "conversation", "excerpt", "created_at")
    list_filter = ("role", "created_at")
    list_select_related = ("conversation",)
    search_fields = ("text", "conversation__title")
    fields = ("conversation", "role", "created_at", "parent", "shown")
    readonly_fields = ("shown",)

    class Media:
        css: ClassVar = {"all": ("css/stillwater.css", "css/admin.css")}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Message]:
        """Read the generations of a whole page at once."""
        return super().get_queryset(request).prefetch_related("generations__model")

    @admin.display(description="text")
    def excerpt(self, message: Message) -> str:
        """The first words, as plain text."""
        text = message.text or answer_text(message)
        return text[:EXCERPT_CHARACTERS]

    @admin.display(description="as the user saw it")
    def shown(self, message: Message) -> SafeString:
        """Show one message by the user's own template."""
        return render_to_string("conversations/_transcript.html", {"thread": [transcript.single(message)]})


@admin.register(Generation)
class GenerationAdmin(ReadOnlyAdmin):
    list_display = ("id", "conversation", "kind", "status", "finish_reason", "model", "output_tokens", "created_at")
    list_filter = ("status", "finish_reason", "model", "created_at")
    list_select_related = ("model", "message__conversation")
    search_fields = ("=id", "error_code")

    @admin.display(description="conversation")
    def conversation(self, generation: Generation) -> str:
        """The title of its conversation."""
        return format_html("{}", generation.message.conversation)


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    list_display = ("at", "action", "actor", "conversation_id", "generation_id")
    list_filter = ("action", "at")
    list_select_related = ("actor",)
    search_fields = ("=conversation_id", "=generation_id", "actor__username")
