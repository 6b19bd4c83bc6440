"""The fields of forms: what is sent, as what it means."""

from __future__ import annotations

import uuid
from typing import Any

from django import forms
from django.conf import settings
from django.utils.formats import number_format
from django.utils.functional import lazy
from django.utils.translation import gettext, gettext_lazy

from conversations.models import ChatModel, Preset


def _too_long() -> str:
    limit = number_format(settings.MESSAGE_CHARACTERS, force_grouping=True)
    return gettext("This message is too long: at most %(limit)s characters. Shorten or split it.") % {"limit": limit}


class TextField(forms.CharField):
    """A message: kept as typed, line ends as one character, limited in length."""

    def __init__(self, **kwargs: Any) -> None:
        empty, long = gettext_lazy("Write a message first."), lazy(_too_long, str)()
        super().__init__(
            max_length=settings.MESSAGE_CHARACTERS,
            strip=False,
            error_messages={"required": empty, "max_length": long},
            **kwargs,
        )

    def to_python(self, value: Any) -> str:
        text = (super().to_python(value) or "").replace("\r\n", "\n").replace("\r", "\n")
        return text.strip("\n") if text.strip() else ""


class RequestKeyField(forms.UUIDField):
    """The idempotency key of a form; an absent one makes the request a new one."""

    def __init__(self) -> None:
        super().__init__(
            required=False, error_messages={"invalid": gettext_lazy("This form is broken. Reload the page.")}
        )

    def clean(self, value: Any) -> uuid.UUID:
        return super().clean(value) or uuid.uuid4()


class ModelField(forms.ModelChoiceField):  # type: ignore[type-arg] # generic for the type checker alone
    """One of the models that can be chosen; absent means: the one in use."""

    def __init__(self) -> None:
        super().__init__(
            ChatModel.objects.filter(enabled=True),
            required=False,
            error_messages={"invalid_choice": gettext_lazy("This model is no longer available. Choose another one.")},
        )


class AttachmentsField(forms.Field):
    """The ids of files that were uploaded before, in their order; a form may hold any number of them."""

    widget = forms.MultipleHiddenInput

    def __init__(self) -> None:
        super().__init__(required=False)

    def clean(self, value: Any) -> list[uuid.UUID]:
        try:
            return list(dict.fromkeys(uuid.UUID(item) for item in value or ()))
        except ValueError:
            raise forms.ValidationError(gettext("This form is broken. Reload the page.")) from None


class PresetChoiceField(forms.ModelChoiceField):  # type: ignore[type-arg] # as above
    """One of the presets that a user may apply."""

    def __init__(self, *, required: bool = True) -> None:
        gone = gettext_lazy("This preset is no longer there. Choose another one.")
        super().__init__(
            Preset.objects.none(),
            required=required,
            empty_label=gettext_lazy("None"),
            error_messages={"invalid_choice": gone, "required": gone},
        )
