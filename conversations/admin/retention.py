"""Rules of retention, with what each would delete now, and legal holds."""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext, gettext_lazy

from chatapp.accounts.models import User
from conversations.admin.base import BOXES
from conversations.keeping import holds, retention
from conversations.models import Conversation, LegalHold, RetentionRule


@admin.register(RetentionRule)
class RetentionRuleAdmin(admin.ModelAdmin):  # type: ignore[type-arg] # as above
    list_display = ("name", "days", "for_everybody", "keep_pinned", "enabled")
    formfield_overrides = BOXES
    fields = ("name", "days", "for_everybody", "groups", "keep_pinned", "enabled", "due_now")
    readonly_fields = ("due_now",)

    @admin.display(description=gettext_lazy("would delete now"))
    def due_now(self, rule: RetentionRule) -> str:
        """Count what the rule, as it is saved, finds; deletes nothing."""
        if rule.pk is None:
            return gettext("Save the rule, without enabling it, to see what it finds.")
        found = retention.amount(retention.due(rule))
        counts = {"conversations": found.conversations, "messages": found.messages, "files": found.attachments}
        return gettext("%(conversations)d conversations, %(messages)d messages, %(files)d files") % counts


class HoldForm(forms.ModelForm):  # type: ignore[type-arg] # as above
    """A hold names a conversation by its id: the admin's own field would show its title."""

    conversation = forms.UUIDField(
        required=False, label=gettext_lazy("Conversation"), help_text=gettext_lazy("Its id.")
    )

    def clean_conversation(self) -> Conversation | None:
        """Find it."""
        pk = self.cleaned_data["conversation"]
        found = Conversation.objects.filter(pk=pk).first() if pk is not None else None
        if pk is not None and found is None:
            raise forms.ValidationError(gettext("There is no conversation with this id."))
        return found


@admin.register(LegalHold)
class LegalHoldAdmin(admin.ModelAdmin):  # type: ignore[type-arg] # as above
    """To add one is to place it, to delete it to release it."""

    list_display = ("__str__", "reason", "placed_by", "placed_at")
    list_select_related = ("user", "placed_by")
    form = HoldForm
    raw_id_fields = ("user",)

    def get_fields(self, request: HttpRequest, obj: LegalHold | None = None) -> tuple[str, ...]:  # noqa: ARG002 - Django's interface
        """Show what is held by its id alone."""
        return ("user", "conversation", "reason") if obj is None else ("__str__", "reason", "placed_by", "placed_at")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 - Django's interface
        """Never: a hold is released, and another one placed."""
        return False

    def save_model(self, request: HttpRequest, obj: LegalHold, form: Any, change: bool) -> None:  # noqa: ARG002 - as above
        """Place it."""
        holds.place(obj, by=cast(User, request.user))

    def delete_model(self, request: HttpRequest, obj: LegalHold) -> None:
        """Release it."""
        holds.release(obj, by=cast(User, request.user))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[LegalHold]) -> None:
        """Release all of them."""
        for hold in queryset:
            holds.release(hold, by=cast(User, request.user))
