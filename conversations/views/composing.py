"""What the composer's template needs: models, what was typed and attached, what is set, how full the window is."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.urls import reverse
from django.utils.translation import gettext

from chatapp.accounts.models import User
from conversations.asking.catalogue import available_models
from conversations.files.inspection import grouped, megabytes
from conversations.models import Attachment, ChatModel, Conversation
from conversations.reading.usage import Meter, Spent, meter, spent
from conversations.turns import ConversationSettings
from conversations.views.beginnings import beginning_of


@dataclass(frozen=True, slots=True)
class Typed:
    """What somebody has typed, attached and chosen, and could not send; `model` is its id as it was sent."""

    text: str = ""
    attachments: Sequence[Attachment] = ()
    model: str = ""
    stop_first: bool = False


@dataclass(frozen=True, slots=True)
class WindowView:
    """The model's window as the composer shows it; `url` is where a page asks again, None for a new conversation."""

    meter: Meter
    spent: Spent | None
    url: str | None
    begins: str = ""  # the id in the page of the first message that is sent


def composer_context(
    user: User, session: SessionBase, conversation: Conversation | None, *, typed: Typed | None = None, error: str = ""
) -> dict[str, Any]:
    """Return what the composer shows, for a conversation or for a new one."""
    typed = typed or Typed()
    models = available_models()
    beginning = beginning_of(user, session) if conversation is None else None
    picked = next((model for model in models if str(model.pk) == typed.model), None)
    current = beginning.model if beginning is not None else conversation.model if conversation is not None else None
    chosen = picked or chosen_model(models, current)
    set_up = beginning.settings if beginning is not None else ConversationSettings.of(conversation)  # type: ignore[arg-type] # one of the two is there
    composer = {
        "text": typed.text,
        "files": [chip(row) for row in typed.attachments],
        "error": error,
        "request_key": uuid.uuid4(),
        "models": model_choices(models, chosen),
        "stop_first": typed.stop_first,
        "sees": chosen is not None and chosen.sees_images,
        "limits": limits(),
        "settings_url": settings_url(conversation),
        "is_set": bool(set_up.system_prompt or set_up.parameters),
        "window": window_view(conversation, chosen, set_up.system_prompt),
    }
    return {"composer": composer, "demo": chosen is not None and chosen.is_demo}


def chosen_model(models: list[ChatModel], wanted: ChatModel | None) -> ChatModel | None:
    """Return the model that is wanted if it can be chosen, else the first one."""
    return wanted if wanted is not None and wanted in models else (models[0] if models else None)


def model_choices(models: list[ChatModel], chosen: ChatModel | None) -> list[dict[str, Any]]:
    """Return the models as the composer lists them."""
    return [
        {
            "id": model.pk,
            "label": model.label,
            "selected": model == chosen,
            "is_demo": model.is_demo,
            "sees": model.sees_images,
            "window": model.window,
        }
        for model in models
    ]


def window_view(conversation: Conversation | None, model: ChatModel | None, system_prompt: str = "") -> WindowView:
    """Return how full the window of a model is, and what was spent."""
    if conversation is None:
        return WindowView(meter(None, model, system_prompt), None, None)
    url = reverse("conversations:window", args=[conversation.pk])
    return WindowView(meter(conversation, model), spent(conversation), url)


def settings_url(conversation: Conversation | None) -> str:
    """Return where a conversation, or the next one, is set up."""
    if conversation is None:
        return reverse("conversations:new_settings")
    return reverse("conversations:settings", args=[conversation.pk])


def limits() -> dict[str, Any]:
    """Return what may be attached: numbers for the script, and words for the reader."""
    return {
        "files": settings.ATTACHMENTS_PER_MESSAGE,
        "bytes": settings.ATTACHMENT_BYTES,
        "sentence": gettext(
            "At most %(files)s files of %(size)s MB each; text files in UTF-8 with at most %(tokens)s tokens."
        )
        % {
            "files": settings.ATTACHMENTS_PER_MESSAGE,
            "size": megabytes(settings.ATTACHMENT_BYTES),
            "tokens": grouped(settings.ATTACHMENT_TOKENS),
        },
    }


def chip(attachment: Attachment) -> dict[str, Any]:
    """Return an unsent file as the composer and its script show it."""
    image = attachment.kind == Attachment.Kind.IMAGE
    return {
        "id": str(attachment.pk),
        "name": attachment.name,
        "image": image,
        "tokens": attachment.tokens,
        "url": reverse("conversations:attachment", args=[attachment.pk]),
        "note": "" if image else gettext("%(tokens)s tokens") % {"tokens": grouped(attachment.tokens)},
    }
