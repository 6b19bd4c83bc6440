"""What is set for a conversation or for the next one, presets, and the defaults of a user.

Each is a page with forms; where there is a script the settings of a conversation open beside it, as a panel.
"""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from conversations import turns
from conversations.asking.catalogue import available_models
from conversations.forms import DefaultsForm, PresetForm, PresetNameForm, SettingsForm, first_error
from conversations.models import ChatModel, Conversation, Preset
from conversations.turns import ConversationSettings, TurnRefused, presets_for
from conversations.views.base import CONFLICT, UNPROCESSABLE, Request, owned_conversation, why
from conversations.views.beginnings import beginning_of, set_beginning
from conversations.views.composing import chosen_model, model_choices, settings_url, window_view


@require_http_methods(["GET", "POST"])
@never_cache
def conversation_settings(request: Request, conversation_id: uuid.UUID) -> HttpResponse:
    """Show what is set for a conversation; change it."""
    return _settings(request, owned_conversation(request, conversation_id))


@require_http_methods(["GET", "POST"])
@never_cache
def new_settings(request: Request) -> HttpResponse:
    """Show what is set for the next conversation; change it."""
    return _settings(request, None)


@require_POST
def apply_preset(request: Request, conversation_id: uuid.UUID) -> HttpResponse:
    """Set a conversation up as a preset says."""
    return _apply(request, owned_conversation(request, conversation_id))


@require_POST
def apply_new_preset(request: Request) -> HttpResponse:
    """Set the next conversation up as a preset says."""
    return _apply(request, None)


def _settings(request: Request, conversation: Conversation | None) -> HttpResponse:
    current = _current(request, conversation)
    if request.method == "GET":
        return _page(request, conversation, _bound_to(current))
    form = SettingsForm(request.POST)
    if not form.is_valid():
        return _page(request, conversation, form, status=UNPROCESSABLE)
    try:
        wanted = ConversationSettings.given(form.cleaned_data["system_prompt"], form.parameters(current.parameters))
        with transaction.atomic():  # both, or what is refused has changed nothing
            if form.makes_preset:
                model = _model(request, conversation)
                turns.create_preset(request.user, name=form.cleaned_data["preset_name"], settings=wanted, model=model)
            saved = _save(request, conversation, wanted, None)
    except TurnRefused as refusal:
        return _page(request, conversation, form, error=why(refusal), status=CONFLICT)
    return _done(request, saved)


def _apply(request: Request, conversation: Conversation | None) -> HttpResponse:
    form = PresetForm(request.POST, presets=presets_for(request.user))
    if not form.is_valid():
        shown = _bound_to(_current(request, conversation))
        return _page(request, conversation, shown, error=first_error(form), status=UNPROCESSABLE)
    preset: Preset = form.cleaned_data["preset"]
    return _done(request, _save(request, conversation, ConversationSettings.of(preset), preset.model))


def _current(request: Request, conversation: Conversation | None) -> ConversationSettings:
    if conversation is not None:
        return ConversationSettings.of(conversation)
    return beginning_of(request.user, request.session).settings


def _save(
    request: Request, conversation: Conversation | None, wanted: ConversationSettings, model: ChatModel | None
) -> Conversation | None:
    """Set a conversation, or the next one, up; return the conversation as it is now."""
    if conversation is not None:
        return turns.configure(conversation, wanted, model=model)
    set_beginning(request.session, wanted, model if model is not None and model.enabled else None)
    return None


def _model(request: Request, conversation: Conversation | None) -> ChatModel | None:
    return conversation.model if conversation else beginning_of(request.user, request.session).model


def _bound_to(settings: ConversationSettings) -> SettingsForm:
    return SettingsForm(initial={"system_prompt": settings.system_prompt, **settings.parameters})


def _done(request: Request, conversation: Conversation | None) -> HttpResponse:
    """Answer a change: the panel again, with the parts of the composer that show it; or back to the conversation."""
    if request.htmx:
        form = _bound_to(_current(request, conversation))
        return _page(request, conversation, form, saved=True)
    messages.success(request, gettext("Saved. It holds from the next answer on."))
    if conversation is None:
        return redirect("conversations:home")
    return redirect("conversations:conversation", conversation.pk)


def _page(  # noqa: PLR0913 - each is named by the caller
    request: Request,
    conversation: Conversation | None,
    form: SettingsForm,
    *,
    error: str = "",
    saved: bool = False,
    status: int = 200,
) -> HttpResponse:
    current = _current(request, conversation)
    presets = [_described(preset, current) for preset in presets_for(request.user)]
    context: dict[str, Any] = {
        "conversation": conversation,
        "form": form,
        "error": error,
        "saved": saved,
        "presets": presets,
        "is_set": bool(current.system_prompt or current.parameters),
        "settings_url": settings_url(conversation),
    }
    if not request.htmx:
        return render(request, "conversations/settings.html", context, status=status)
    if request.method == "GET":
        return render(request, "conversations/_settings.html", context)
    model = chosen_model(models := available_models(), _model(request, conversation))
    context |= {"models": model_choices(models, model), "fragment": True}
    context["window"] = window_view(conversation, model, current.system_prompt)
    return render(request, "conversations/_settings_changed.html", context, status=status)


def _described(preset: Preset, current: ConversationSettings) -> dict[str, Any]:
    """Return a preset as it is listed: what it sets, and whether that is what holds now."""
    applied = ConversationSettings.of(preset) == current
    return {"row": preset, "shared": preset.owner_id is None, "applied": applied, "parameters": described(preset)}


def described(preset: Preset) -> str:
    """Return what a preset sets besides its system prompt, in one line."""
    labels = {name: field.label for name, field in SettingsForm.base_fields.items()}
    said = [f"{labels.get(name, name)}: {value}" for name, value in preset.parameters.items()]
    return " · ".join([*([preset.model.label] if preset.model is not None else []), *said])


@require_http_methods(["GET", "POST"])
@never_cache
def account(request: Request) -> HttpResponse:
    """Show what new conversations begin with, and a user's presets; change the former."""
    presets = presets_for(request.user)
    if request.method == "POST":
        form = DefaultsForm(request.POST, presets=presets)
        if form.is_valid():
            turns.set_defaults(request.user, **form.cleaned_data)
            messages.success(request, gettext("Saved. New conversations begin with it."))
            return redirect("conversations:account")
        return _account_page(request, form, status=UNPROCESSABLE)
    initial = {"model": request.user.default_model_id, "preset": request.user.default_preset_id}
    return _account_page(request, DefaultsForm(initial=initial, presets=presets))


@require_POST
def rename_preset(request: Request, preset_id: uuid.UUID) -> HttpResponse:
    """Call a preset otherwise."""
    preset = get_object_or_404(request.user.presets, pk=preset_id)
    form = PresetNameForm(request.POST)
    error, status = first_error(form), UNPROCESSABLE
    if form.is_valid():
        try:
            turns.rename_preset(preset, name=form.cleaned_data["name"])
        except TurnRefused as refusal:
            error, status = why(refusal), CONFLICT
        else:
            return redirect("conversations:account")
    return _account_page(request, error=error, status=status)


@require_POST
def delete_preset(request: Request, preset_id: uuid.UUID) -> HttpResponse:
    """Delete a preset."""
    turns.delete_preset(get_object_or_404(request.user.presets, pk=preset_id))
    return redirect("conversations:account")


def _account_page(
    request: Request, form: DefaultsForm | None = None, *, error: str = "", status: int = 200
) -> HttpResponse:
    if form is None:
        initial = {"model": request.user.default_model_id, "preset": request.user.default_preset_id}
        form = DefaultsForm(initial=initial, presets=presets_for(request.user))
    presets = [{"row": row, "parameters": described(row)} for row in request.user.presets.select_related("model")]
    context = {"form": form, "presets": presets, "error": error}
    return render(request, "conversations/account.html", context, status=status)
