"""The models that can answer."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

names_a_key = RegexValidator(r"^[A-Z][A-Z0-9_]*_API_KEY$", _("The name of the variable must end in _API_KEY."))


class ChatModel(models.Model):
    """A model that can answer: where it is served and what it can do. The environment only seeds these rows."""

    class Prefill(models.TextChoices):
        NONE = "", _("cannot go on from a partial answer")
        CONTINUE_FINAL_MESSAGE = "continue_final_message", _("continue_final_message (vLLM, llama.cpp)")
        ASSISTANT = "assistant", _("goes on from a last assistant message")

    label = models.CharField(_("label"), max_length=200, help_text=_("The name that users see."))
    base_url = models.CharField(
        _("base URL"),
        max_length=500,
        help_text=_("Address of an OpenAI-compatible service, with /v1; “demo:” is the built-in demo."),
        validators=[RegexValidator(r"^(demo:|https?://[^\s\\@]+)$", _("Give an http(s) address without user name."))],
    )
    model_name = models.CharField(
        _("model name"), max_length=200, help_text=_("The name the service knows the model by.")
    )
    api_key_variable = models.CharField(
        _("variable of the API key"),
        max_length=100,
        blank=True,
        help_text=_("Name of the environment variable that holds the key, ending in _API_KEY. Keys are never stored."),
        validators=[names_a_key],
    )
    prefill = models.CharField(_("prefill"), max_length=30, choices=Prefill.choices, blank=True, default=Prefill.NONE)
    sees_images = models.BooleanField(_("sees images"), default=False)
    context_window = models.PositiveIntegerField(
        _("context window"),
        null=True,
        blank=True,
        help_text=_("In tokens. Empty: DEFAULT_CONTEXT_WINDOW of the settings."),
    )
    input_price = models.DecimalField(
        _("input price"),
        max_digits=12,
        decimal_places=6,
        null=True,
        blank=True,
        help_text=_("Per million input tokens."),
    )
    output_price = models.DecimalField(
        _("output price"),
        max_digits=12,
        decimal_places=6,
        null=True,
        blank=True,
        help_text=_("Per million output tokens."),
    )
    fallback = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text=_("Answers instead when this model's service does not, before its first word."),
        verbose_name=_("fallback"),
    )
    out_of_service_message = models.CharField(
        _("out of service message"),
        max_length=300,
        blank=True,
        help_text=_("When set, nobody can ask this model, and users read this sentence; its fallback answers instead."),
    )
    enabled = models.BooleanField(_("enabled"), default=True)
    position = models.PositiveIntegerField(
        _("position"), default=0, help_text=_("Low ones come first; the first one is the default.")
    )

    class Meta:
        ordering = ("position", "label", "pk")
        verbose_name = _("chat model")
        verbose_name_plural = _("chat models")
        constraints = (models.UniqueConstraint(fields=("base_url", "model_name"), name="one_row_per_served_model"),)

    def __str__(self) -> str:
        return self.label

    def clean(self) -> None:
        """Refuse an address that cannot be taken apart, such as one with half of a bracket."""
        try:
            _ = urlsplit(self.base_url).port
        except ValueError as error:
            raise ValidationError(
                {"base_url": gettext("This is not a complete address; check host and port.")}
            ) from error

    @property
    def window(self) -> int:
        """How many tokens the model reads and writes at once, as far as it is known."""
        return self.context_window or int(settings.DEFAULT_CONTEXT_WINDOW)

    @property
    def is_demo(self) -> bool:
        """Whether this is the built-in scripted model."""
        return self.base_url == "demo:"
