"""What a conversation that has not begun is set to: kept in the session until its first message, on the server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib.sessions.backends.base import SessionBase

from chatapp.accounts.models import User
from conversations.asking.parameters import usable
from conversations.models import ChatModel, Preset
from conversations.turns import ConversationSettings, presets_for

KEY = "beginning"


@dataclass(frozen=True, slots=True)
class Beginning:
    """What the next conversation of a user begins with; `model` is None when nothing has chosen one."""

    settings: ConversationSettings
    model: ChatModel | None = None


def beginning_of(user: User, session: SessionBase) -> Beginning:
    """Return what was set for the next conversation, else the user's default preset, else nothing."""
    kept: Any = session.get(KEY)
    if isinstance(kept, dict):
        settings = ConversationSettings(str(kept.get("system_prompt", "")), usable(kept.get("parameters") or {}))
        return Beginning(settings, _model(kept.get("model")) or _default_model(user))
    default: Any = user.default_preset_id
    preset = presets_for(user).filter(pk=default).first() if default else None
    if preset is None:
        return Beginning(ConversationSettings(), _default_model(user))
    return Beginning(ConversationSettings.of(preset), _enabled(preset) or _default_model(user))


def set_beginning(session: SessionBase, settings: ConversationSettings, model: ChatModel | None = None) -> None:
    """Keep what the next conversation begins with."""
    before = session.get(KEY) or {}
    session[KEY] = {
        "system_prompt": settings.system_prompt,
        "parameters": settings.parameters,
        "model": model.pk if model is not None else before.get("model"),
    }


def forget_beginning(session: SessionBase) -> None:
    """Begin the next conversation with the defaults again."""
    session.pop(KEY, None)


def _default_model(user: User) -> ChatModel | None:
    return _model(user.default_model_id)


def _model(pk: Any) -> ChatModel | None:
    return ChatModel.objects.filter(pk=pk, enabled=True).first() if isinstance(pk, int) else None


def _enabled(preset: Preset) -> ChatModel | None:
    return preset.model if preset.model is not None and preset.model.enabled else None
