"""Models and shared presets: what staff edit."""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext, gettext_lazy

from chatapp.accounts.models import User
from conversations import audit
from conversations.asking.parameters import NAMES, BadParameter, Parameters, checked
from conversations.models import ChatModel, Preset


@admin.register(ChatModel)
class ChatModelAdmin(admin.ModelAdmin):  # type: ignore[type-arg] # as above
    """Owners edit models; operators, who may change but not add them, only put them out of service and back."""

    list_display = ("label", "model_name", "base_url", "in_service", "enabled", "position")
    list_filter = ("enabled",)
    list_editable = ("enabled", "position")
    search_fields = ("label", "model_name", "base_url")

    @admin.display(description=gettext_lazy("in service"), boolean=True)
    def in_service(self, model: ChatModel) -> bool:
        """Whether users can ask it."""
        return not model.out_of_service_message

    def get_readonly_fields(self, request: HttpRequest, obj: ChatModel | None = None) -> tuple[str, ...]:  # noqa: ARG002 - Django's interface
        """Leave operators the one sentence: an address or the name of a key in wrong hands would give keys away."""
        if self.has_add_permission(request):
            return ()
        return tuple(field.name for field in self.opts.fields if field.name not in {"id", "out_of_service_message"})

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Let only owners edit in the list."""
        changelist = super().get_changelist_instance(request)
        if not self.has_add_permission(request):
            changelist.list_editable = ()
        return changelist

    def save_model(self, request: HttpRequest, obj: ChatModel, form: Any, change: bool) -> None:
        """Note who has put a model out of service or back; the sentence is in the row."""
        super().save_model(request, obj, form, change)
        if "out_of_service_message" in form.changed_data:
            state = "out" if obj.out_of_service_message else "in"
            audit.record(cast(User, request.user), "model.service", model=str(obj.pk), service=state)


class PresetForm(forms.ModelForm):  # type: ignore[type-arg] # as above
    """A preset that everybody may apply."""

    def clean_parameters(self) -> Parameters:
        """Take only what users may set as well."""
        try:
            return checked(self.cleaned_data["parameters"] or {})
        except (BadParameter, AttributeError) as bad:
            known = ", ".join(NAMES)
            sentence = gettext("“%(name)s” cannot be set, or not to this value. What can be set: %(known)s.")
            raise forms.ValidationError(sentence % {"name": bad, "known": known}) from bad


@admin.register(Preset)
class PresetAdmin(admin.ModelAdmin):  # type: ignore[type-arg] # as above
    """The shared presets; those of users are theirs."""

    form = PresetForm
    list_display = ("name", "model")
    list_select_related = ("model",)
    search_fields = ("name",)
    fields = ("name", "system_prompt", "parameters", "model")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Preset]:
        """Show only those without an owner."""
        return super().get_queryset(request).filter(owner=None)
