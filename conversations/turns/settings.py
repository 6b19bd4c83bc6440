"""What a user can set: the system prompt and the parameters of a conversation, presets of them, and defaults.

All of it belongs to the conversation and not to its branches: asking again or editing changes nothing of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F, Q, QuerySet
from django.utils.translation import gettext

from chatapp.accounts.models import User
from conversations import audit
from conversations.asking.parameters import BadParameter, Parameters, checked
from conversations.models import ChatModel, Conversation, Preset
from conversations.turns.base import TurnRefused, locked, storable

MOST_PRESETS = 100  # of one user


class NameTaken(TurnRefused):
    """The user has a preset of this name."""

    def __init__(self, name: str) -> None:
        super().__init__(gettext("You have a preset named “%(name)s” already. Choose another name.") % {"name": name})


class TooManyPresets(TurnRefused):
    """There are more than anybody finds anything in."""

    def __init__(self) -> None:
        super().__init__(gettext("You have very many presets. Delete one that you do not need any more."))


class UnknownParameter(TurnRefused):
    """Something that no service is asked for here, or outside its range."""

    def __init__(self, name: str) -> None:
        super().__init__(gettext("“%(name)s” cannot be set, or not to this value.") % {"name": name})


@dataclass(frozen=True, slots=True)
class ConversationSettings:
    """What is set for a conversation besides its model."""

    system_prompt: str = ""
    parameters: Parameters = field(default_factory=dict)

    @classmethod
    def of(cls, source: Conversation | Preset) -> ConversationSettings:
        """Return the settings that a row holds."""
        return cls(source.system_prompt, source.parameters)

    @classmethod
    def given(cls, system_prompt: str, parameters: Mapping[str, Any]) -> ConversationSettings:
        """Return settings that came from outside. Raises `UnknownParameter`."""
        try:
            return cls(storable(system_prompt), checked(parameters))
        except BadParameter as bad:
            raise UnknownParameter(bad.name) from bad


def configure(
    conversation: Conversation, settings: ConversationSettings, *, model: ChatModel | None = None
) -> Conversation:
    """Set a conversation up, from its next answer on; return it as it is now. Raises `Gone`."""
    with transaction.atomic():
        conversation = locked(conversation)
        conversation.system_prompt, conversation.parameters = settings.system_prompt, settings.parameters
        if model is not None and model.enabled:
            conversation.model = model
        conversation.save(update_fields=["system_prompt", "parameters", "model"])
        audit.record(conversation.owner, "conversation.configure", conversation_id=conversation.pk)
        return conversation


def presets_for(user: User) -> QuerySet[Preset]:
    """Return the presets that a user may apply: their own, then the shared ones."""
    mine = Preset.objects.filter(Q(owner=user) | Q(owner=None)).select_related("model")
    return mine.order_by(F("owner").asc(nulls_last=True), "name")


def create_preset(user: User, *, name: str, settings: ConversationSettings, model: ChatModel | None = None) -> Preset:
    """Keep settings under a name. Raises `NameTaken` and `TooManyPresets`."""
    name = storable(name)
    if user.presets.count() >= MOST_PRESETS:
        raise TooManyPresets
    try:
        with transaction.atomic():
            preset = Preset.objects.create(
                owner=user,
                name=name,
                system_prompt=settings.system_prompt,
                parameters=settings.parameters,
                model=model,
            )
            audit.record(user, "preset.create", preset=str(preset.pk))
            return preset
    except IntegrityError as error:
        raise NameTaken(name) from error


def rename_preset(preset: Preset, *, name: str) -> None:
    """Call a user's own preset otherwise. Raises `NameTaken`."""
    try:
        with transaction.atomic():
            Preset.objects.filter(pk=preset.pk).update(name=storable(name))
            audit.record(preset.owner, "preset.rename", preset=str(preset.pk))
    except IntegrityError as error:
        raise NameTaken(name) from error


def delete_preset(preset: Preset) -> None:
    """Delete a user's own preset; conversations keep what was applied."""
    with transaction.atomic():
        audit.record(preset.owner, "preset.delete", preset=str(preset.pk))
        preset.delete()


def set_defaults(user: User, *, model: ChatModel | None, preset: Preset | None) -> None:
    """Choose what new conversations begin with; None is the first model, and nothing set."""
    user.default_model, user.default_preset = model, preset
    with transaction.atomic():
        user.save(update_fields=["default_model", "default_preset"])
        audit.record(user, "account.defaults")
