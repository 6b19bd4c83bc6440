"""Plans, and the state of the services that models name."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy

from chatapp.accounts.models import User
from conversations import audit
from conversations.admin.base import BOXES
from conversations.models import Breaker, ChatModel, Plan

STATES = {
    "closed": gettext_lazy("closed"),
    "open": gettext_lazy("open"),
    "half-open": gettext_lazy("half-open: one request at a time is let through"),
}


@admin.register(Plan)
class PlanAdmin(admin.ModelAdmin):  # type: ignore[type-arg] # as above
    list_display = (
        "name",
        "requests_per_minute",
        "tokens_per_minute",
        "tokens_per_day",
        "tokens_per_month",
        "generations",
        "streams",
    )
    search_fields = ("name",)
    formfield_overrides = BOXES
    fieldsets = (
        (
            None,
            {
                "fields": ("name", "groups"),
                "description": gettext_lazy(
                    "Empty and 0 are no limit. Of several plans the most generous counts, limit by limit."
                ),
            },
        ),
        (
            gettext_lazy("Each user"),
            {
                "fields": (
                    "requests_per_minute",
                    "tokens_per_minute",
                    "tokens_per_day",
                    "tokens_per_month",
                    "generations",
                    "streams",
                    "message_characters",
                    "attachments",
                    "attachment_bytes",
                )
            },
        ),
        (
            gettext_lazy("All members of a group together"),
            {"fields": ("group_tokens_per_day", "group_tokens_per_month", "group_generations")},
        ),
    )


@admin.register(Breaker)
class BreakerAdmin(admin.ModelAdmin):  # type: ignore[type-arg] # as above
    """The state of each service that models name; only `mode` can be changed."""

    list_display = ("base_url", "mode", "now", "last_error", "trips", "changed_at", "retry_at")
    list_editable = ("mode",)
    fields = list_display
    readonly_fields = ("base_url", "now", "last_error", "trips", "changed_at", "retry_at")

    @admin.display(description=gettext_lazy("state"))
    def now(self, breaker: Breaker) -> str:
        """Whether the service is asked at the moment."""
        return str(STATES[breaker.state])

    def get_queryset(self, request: HttpRequest) -> QuerySet[Breaker]:
        """List services also before anything has happened to them."""
        addresses = ChatModel.objects.exclude(base_url="demo:").values_list("base_url", flat=True).distinct()
        missing = set(addresses) - set(Breaker.objects.values_list("base_url", flat=True))
        Breaker.objects.bulk_create([Breaker(base_url=url) for url in sorted(missing)], ignore_conflicts=True)
        return super().get_queryset(request)

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002 - Django's interface
        """Rows come by themselves."""
        return False

    def save_model(self, request: HttpRequest, obj: Breaker, form: Any, change: bool) -> None:
        """Note who has forced a breaker."""
        super().save_model(request, obj, form, change)
        audit.record(cast(User, request.user), "breaker.mode", service=obj.base_url, mode=obj.mode)
