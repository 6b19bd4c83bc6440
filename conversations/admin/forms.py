"""What reviewers and operators fill in."""

from __future__ import annotations

import uuid
from typing import Any

from django import forms
from django.db.models import Q
from django.utils.translation import gettext_lazy

from chatapp.accounts.models import User
from conversations.models import ChatModel, Flag
from conversations.review import flags

MOST_EXPORTED = 1_000


class ReasonForm(forms.Form):
    """Why somebody reads a transcript."""

    reason = forms.CharField(
        label=gettext_lazy("Why do you need to read this conversation?"),
        max_length=500,
        min_length=5,
        widget=forms.Textarea(attrs={"rows": 2}),
    )


class ExportForm(ReasonForm):
    """Why, and as what, conversations are taken along."""

    form = forms.ChoiceField(
        label=gettext_lazy("Format"),
        choices=[("jsonl", "JSON Lines"), ("csv", "CSV"), ("open", gettext_lazy("no file: open them to me here"))],
        initial="jsonl",
    )
    ids = forms.CharField(widget=forms.HiddenInput)

    def clean_ids(self) -> list[uuid.UUID]:
        """Take ids with commas between them."""
        try:
            ids = [uuid.UUID(text) for text in self.cleaned_data["ids"].split(",")]
        except ValueError as error:
            raise forms.ValidationError(gettext_lazy("These are no conversations.")) from error
        return ids[:MOST_EXPORTED]


class FlagForm(forms.Form):
    """A flag by hand: on which message, and for which of the known reasons."""

    message = forms.UUIDField(widget=forms.HiddenInput)
    reason = forms.ChoiceField(label=gettext_lazy("Reason"), choices=[(name, name) for name in flags.REASONS])

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [(name, flags.reason_label(name)) for name in flags.REASONS]
        self.fields["reason"].choices = choices  # type: ignore[attr-defined] # a field of choices


class StepForm(forms.Form):
    """What is to become of a flag; `state` with what it is changed to, `text` a note, `to` a reviewer.

    `had` is who had it, by id, when the page was shown; empty: nobody.
    """

    state = forms.ChoiceField(choices=Flag.State.choices, required=False)
    text = forms.CharField(
        label=gettext_lazy("Note"), max_length=2000, required=False, widget=forms.Textarea(attrs={"rows": 3})
    )
    to = forms.ModelChoiceField(label=gettext_lazy("Assign to"), queryset=User.objects.none(), required=False)

    had = forms.IntegerField(required=False, min_value=1, max_value=2**63 - 1)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["to"].queryset = reviewers()  # type: ignore[attr-defined] # a field of rows


class StopForm(forms.Form):
    """Whose, or which model's, generations are stopped; neither: everything, which has to be confirmed."""

    user = forms.CharField(required=False, max_length=150)
    model = forms.ModelChoiceField(queryset=ChatModel.objects.all(), required=False)
    everything = forms.BooleanField(required=False)


def reviewers() -> Any:
    """Return the staff who may change flags, by name."""
    grants = {"content_type__app_label": "conversations", "codename": "change_flag"}
    by_group = Q(**{f"groups__permissions__{name}": value for name, value in grants.items()})
    by_self = Q(**{f"user_permissions__{name}": value for name, value in grants.items()})
    rows = User.objects.filter(by_group | by_self | Q(is_superuser=True), is_active=True, is_staff=True)
    return rows.distinct().order_by("username")
