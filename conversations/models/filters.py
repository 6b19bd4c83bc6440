"""Rules about what users and models may write, edited by staff."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from conversations.models.chat_models import ChatModel, names_a_key


class FilterRule(models.Model):
    """What to look for in texts, where, and what to do about it. Switched off until somebody switches it on."""

    class Kind(models.TextChoices):
        SECRETS = "secrets", _("secrets: keys and tokens")
        EMAIL = "email", _("e-mail addresses")
        PHONE = "phone", _("telephone numbers")
        CARD = "card", _("payment cards")
        IBAN = "iban", _("bank accounts (IBAN)")
        PATTERN = "pattern", _("a pattern of your own")
        WORDS = "words", _("a list of words")
        SERVICE = "service", _("a moderation service")

    class Action(models.TextChoices):
        REDACT = "redact", _("redact: show a label")
        BLOCK = "block", _("block: end the answer")
        FLAG = "flag", _("flag: have it reviewed")
        AUDIT = "audit", _("audit: note it")

    class Direction(models.TextChoices):
        INPUT = "input", _("what users write")
        OUTPUT = "output", _("what models write")
        BOTH = "both", _("both")

    class OnFailure(models.TextChoices):
        OPEN = "open", _("let the text pass")
        CLOSED = "closed", _("block the text")

    name = models.CharField(_("name"), max_length=100, unique=True)
    enabled = models.BooleanField(_("enabled"), default=False, help_text=_("Try the rule on stored transcripts first."))
    kind = models.CharField(_("kind"), max_length=10, choices=Kind.choices)
    action = models.CharField(_("action"), max_length=10, choices=Action.choices, default=Action.REDACT)
    direction = models.CharField(_("direction"), max_length=10, choices=Direction.choices, default=Direction.OUTPUT)
    source = models.TextField(
        _("pattern or words"),
        blank=True,
        max_length=100_000,
        help_text=_(
            "For a pattern: a regular expression whose quantifiers have bounds, such as PROJ-[0-9]{3,6}. "
            "For words: one word or phrase in each line."
        ),
    )
    ignore_case = models.BooleanField(
        _("ignore case"), default=True, help_text=_("Only for patterns; words are found in any case.")
    )
    label = models.CharField(
        _("label"),
        max_length=40,
        blank=True,
        validators=[RegexValidator(r"^[^\[\]<>\n\r]*$", _("A label has no brackets."))],
        help_text=_("What stands in the text instead: [redacted: label]. Empty: the name of what was found."),
    )
    sentence = models.CharField(
        _("sentence"),
        max_length=300,
        blank=True,
        help_text=_("What users read when the rule blocks. Empty: a general sentence."),
    )
    chat_models = models.ManyToManyField(
        ChatModel,
        blank=True,
        related_name="+",
        help_text=_("Empty: answers of all models."),
        verbose_name=_("chat models"),
    )
    groups = models.ManyToManyField(
        Group, blank=True, related_name="+", help_text=_("Empty: all users."), verbose_name=_("groups")
    )
    base_url = models.CharField(
        _("address of the service"),
        max_length=500,
        blank=True,
        help_text=_("An OpenAI-compatible service, with /v1."),
        validators=[RegexValidator(r"^https?://[^\s\\@]+$", _("Give an http(s) address without user name."))],
    )
    model_name = models.CharField(_("model of the service"), max_length=200, blank=True)
    api_key_variable = models.CharField(
        _("variable of the API key"),
        max_length=100,
        blank=True,
        help_text=_("Name of the environment variable that holds the key, ending in _API_KEY. Keys are never stored."),
        validators=[names_a_key],
    )
    categories = models.CharField(
        _("categories"),
        max_length=500,
        blank=True,
        help_text=_("Which of its categories count, with commas. Empty: all."),
    )
    timeout_seconds = models.FloatField(
        _("timeout seconds"), default=2.0, validators=[MinValueValidator(0.1), MaxValueValidator(30)]
    )
    on_failure = models.CharField(
        _("on failure"),
        max_length=10,
        choices=OnFailure.choices,
        default=OnFailure.OPEN,
        help_text=_("When the service does not answer in time; only for rules that block."),
    )
    position = models.PositiveIntegerField(
        _("position"), default=0, help_text=_("Where two rules find something at one place, the lower one counts.")
    )
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    class Meta:
        ordering = ("position", "pk")
        verbose_name = _("filter rule")
        verbose_name_plural = _("filter rules")

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Refuse fields that do not go together; whether a pattern can be used is for the admin's form."""
        errors: dict[str, Any] = {}
        if self.kind == self.Kind.SERVICE:
            if self.action == self.Action.REDACT:
                errors["action"] = gettext("A service says only whether a text may be shown: it cannot redact.")
            if not self.base_url:
                errors["base_url"] = gettext("Give the address of the service.")
        elif self.kind in (self.Kind.PATTERN, self.Kind.WORDS) and not self.source.strip():
            errors["source"] = gettext("Say what to look for.")
        if errors:
            raise ValidationError(errors)
