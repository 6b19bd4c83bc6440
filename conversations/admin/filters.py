"""Rules about what users and models may write: edited here, tried on stored transcripts, switched on."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, gettext_lazy

from conversations import audit
from conversations.admin.base import BOXES, user_of
from conversations.filters.patterns import BadPattern
from conversations.models import FilterRule
from conversations.review import openings
from conversations.safety.filtering import compiled
from conversations.safety.trials import MOST_MESSAGES, Trial, try_rule


class FilterRuleForm(forms.ModelForm):  # type: ignore[type-arg] # as in catalogue
    """A rule; its pattern must be one that can be matched in bounded time."""

    def clean(self) -> dict[str, Any]:
        """Refuse a pattern outside the dialect."""
        cleaned: dict[str, Any] = super().clean() or {}
        if (
            cleaned.get("kind") in (FilterRule.Kind.PATTERN, FilterRule.Kind.WORDS)
            and cleaned.get("source", "").strip()
        ):
            row = FilterRule(**{name: cleaned.get(name, "") for name in ("kind", "source")})
            row.ignore_case = bool(cleaned.get("ignore_case"))
            try:
                compiled(row)
            except BadPattern as bad:
                raise ValidationError({"source": str(bad)}) from bad
        return cleaned


class TrialForm(forms.Form):
    """On how much to try a rule."""

    messages = forms.IntegerField(
        min_value=1, max_value=MOST_MESSAGES, initial=200, label=gettext_lazy("Newest messages")
    )


@admin.register(FilterRule)
class FilterRuleAdmin(admin.ModelAdmin):  # type: ignore[type-arg] # as in catalogue
    form = FilterRuleForm
    formfield_overrides = BOXES
    list_display = ("name", "kind", "action", "direction", "enabled", "try_it", "updated_at")
    list_filter = ("enabled", "kind", "action", "direction")
    search_fields = ("name",)
    readonly_fields = ("try_it",)
    fieldsets = (
        (None, {"fields": ("name", "enabled", "try_it", "kind", "action", "direction", "position")}),
        (gettext_lazy("Patterns and words"), {"fields": ("source", "ignore_case")}),
        (gettext_lazy("What is shown"), {"fields": ("label", "sentence")}),
        (gettext_lazy("For whom"), {"fields": ("chat_models", "groups")}),
        (
            gettext_lazy("Moderation service"),
            {"fields": ("base_url", "model_name", "api_key_variable", "categories", "timeout_seconds", "on_failure")},
        ),
    )

    def get_urls(self) -> list[Any]:
        """Add the page on which a rule is tried."""
        view = self.admin_site.admin_view(self.try_view)
        return [path("<int:pk>/try/", view, name="conversations_filterrule_try"), *super().get_urls()]

    @admin.display(description=gettext_lazy("trial"))
    def try_it(self, rule: FilterRule) -> SafeString | str:
        """A link to the page on which a rule is tried; a service is not sent what is stored."""
        if rule.pk is None or rule.kind == FilterRule.Kind.SERVICE:
            return "-"
        url = reverse("admin:conversations_filterrule_try", args=[rule.pk])
        return format_html('<a href="{}">{}</a>', url, gettext("Try this rule"))

    def try_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Run a rule over the newest messages; it changes nothing but the audit trail."""
        rule = get_object_or_404(FilterRule, pk=pk)
        may_read = request.user.has_perm("conversations.view_message")
        if not (may_read and self.has_view_permission(request, rule)) or rule.kind == FilterRule.Kind.SERVICE:
            raise PermissionDenied
        opened = set(openings.opened_by(user_of(request)).values_list("conversation_id", flat=True))
        form = TrialForm(request.POST or None)
        trial: Trial | None = None
        if form.is_valid():
            trial = try_rule(rule, form.cleaned_data["messages"], readable=opened)
            audit.record(user_of(request), "filter.try", rule=rule.pk, messages=trial.messages, found=trial.found)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": gettext("Try “%(rule)s”") % {"rule": rule},
            "rule": rule,
            "form": form,
            "trial": trial,
            "opened": len(opened),
        }
        return TemplateResponse(request, "admin/conversations/filterrule/try.html", context)

    def save_model(self, request: HttpRequest, obj: FilterRule, form: Any, change: bool) -> None:
        """Note who has switched a rule on or off; the rest is noted by the admin itself, without the pattern."""
        super().save_model(request, obj, form, change)
        if "enabled" in form.changed_data:
            audit.record(user_of(request), "filter.switch", rule=obj.pk, to="on" if obj.enabled else "off")
