"""What browsers send, checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.conf import settings
from django.db.models import QuerySet
from django.utils.translation import gettext, gettext_lazy

from conversations.asking.catalogue import available_models
from conversations.asking.parameters import NAMES as PARAMETERS
from conversations.asking.parameters import RANGES, usable
from conversations.forms.fields import AttachmentsField, ModelField, PresetChoiceField, RequestKeyField, TextField
from conversations.models import ChatModel, Feedback, Generation, Preset


class SendForm(forms.Form):
    """A message to send: words, or files, or both."""

    text = TextField(required=False)
    request_key = RequestKeyField()
    model = ModelField()
    stop_first = forms.BooleanField(required=False)
    attachment = AttachmentsField()
    temporary = forms.BooleanField(required=False)
    draft_key = forms.UUIDField(
        required=False, error_messages={"invalid": gettext_lazy("This form is broken. Reload the page.")}
    )

    def clean(self) -> dict[str, Any]:
        """Fall back to the default model. An installation without any enabled model cannot answer."""
        cleaned = super().clean() or self.cleaned_data
        if not self.errors and not cleaned.get("text") and not cleaned.get("attachment"):
            self.add_error("text", gettext("Write a message first."))
        if not self.errors and not available_models():
            raise forms.ValidationError(gettext("No model is set up. An admin can enable one under “Chat models”."))
        return cleaned


class EditForm(forms.Form):
    """A user's message in other words."""

    text = TextField()
    request_key = RequestKeyField()


class AnswerForm(forms.Form):
    """Have an answer written again, or continued."""

    request_key = RequestKeyField()
    model = ModelField()


class PresetForm(forms.Form):
    """A preset to apply; `presets` are those that the user may."""

    preset = PresetChoiceField()

    def __init__(self, *args: Any, presets: QuerySet[Preset], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["preset"].queryset = presets  # type: ignore[attr-defined] # a ModelChoiceField


class PresetNameForm(forms.Form):
    """What a preset is to be called."""

    name = forms.CharField(max_length=100, error_messages={"required": gettext_lazy("Give a name.")})


def _number(kind: type[forms.FloatField | forms.IntegerField], name: str, label: Any, help_text: Any) -> forms.Field:
    least, most, _ = RANGES[name]
    attributes = {"class": "input", "step": "any" if kind is forms.FloatField else "1", "autocomplete": "off"}
    return kind(
        required=False,
        min_value=least,  # type: ignore[arg-type] # of the kind that the field counts in
        max_value=most,  # type: ignore[arg-type] # as above
        label=label,
        help_text=help_text,
        widget=forms.NumberInput(attrs=attributes),
    )


class SettingsForm(forms.Form):
    """What is set for a conversation; what is left blank is the model's default."""

    system_prompt = forms.CharField(
        required=False,
        strip=False,
        max_length=settings.MESSAGE_CHARACTERS,
        label=gettext_lazy("System prompt"),
        help_text=gettext_lazy("What the model is told before the conversation begins."),
        widget=forms.Textarea(attrs={"class": "input", "rows": 4, "dir": "auto", "autocomplete": "off"}),
    )
    temperature = _number(
        forms.FloatField,
        "temperature",
        gettext_lazy("Temperature"),
        gettext_lazy("0 to 2. Low: the likeliest words. High: more surprising ones."),
    )
    top_p = _number(
        forms.FloatField,
        "top_p",
        gettext_lazy("Top-p"),
        gettext_lazy("0.01 to 1. Only the likeliest words that together have this probability."),
    )
    max_tokens = _number(
        forms.IntegerField, "max_tokens", gettext_lazy("Longest answer"), gettext_lazy("In tokens, thoughts included.")
    )
    reasoning_effort = forms.ChoiceField(
        required=False,
        label=gettext_lazy("Reasoning effort"),
        help_text=gettext_lazy("For models that think before they answer; others may refuse it."),
        choices=[
            ("", gettext_lazy("Default")),
            ("minimal", gettext_lazy("Minimal")),
            ("low", gettext_lazy("Low")),
            ("medium", gettext_lazy("Medium")),
            ("high", gettext_lazy("High")),
        ],
        widget=forms.Select(attrs={"class": "input"}),
    )
    preset_name = forms.CharField(
        required=False,
        max_length=100,
        label=gettext_lazy("Name of a new preset"),
        widget=forms.TextInput(attrs={"class": "input", "autocomplete": "off", "dir": "auto"}),
    )

    def clean(self) -> dict[str, Any]:
        """Want a name for what is to be kept under one."""
        cleaned = super().clean() or self.cleaned_data
        if self.data.get("save_as") == "yes" and not cleaned.get("preset_name"):
            self.add_error("preset_name", gettext("Give a name."))
        return cleaned

    @property
    def makes_preset(self) -> bool:
        """Whether a preset was asked for: by its button, or by Enter once it has a name."""
        return "save_as" in self.data and bool(self.cleaned_data.get("preset_name"))

    def parameters(self, stored: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters as they were given, with what is `stored` of those that have no field here."""
        kept = {name: value for name, value in usable(stored).items() if name not in self.fields}
        return kept | {name: self.cleaned_data.get(name) for name in PARAMETERS if name in self.fields}


class DefaultsForm(forms.Form):
    """What new conversations begin with."""

    model = forms.ModelChoiceField(
        ChatModel.objects.filter(enabled=True),
        required=False,
        label=gettext_lazy("Model"),
        empty_label=gettext_lazy("The first one"),
        widget=forms.Select(attrs={"class": "input"}),
    )
    preset = PresetChoiceField(required=False)

    def __init__(self, *args: Any, presets: QuerySet[Preset], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["preset"]
        field.label, field.widget.attrs["class"] = gettext("Preset"), "input"
        field.queryset = presets  # type: ignore[attr-defined] # a ModelChoiceField


class RegenerateForm(AnswerForm):
    """Have an answer written again: by another model, or otherwise."""

    instruction = forms.ChoiceField(choices=Generation.Instruction.choices, required=False)


class DraftForm(forms.Form):
    """What has been typed so far; empty means: nothing is left of it."""

    text = TextField(required=False)
    request_key = RequestKeyField()


class FeedbackForm(forms.Form):
    """An opinion about an answer; no value withdraws it, no comment leaves the one that is there."""

    value = forms.TypedChoiceField(choices=Feedback.Value.choices, coerce=int, empty_value=None, required=False)
    comment = forms.CharField(
        max_length=1000,
        required=False,
        error_messages={"max_length": gettext_lazy("This comment is too long: at most 1,000 characters.")},
    )


class ForkForm(forms.Form):
    """Make a branch a conversation of its own."""

    request_key = RequestKeyField()


class UndoForm(forms.Form):
    """Remove the continuation that the form was shown for."""

    generation = forms.UUIDField(error_messages={"invalid": gettext_lazy("This form is broken. Reload the page.")})


class VersionsForm(forms.Form):
    """Which two versions to compare."""

    old = forms.UUIDField(required=False)
    new = forms.UUIDField(required=False)


class RenameForm(forms.Form):
    """A new title."""

    title = forms.CharField(max_length=200, error_messages={"required": gettext_lazy("Give a title.")})


class ShareForm(forms.Form):
    """What a link shows."""

    follows = forms.BooleanField(required=False)
    named = forms.BooleanField(required=False)


class ExportForm(forms.Form):
    """In which form conversations are taken along, and how much of one."""

    format = forms.ChoiceField(
        choices=[(name, name) for name in ("markdown", "json", "html")],
        error_messages={
            "required": gettext_lazy("Choose Markdown, JSON or HTML."),
            "invalid_choice": gettext_lazy("Choose Markdown, JSON or HTML."),
        },
    )
    whole = forms.BooleanField(required=False)


class ImportForm(forms.Form):
    """A file with conversations."""

    file = forms.FileField(
        error_messages={
            "required": gettext_lazy("Choose a file first."),
            "empty": gettext_lazy("This file is empty: expected is an export of Stillwater or ChatGPT."),
            "invalid": gettext_lazy("Choose a file first."),
        },
    )

    def clean_file(self) -> Any:
        """Refuse what is larger than an export may be."""
        file = self.cleaned_data["file"]
        if file.size > settings.IMPORT_BYTES:
            sentence = gettext("This file is too large: at most %(size)s MB can be imported.")
            raise forms.ValidationError(sentence % {"size": settings.IMPORT_BYTES // 10**6})
        return file


class DeleteAccountForm(forms.Form):
    """What shows that somebody means it: the password, or the user name of an account without one."""

    confirmation = forms.CharField(strip=False, max_length=1000, required=False)


def first_error(form: forms.Form) -> str:
    """Return the first sentence that a form has to say."""
    return next((str(message) for messages in form.errors.values() for message in messages), "")
