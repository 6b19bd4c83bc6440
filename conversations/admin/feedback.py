"""What users said of answers."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy

from conversations.admin.base import ReadOnlyAdmin, user_of, with_opened
from conversations.admin.list_filters import OwnerFilter
from conversations.admin.messages import link_to, words_of
from conversations.models import Feedback


@admin.register(Feedback)
class FeedbackAdmin(ReadOnlyAdmin):
    list_display = ("value", "said", "owner", "answered_by", "transcript", "created_at")
    list_filter = (
        OwnerFilter,
        "value",
        ("comment", admin.EmptyFieldListFilter),
        "message__generations__model",
        "created_at",
    )
    fields = ("value", "said", "owner", "answered_by", "created_at", "transcript", "shown")
    readonly_fields = ("said", "answered_by", "transcript", "shown")
    ordering = ("-pk",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Feedback]:
        """Read the generations of a whole page at once."""
        rows = Feedback.objects.filter(message__conversation__deleted_at=None)
        rows = rows.select_related("owner", "message__conversation").prefetch_related("message__generations__model")
        return with_opened(rows, user_of(request), "message__conversation")

    @admin.display(description=gettext_lazy("comment"))
    def said(self, feedback: Any) -> str:
        """What was said, for whoever may read it; for others only that something was."""
        if not feedback.comment:
            return ""
        return str(feedback.comment) if feedback.opened else "••••"

    @admin.display(description=gettext_lazy("model"))
    def answered_by(self, feedback: Feedback) -> str:
        """The models that wrote the answer."""
        models = [generation.model for generation in feedback.message.generations.all()]
        return ", ".join(dict.fromkeys(model.label for model in models if model is not None))

    @admin.display(description=gettext_lazy("transcript"))
    def transcript(self, feedback: Feedback) -> SafeString:
        """A link to the conversation at the answer, also when another version is open by now."""
        return link_to(feedback, feedback.message)

    @admin.display(description=gettext_lazy("the question and the answer"))
    def shown(self, feedback: Feedback) -> str:
        """Show both."""
        return words_of(feedback, [row for row in (feedback.message.parent, feedback.message) if row is not None])
