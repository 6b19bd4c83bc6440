"""What browsers send, checked."""

from __future__ import annotations

import uuid
from typing import Any

from django import forms
from django.conf import settings

from conversations.catalogue import available_models
from conversations.models import ChatModel


class TextField(forms.CharField):
    """A message: kept as typed, line ends as one character, limited in length."""

    def __init__(self, **kwargs: Any) -> None:
        empty = "Write a message first."
        long = f"This message is too long: at most {settings.MESSAGE_CHARACTERS:,} characters. Shorten or split it."
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
        super().__init__(required=False, error_messages={"invalid": "This form is broken. Reload the page."})

    def clean(self, value: Any) -> uuid.UUID:
        return super().clean(value) or uuid.uuid4()


class ModelField(forms.ModelChoiceField):  # type: ignore[type-arg] # generic for the type checker alone
    """One of the models that can be chosen; absent means: the one in use."""

    def __init__(self) -> None:
        super().__init__(
            ChatModel.objects.filter(enabled=True),
            required=False,
            error_messages={"invalid_choice": "This model is no longer available. Choose another one."},
        )


class SendForm(forms.Form):
    """A message to send."""

    text = TextField()
    request_key = RequestKeyField()
    model = ModelField()
    stop_first = forms.BooleanField(required=False)

    def clean(self) -> dict[str, Any]:
        """Fall back to the default model. An installation without any enabled model cannot answer."""
        cleaned = super().clean() or self.cleaned_data
        if not self.errors and not available_models():
            raise forms.ValidationError("No model is set up. An admin can enable one under “Chat models”.")
        return cleaned


class EditForm(forms.Form):
    """A user's message in other words."""

    text = TextField()
    request_key = RequestKeyField()


class AnswerForm(forms.Form):
    """Have an answer written again, or continued."""

    request_key = RequestKeyField()
    model = ModelField()


class RenameForm(forms.Form):
    """A new title."""

    title = forms.CharField(max_length=200, error_messages={"required": "Give a title."})


def first_error(form: forms.Form) -> str:
    """Return the first sentence that a form has to say."""
    return next((str(message) for messages in form.errors.values() for message in messages), "")
