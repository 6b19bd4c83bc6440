"""Names, help texts and choices in the admin are translated: nothing changes in the database."""

import conversations.models.limits
import django.core.validators
import django.db.models.deletion
import django.utils.timezone
import uuid
from django.conf import settings
from django.db import migrations, models


class Names(migrations.SeparateDatabaseAndState):
    """Changes of the state alone. All models are rendered once behind them, not again for each field."""

    def state_forwards(self, app_label, state):
        state.__dict__.pop("apps", None)
        super().state_forwards(app_label, state)


class Migration(migrations.Migration):
    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("conversations", "0020_audit_by_action"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        Names(
            state_operations=[
                migrations.AlterModelOptions(
                    name="auditentry",
                    options={
                        "ordering": ("-id",),
                        "verbose_name": "audit entry",
                        "verbose_name_plural": "audit entries",
                    },
                ),
                migrations.AlterModelOptions(
                    name="breaker",
                    options={"ordering": ("base_url",), "verbose_name": "breaker", "verbose_name_plural": "breakers"},
                ),
                migrations.AlterModelOptions(
                    name="chatmodel",
                    options={
                        "ordering": ("position", "label", "pk"),
                        "verbose_name": "chat model",
                        "verbose_name_plural": "chat models",
                    },
                ),
                migrations.AlterModelOptions(
                    name="conversation",
                    options={
                        "ordering": ("-updated_at",),
                        "verbose_name": "conversation",
                        "verbose_name_plural": "conversations",
                    },
                ),
                migrations.AlterModelOptions(
                    name="feedback",
                    options={"ordering": ("-id",), "verbose_name": "feedback", "verbose_name_plural": "feedback"},
                ),
                migrations.AlterModelOptions(
                    name="filterrule",
                    options={
                        "ordering": ("position", "pk"),
                        "verbose_name": "filter rule",
                        "verbose_name_plural": "filter rules",
                    },
                ),
                migrations.AlterModelOptions(
                    name="generation",
                    options={
                        "ordering": ("id",),
                        "permissions": (("stop_generations", "Can stop the generations of others"),),
                        "verbose_name": "generation",
                        "verbose_name_plural": "generations",
                    },
                ),
                migrations.AlterModelOptions(
                    name="hourlyfigures",
                    options={
                        "ordering": ("starts_at", "model", "arm"),
                        "verbose_name": "hourly figures",
                        "verbose_name_plural": "dashboard",
                    },
                ),
                migrations.AlterModelOptions(
                    name="legalhold",
                    options={"ordering": ("-id",), "verbose_name": "legal hold", "verbose_name_plural": "legal holds"},
                ),
                migrations.AlterModelOptions(
                    name="message",
                    options={"ordering": ("id",), "verbose_name": "message", "verbose_name_plural": "messages"},
                ),
                migrations.AlterModelOptions(
                    name="plan",
                    options={"ordering": ("name",), "verbose_name": "plan", "verbose_name_plural": "plans"},
                ),
                migrations.AlterModelOptions(
                    name="preset",
                    options={"ordering": ("name",), "verbose_name": "preset", "verbose_name_plural": "presets"},
                ),
                migrations.AlterModelOptions(
                    name="retentionrule",
                    options={
                        "ordering": ("days", "name"),
                        "verbose_name": "retention rule",
                        "verbose_name_plural": "retention rules",
                    },
                ),
                migrations.AlterField(
                    model_name="auditentry",
                    name="action",
                    field=models.CharField(max_length=40, verbose_name="action"),
                ),
                migrations.AlterField(
                    model_name="auditentry",
                    name="actor",
                    field=models.ForeignKey(
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="actor",
                    ),
                ),
                migrations.AlterField(
                    model_name="auditentry",
                    name="at",
                    field=models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name="time"),
                ),
                migrations.AlterField(
                    model_name="auditentry",
                    name="conversation_id",
                    field=models.UUIDField(db_index=True, null=True, verbose_name="conversation id"),
                ),
                migrations.AlterField(
                    model_name="auditentry",
                    name="data",
                    field=models.JSONField(blank=True, default=dict, verbose_name="data"),
                ),
                migrations.AlterField(
                    model_name="auditentry",
                    name="generation_id",
                    field=models.UUIDField(db_index=True, null=True, verbose_name="generation id"),
                ),
                migrations.AlterField(
                    model_name="auditentry",
                    name="hash",
                    field=models.CharField(blank=True, editable=False, max_length=64, verbose_name="hash"),
                ),
                migrations.AlterField(
                    model_name="auditentry",
                    name="position",
                    field=models.PositiveBigIntegerField(
                        editable=False, null=True, unique=True, verbose_name="position"
                    ),
                ),
                migrations.AlterField(
                    model_name="breaker",
                    name="base_url",
                    field=models.CharField(max_length=500, unique=True, verbose_name="base URL"),
                ),
                migrations.AlterField(
                    model_name="breaker",
                    name="changed_at",
                    field=models.DateTimeField(
                        default=django.utils.timezone.now, editable=False, verbose_name="changed at"
                    ),
                ),
                migrations.AlterField(
                    model_name="breaker",
                    name="is_open",
                    field=models.BooleanField(default=False, editable=False, verbose_name="is open"),
                ),
                migrations.AlterField(
                    model_name="breaker",
                    name="last_error",
                    field=models.CharField(blank=True, editable=False, max_length=40, verbose_name="last error"),
                ),
                migrations.AlterField(
                    model_name="breaker",
                    name="mode",
                    field=models.CharField(
                        choices=[
                            ("auto", "automatic"),
                            ("open", "always open: nobody is let through"),
                            ("closed", "always closed: everybody is let through"),
                        ],
                        default="auto",
                        max_length=10,
                        verbose_name="mode",
                    ),
                ),
                migrations.AlterField(
                    model_name="breaker",
                    name="probe_until",
                    field=models.DateTimeField(editable=False, null=True, verbose_name="probe until"),
                ),
                migrations.AlterField(
                    model_name="breaker",
                    name="retry_at",
                    field=models.DateTimeField(editable=False, null=True, verbose_name="retry at"),
                ),
                migrations.AlterField(
                    model_name="breaker",
                    name="trips",
                    field=models.PositiveIntegerField(
                        default=0,
                        editable=False,
                        help_text="How often in a row it has opened.",
                        validators=[django.core.validators.MinValueValidator(0)],
                        verbose_name="trips",
                    ),
                ),
                migrations.AlterField(
                    model_name="chatmodel",
                    name="api_key_variable",
                    field=models.CharField(
                        blank=True,
                        help_text="Name of the environment variable that holds the key, ending in _API_KEY. Keys are never stored.",
                        max_length=100,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[A-Z][A-Z0-9_]*_API_KEY$", "The name of the variable must end in _API_KEY."
                            )
                        ],
                        verbose_name="variable of the API key",
                    ),
                ),
                migrations.AlterField(
                    model_name="chatmodel",
                    name="base_url",
                    field=models.CharField(
                        help_text="Address of an OpenAI-compatible service, with /v1; “demo:” is the built-in demo.",
                        max_length=500,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^(demo:|https?://[^\\s\\\\@]+)$", "Give an http(s) address without user name."
                            )
                        ],
                        verbose_name="base URL",
                    ),
                ),
                migrations.AlterField(
                    model_name="chatmodel",
                    name="context_window",
                    field=models.PositiveIntegerField(
                        blank=True,
                        help_text="In tokens. Empty: DEFAULT_CONTEXT_WINDOW of the settings.",
                        null=True,
                        verbose_name="context window",
                    ),
                ),
                migrations.AlterField(
                    model_name="chatmodel",
                    name="enabled",
                    field=models.BooleanField(default=True, verbose_name="enabled"),
                ),
                migrations.AlterField(
                    model_name="chatmodel",
                    name="fallback",
                    field=models.ForeignKey(
                        blank=True,
                        help_text="Answers instead when this model's service does not, before its first word.",
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="conversations.chatmodel",
                        verbose_name="fallback",
                    ),
                ),
                migrations.AlterField(
                    model_name="chatmodel",
                    name="input_price",
                    field=models.DecimalField(
                        blank=True,
                        decimal_places=6,
                        help_text="Per million input tokens.",
                        max_digits=12,
                        null=True,
                        verbose_name="input price",
                    ),
                ),
                migrations.AlterField(
                    model_name="chatmodel",
                    name="label",
                    field=models.CharField(help_text="The name that users see.", max_length=200, verbose_name="label"),
                ),
                migrations.AlterField(
                    model_name="chatmodel",
                    name="model_name",
                    field=models.CharField(
                        help_text="The name the service knows the model by.", max_length=200, verbose_name="model name"
                    ),
                ),
                migrations.AlterField(
                    model_name="chatmodel",
                    name="out_of_service_message",
                    field=models.CharField(
                        blank=True,
                        help_text="When set, nobody can ask this model, and users read this sentence; its fallback answers instead.",
                        max_length=300,
                        verbose_name="out of service message",
                    ),
                ),
                migrations.AlterField(
                    model_name="chatmodel",
                    name="output_price",
                    field=models.DecimalField(
                        blank=True,
                        decimal_places=6,
                        help_text="Per million output tokens.",
                        max_digits=12,
                        null=True,
                        verbose_name="output price",
                    ),
                ),
                migrations.AlterField(
                    model_name="chatmodel",
                    name="position",
                    field=models.PositiveIntegerField(
                        default=0,
                        help_text="Low ones come first; the first one is the default.",
                        verbose_name="position",
                    ),
                ),
                migrations.AlterField(
                    model_name="chatmodel",
                    name="prefill",
                    field=models.CharField(
                        blank=True,
                        choices=[
                            ("", "cannot go on from a partial answer"),
                            ("continue_final_message", "continue_final_message (vLLM, llama.cpp)"),
                            ("assistant", "goes on from a last assistant message"),
                        ],
                        default="",
                        max_length=30,
                        verbose_name="prefill",
                    ),
                ),
                migrations.AlterField(
                    model_name="chatmodel",
                    name="sees_images",
                    field=models.BooleanField(default=False, verbose_name="sees images"),
                ),
                migrations.AlterField(
                    model_name="conversation",
                    name="active_leaf",
                    field=models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="conversations.message",
                        verbose_name="active leaf",
                    ),
                ),
                migrations.AlterField(
                    model_name="conversation",
                    name="archived",
                    field=models.BooleanField(default=False, verbose_name="archived"),
                ),
                migrations.AlterField(
                    model_name="conversation",
                    name="created_at",
                    field=models.DateTimeField(
                        default=django.utils.timezone.now, editable=False, verbose_name="created at"
                    ),
                ),
                migrations.AlterField(
                    model_name="conversation",
                    name="deleted_at",
                    field=models.DateTimeField(
                        blank=True,
                        help_text="When the user deleted it; soon it is gone.",
                        null=True,
                        verbose_name="deleted at",
                    ),
                ),
                migrations.AlterField(
                    model_name="conversation",
                    name="left_at",
                    field=models.DateTimeField(
                        blank=True,
                        help_text="When the last page of a temporary one was closed.",
                        null=True,
                        verbose_name="left at",
                    ),
                ),
                migrations.AlterField(
                    model_name="conversation",
                    name="model",
                    field=models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="conversations.chatmodel",
                        verbose_name="model",
                    ),
                ),
                migrations.AlterField(
                    model_name="conversation",
                    name="origin",
                    field=models.CharField(
                        blank=True,
                        editable=False,
                        help_text="What an imported one was called where it comes from.",
                        max_length=100,
                        verbose_name="origin",
                    ),
                ),
                migrations.AlterField(
                    model_name="conversation",
                    name="owner",
                    field=models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="conversations",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="owner",
                    ),
                ),
                migrations.AlterField(
                    model_name="conversation",
                    name="parameters",
                    field=models.JSONField(blank=True, default=dict, verbose_name="parameters"),
                ),
                migrations.AlterField(
                    model_name="conversation",
                    name="pinned",
                    field=models.BooleanField(default=False, verbose_name="pinned"),
                ),
                migrations.AlterField(
                    model_name="conversation",
                    name="system_prompt",
                    field=models.TextField(blank=True, verbose_name="system prompt"),
                ),
                migrations.AlterField(
                    model_name="conversation",
                    name="tags",
                    field=models.ManyToManyField(
                        blank=True, related_name="conversations", to="conversations.tag", verbose_name="tags"
                    ),
                ),
                migrations.AlterField(
                    model_name="conversation",
                    name="temporary",
                    field=models.BooleanField(default=False, verbose_name="temporary"),
                ),
                migrations.AlterField(
                    model_name="conversation",
                    name="title",
                    field=models.CharField(blank=True, max_length=200, verbose_name="title"),
                ),
                migrations.AlterField(
                    model_name="conversation",
                    name="title_source",
                    field=models.CharField(
                        choices=[("first_words", "first words"), ("model", "model"), ("user", "user")],
                        default="first_words",
                        max_length=20,
                        verbose_name="title source",
                    ),
                ),
                migrations.AlterField(
                    model_name="conversation",
                    name="updated_at",
                    field=models.DateTimeField(default=django.utils.timezone.now, verbose_name="updated at"),
                ),
                migrations.AlterField(
                    model_name="feedback",
                    name="comment",
                    field=models.CharField(blank=True, max_length=1000, verbose_name="comment"),
                ),
                migrations.AlterField(
                    model_name="feedback",
                    name="created_at",
                    field=models.DateTimeField(
                        default=django.utils.timezone.now, editable=False, verbose_name="created at"
                    ),
                ),
                migrations.AlterField(
                    model_name="feedback",
                    name="message",
                    field=models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="feedback",
                        to="conversations.message",
                        verbose_name="message",
                    ),
                ),
                migrations.AlterField(
                    model_name="feedback",
                    name="owner",
                    field=models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="owner",
                    ),
                ),
                migrations.AlterField(
                    model_name="feedback",
                    name="value",
                    field=models.SmallIntegerField(choices=[(1, "good"), (-1, "bad")], verbose_name="value"),
                ),
                migrations.AlterField(
                    model_name="filterrule",
                    name="action",
                    field=models.CharField(
                        choices=[
                            ("redact", "redact: show a label"),
                            ("block", "block: end the answer"),
                            ("flag", "flag: have it reviewed"),
                            ("audit", "audit: note it"),
                        ],
                        default="redact",
                        max_length=10,
                        verbose_name="action",
                    ),
                ),
                migrations.AlterField(
                    model_name="filterrule",
                    name="api_key_variable",
                    field=models.CharField(
                        blank=True,
                        help_text="Name of the environment variable that holds the key, ending in _API_KEY. Keys are never stored.",
                        max_length=100,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[A-Z][A-Z0-9_]*_API_KEY$", "The name of the variable must end in _API_KEY."
                            )
                        ],
                        verbose_name="variable of the API key",
                    ),
                ),
                migrations.AlterField(
                    model_name="filterrule",
                    name="categories",
                    field=models.CharField(
                        blank=True,
                        help_text="Which of its categories count, with commas. Empty: all.",
                        max_length=500,
                        verbose_name="categories",
                    ),
                ),
                migrations.AlterField(
                    model_name="filterrule",
                    name="chat_models",
                    field=models.ManyToManyField(
                        blank=True,
                        help_text="Empty: answers of all models.",
                        related_name="+",
                        to="conversations.chatmodel",
                        verbose_name="chat models",
                    ),
                ),
                migrations.AlterField(
                    model_name="filterrule",
                    name="direction",
                    field=models.CharField(
                        choices=[("input", "what users write"), ("output", "what models write"), ("both", "both")],
                        default="output",
                        max_length=10,
                        verbose_name="direction",
                    ),
                ),
                migrations.AlterField(
                    model_name="filterrule",
                    name="enabled",
                    field=models.BooleanField(
                        default=False, help_text="Try the rule on stored transcripts first.", verbose_name="enabled"
                    ),
                ),
                migrations.AlterField(
                    model_name="filterrule",
                    name="groups",
                    field=models.ManyToManyField(
                        blank=True,
                        help_text="Empty: all users.",
                        related_name="+",
                        to="auth.group",
                        verbose_name="groups",
                    ),
                ),
                migrations.AlterField(
                    model_name="filterrule",
                    name="ignore_case",
                    field=models.BooleanField(
                        default=True,
                        help_text="Only for patterns; words are found in any case.",
                        verbose_name="ignore case",
                    ),
                ),
                migrations.AlterField(
                    model_name="filterrule",
                    name="kind",
                    field=models.CharField(
                        choices=[
                            ("secrets", "secrets: keys and tokens"),
                            ("email", "e-mail addresses"),
                            ("phone", "telephone numbers"),
                            ("card", "payment cards"),
                            ("iban", "bank accounts (IBAN)"),
                            ("pattern", "a pattern of your own"),
                            ("words", "a list of words"),
                            ("service", "a moderation service"),
                        ],
                        max_length=10,
                        verbose_name="kind",
                    ),
                ),
                migrations.AlterField(
                    model_name="filterrule",
                    name="label",
                    field=models.CharField(
                        blank=True,
                        help_text="What stands in the text instead: [redacted: label]. Empty: the name of what was found.",
                        max_length=40,
                        validators=[
                            django.core.validators.RegexValidator("^[^\\[\\]<>\\n\\r]*$", "A label has no brackets.")
                        ],
                        verbose_name="label",
                    ),
                ),
                migrations.AlterField(
                    model_name="filterrule",
                    name="name",
                    field=models.CharField(max_length=100, unique=True, verbose_name="name"),
                ),
                migrations.AlterField(
                    model_name="filterrule",
                    name="on_failure",
                    field=models.CharField(
                        choices=[("open", "let the text pass"), ("closed", "block the text")],
                        default="open",
                        help_text="When the service does not answer in time; only for rules that block.",
                        max_length=10,
                        verbose_name="on failure",
                    ),
                ),
                migrations.AlterField(
                    model_name="filterrule",
                    name="position",
                    field=models.PositiveIntegerField(
                        default=0,
                        help_text="Where two rules find something at one place, the lower one counts.",
                        verbose_name="position",
                    ),
                ),
                migrations.AlterField(
                    model_name="filterrule",
                    name="sentence",
                    field=models.CharField(
                        blank=True,
                        help_text="What users read when the rule blocks. Empty: a general sentence.",
                        max_length=300,
                        verbose_name="sentence",
                    ),
                ),
                migrations.AlterField(
                    model_name="filterrule",
                    name="timeout_seconds",
                    field=models.FloatField(
                        default=2.0,
                        validators=[
                            django.core.validators.MinValueValidator(0.1),
                            django.core.validators.MaxValueValidator(30),
                        ],
                        verbose_name="timeout seconds",
                    ),
                ),
                migrations.AlterField(
                    model_name="filterrule",
                    name="updated_at",
                    field=models.DateTimeField(auto_now=True, verbose_name="updated at"),
                ),
                migrations.AlterField(
                    model_name="flag",
                    name="conversation",
                    field=models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="flags",
                        to="conversations.conversation",
                        verbose_name="conversation",
                    ),
                ),
                migrations.AlterField(
                    model_name="flag",
                    name="message",
                    field=models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="flags",
                        to="conversations.message",
                        verbose_name="message",
                    ),
                ),
                migrations.AlterField(
                    model_name="generation",
                    name="arm",
                    field=models.CharField(
                        blank=True,
                        help_text="Of the experiment with the pace (see `pacing`).",
                        max_length=20,
                        verbose_name="arm of the experiment",
                    ),
                ),
                migrations.AlterField(
                    model_name="generation",
                    name="based_on",
                    field=models.ForeignKey(
                        blank=True,
                        help_text="The answer that the instruction is about.",
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="conversations.message",
                        verbose_name="based on",
                    ),
                ),
                migrations.AlterField(
                    model_name="generation",
                    name="cost",
                    field=models.DecimalField(
                        blank=True,
                        decimal_places=8,
                        help_text="By the model's prices at its end.",
                        max_digits=16,
                        null=True,
                        verbose_name="cost",
                    ),
                ),
                migrations.AlterField(
                    model_name="generation",
                    name="created_at",
                    field=models.DateTimeField(
                        default=django.utils.timezone.now, editable=False, verbose_name="created at"
                    ),
                ),
                migrations.AlterField(
                    model_name="generation",
                    name="ended_at",
                    field=models.DateTimeField(blank=True, null=True, verbose_name="ended at"),
                ),
                migrations.AlterField(
                    model_name="generation",
                    name="epoch",
                    field=models.PositiveIntegerField(default=0, verbose_name="epoch"),
                ),
                migrations.AlterField(
                    model_name="generation",
                    name="error_code",
                    field=models.CharField(blank=True, max_length=40, verbose_name="error code"),
                ),
                migrations.AlterField(
                    model_name="generation",
                    name="error_message",
                    field=models.CharField(
                        blank=True,
                        help_text="The sentence shown to the user.",
                        max_length=500,
                        verbose_name="error message",
                    ),
                ),
                migrations.AlterField(
                    model_name="generation",
                    name="finish_reason",
                    field=models.CharField(blank=True, max_length=20, verbose_name="finish reason"),
                ),
                migrations.AlterField(
                    model_name="generation",
                    name="input_tokens",
                    field=models.PositiveIntegerField(blank=True, null=True, verbose_name="input tokens"),
                ),
                migrations.AlterField(
                    model_name="generation",
                    name="instead_of",
                    field=models.ForeignKey(
                        blank=True,
                        help_text="The model that was asked, when its fallback had to answer.",
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="conversations.chatmodel",
                        verbose_name="instead of",
                    ),
                ),
                migrations.AlterField(
                    model_name="generation",
                    name="instruction",
                    field=models.CharField(
                        blank=True,
                        choices=[
                            ("", "as asked"),
                            ("shorter", "shorter"),
                            ("longer", "longer"),
                            ("more_formal", "more formal"),
                        ],
                        max_length=20,
                        verbose_name="instruction",
                    ),
                ),
                migrations.AlterField(
                    model_name="generation",
                    name="kind",
                    field=models.CharField(
                        choices=[("new", "new"), ("continue", "continue")],
                        default="new",
                        max_length=10,
                        verbose_name="kind",
                    ),
                ),
                migrations.AlterField(
                    model_name="generation",
                    name="lease_expires_at",
                    field=models.DateTimeField(blank=True, null=True, verbose_name="lease expires at"),
                ),
                migrations.AlterField(
                    model_name="generation",
                    name="message",
                    field=models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="generations",
                        to="conversations.message",
                        verbose_name="message",
                    ),
                ),
                migrations.AlterField(
                    model_name="generation",
                    name="model",
                    field=models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="generations",
                        to="conversations.chatmodel",
                        verbose_name="model",
                    ),
                ),
                migrations.AlterField(
                    model_name="generation",
                    name="model_name",
                    field=models.CharField(
                        blank=True,
                        help_text="What the provider said it used.",
                        max_length=200,
                        verbose_name="model name",
                    ),
                ),
                migrations.AlterField(
                    model_name="generation",
                    name="omitted_messages",
                    field=models.PositiveIntegerField(
                        default=0,
                        help_text="How many of the oldest messages did not fit into the model's window.",
                        verbose_name="omitted messages",
                    ),
                ),
                migrations.AlterField(
                    model_name="generation",
                    name="output",
                    field=models.JSONField(blank=True, default=list, verbose_name="output"),
                ),
                migrations.AlterField(
                    model_name="generation",
                    name="output_tokens",
                    field=models.PositiveIntegerField(blank=True, null=True, verbose_name="output tokens"),
                ),
                migrations.AlterField(
                    model_name="generation",
                    name="painted_ms",
                    field=models.PositiveIntegerField(
                        blank=True,
                        help_text="From pressing Send to the first text on the screen, as the browser reported.",
                        null=True,
                        verbose_name="painted after (ms)",
                    ),
                ),
                migrations.AlterField(
                    model_name="generation",
                    name="redaction_count",
                    field=models.PositiveIntegerField(default=0, verbose_name="redaction count"),
                ),
                migrations.AlterField(
                    model_name="generation",
                    name="redactions",
                    field=models.JSONField(
                        blank=True,
                        default=list,
                        help_text="What filters replaced: [ms, characters before it, label], never the content.",
                        verbose_name="redactions",
                    ),
                ),
                migrations.AlterField(
                    model_name="generation",
                    name="request_key",
                    field=models.UUIDField(
                        default=uuid.uuid4,
                        help_text="Idempotency key of the user's request.",
                        unique=True,
                        verbose_name="request key",
                    ),
                ),
                migrations.AlterField(
                    model_name="generation",
                    name="started_at",
                    field=models.DateTimeField(blank=True, null=True, verbose_name="started at"),
                ),
                migrations.AlterField(
                    model_name="generation",
                    name="status",
                    field=models.CharField(
                        choices=[
                            ("queued", "queued"),
                            ("in_progress", "in progress"),
                            ("completed", "completed"),
                            ("stopped", "stopped"),
                            ("interrupted", "interrupted"),
                            ("failed", "failed"),
                        ],
                        default="queued",
                        max_length=15,
                        verbose_name="status",
                    ),
                ),
                migrations.AlterField(
                    model_name="generation",
                    name="stop_requested_at",
                    field=models.DateTimeField(blank=True, null=True, verbose_name="stop requested at"),
                ),
                migrations.AlterField(
                    model_name="generation",
                    name="takeovers",
                    field=models.PositiveIntegerField(
                        default=0, help_text="How often another writer had to go on.", verbose_name="takeovers"
                    ),
                ),
                migrations.AlterField(
                    model_name="generation",
                    name="time_to_first_token_ms",
                    field=models.PositiveIntegerField(blank=True, null=True, verbose_name="time to first token (ms)"),
                ),
                migrations.AlterField(
                    model_name="generation",
                    name="timeline",
                    field=models.JSONField(blank=True, default=list, verbose_name="timeline"),
                ),
                migrations.AlterField(
                    model_name="generation",
                    name="usage_estimated",
                    field=models.BooleanField(
                        default=False,
                        help_text="The provider gave no usage; these are estimates.",
                        verbose_name="usage estimated",
                    ),
                ),
                migrations.AlterField(
                    model_name="hourlyfigures",
                    name="arm",
                    field=models.CharField(blank=True, max_length=20, verbose_name="arm of the experiment"),
                ),
                migrations.AlterField(
                    model_name="hourlyfigures",
                    name="completed",
                    field=models.PositiveIntegerField(default=0, verbose_name="completed"),
                ),
                migrations.AlterField(
                    model_name="hourlyfigures",
                    name="cost",
                    field=models.DecimalField(decimal_places=8, default=0, max_digits=20, verbose_name="cost"),
                ),
                migrations.AlterField(
                    model_name="hourlyfigures",
                    name="ended",
                    field=models.PositiveIntegerField(default=0, verbose_name="ended"),
                ),
                migrations.AlterField(
                    model_name="hourlyfigures",
                    name="errors",
                    field=models.JSONField(
                        default=dict, help_text="How many ended with which code.", verbose_name="errors"
                    ),
                ),
                migrations.AlterField(
                    model_name="hourlyfigures",
                    name="failed",
                    field=models.PositiveIntegerField(default=0, verbose_name="failed"),
                ),
                migrations.AlterField(
                    model_name="hourlyfigures",
                    name="first_token",
                    field=models.JSONField(default=list, verbose_name="first token"),
                ),
                migrations.AlterField(
                    model_name="hourlyfigures",
                    name="input_tokens",
                    field=models.PositiveBigIntegerField(default=0, verbose_name="input tokens"),
                ),
                migrations.AlterField(
                    model_name="hourlyfigures",
                    name="interrupted",
                    field=models.PositiveIntegerField(default=0, verbose_name="interrupted"),
                ),
                migrations.AlterField(
                    model_name="hourlyfigures",
                    name="model",
                    field=models.CharField(
                        blank=True,
                        help_text="The label of the model at that time.",
                        max_length=200,
                        verbose_name="model",
                    ),
                ),
                migrations.AlterField(
                    model_name="hourlyfigures",
                    name="output_tokens",
                    field=models.PositiveBigIntegerField(default=0, verbose_name="output tokens"),
                ),
                migrations.AlterField(
                    model_name="hourlyfigures",
                    name="painted",
                    field=models.JSONField(default=list, verbose_name="painted"),
                ),
                migrations.AlterField(
                    model_name="hourlyfigures",
                    name="starts_at",
                    field=models.DateTimeField(verbose_name="begins at"),
                ),
                migrations.AlterField(
                    model_name="hourlyfigures",
                    name="stopped",
                    field=models.PositiveIntegerField(default=0, verbose_name="stopped"),
                ),
                migrations.AlterField(
                    model_name="hourlyfigures",
                    name="writing_ms",
                    field=models.PositiveBigIntegerField(default=0, verbose_name="writing time (ms)"),
                ),
                migrations.AlterField(
                    model_name="hourlyfigures",
                    name="writing_tokens",
                    field=models.PositiveBigIntegerField(default=0, verbose_name="writing tokens"),
                ),
                migrations.AlterField(
                    model_name="legalhold",
                    name="placed_at",
                    field=models.DateTimeField(
                        default=django.utils.timezone.now, editable=False, verbose_name="placed at"
                    ),
                ),
                migrations.AlterField(
                    model_name="legalhold",
                    name="placed_by",
                    field=models.ForeignKey(
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="placed by",
                    ),
                ),
                migrations.AlterField(
                    model_name="message",
                    name="conversation",
                    field=models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="messages",
                        to="conversations.conversation",
                        verbose_name="conversation",
                    ),
                ),
                migrations.AlterField(
                    model_name="message",
                    name="created_at",
                    field=models.DateTimeField(
                        default=django.utils.timezone.now, editable=False, verbose_name="created at"
                    ),
                ),
                migrations.AlterField(
                    model_name="message",
                    name="html",
                    field=models.TextField(blank=True, editable=False, verbose_name="HTML"),
                ),
                migrations.AlterField(
                    model_name="message",
                    name="parent",
                    field=models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="children",
                        to="conversations.message",
                        verbose_name="parent",
                    ),
                ),
                migrations.AlterField(
                    model_name="message",
                    name="reasoning_html",
                    field=models.TextField(blank=True, editable=False, verbose_name="HTML of the reasoning"),
                ),
                migrations.AlterField(
                    model_name="message",
                    name="rendered_as",
                    field=models.CharField(blank=True, editable=False, max_length=100, verbose_name="rendered as"),
                ),
                migrations.AlterField(
                    model_name="message",
                    name="role",
                    field=models.CharField(
                        choices=[("system", "system"), ("user", "user"), ("assistant", "assistant"), ("tool", "tool")],
                        max_length=10,
                        verbose_name="role",
                    ),
                ),
                migrations.AlterField(
                    model_name="message",
                    name="text",
                    field=models.TextField(blank=True, verbose_name="text"),
                ),
                migrations.AlterField(
                    model_name="plan",
                    name="attachment_bytes",
                    field=conversations.models.limits.LimitField(
                        blank=True, help_text="Size of one file.", null=True, verbose_name="attachment bytes"
                    ),
                ),
                migrations.AlterField(
                    model_name="plan",
                    name="attachments",
                    field=conversations.models.limits.LimitField(
                        blank=True, help_text="Files of one message.", null=True, verbose_name="attachments"
                    ),
                ),
                migrations.AlterField(
                    model_name="plan",
                    name="generations",
                    field=conversations.models.limits.LimitField(
                        blank=True,
                        help_text="Answers that are written for one user at once.",
                        null=True,
                        verbose_name="generations",
                    ),
                ),
                migrations.AlterField(
                    model_name="plan",
                    name="group_generations",
                    field=conversations.models.limits.LimitField(
                        blank=True,
                        help_text="For all members of a group together.",
                        null=True,
                        verbose_name="group generations",
                    ),
                ),
                migrations.AlterField(
                    model_name="plan",
                    name="group_tokens_per_day",
                    field=conversations.models.limits.LimitField(
                        blank=True,
                        help_text="For all members of a group together.",
                        null=True,
                        verbose_name="group tokens per day",
                    ),
                ),
                migrations.AlterField(
                    model_name="plan",
                    name="group_tokens_per_month",
                    field=conversations.models.limits.LimitField(
                        blank=True,
                        help_text="For all members of a group together.",
                        null=True,
                        verbose_name="group tokens per month",
                    ),
                ),
                migrations.AlterField(
                    model_name="plan",
                    name="groups",
                    field=models.ManyToManyField(
                        blank=True, related_name="plans", to="auth.group", verbose_name="groups"
                    ),
                ),
                migrations.AlterField(
                    model_name="plan",
                    name="message_characters",
                    field=conversations.models.limits.LimitField(
                        blank=True, help_text="Length of one message.", null=True, verbose_name="message characters"
                    ),
                ),
                migrations.AlterField(
                    model_name="plan",
                    name="name",
                    field=models.CharField(max_length=100, unique=True, verbose_name="name"),
                ),
                migrations.AlterField(
                    model_name="plan",
                    name="requests_per_minute",
                    field=conversations.models.limits.LimitField(
                        blank=True,
                        help_text="Answers that one user may ask for in a minute.",
                        null=True,
                        verbose_name="requests per minute",
                    ),
                ),
                migrations.AlterField(
                    model_name="plan",
                    name="streams",
                    field=conversations.models.limits.LimitField(
                        blank=True,
                        help_text="Answers that one user watches at once.",
                        null=True,
                        verbose_name="streams",
                    ),
                ),
                migrations.AlterField(
                    model_name="plan",
                    name="tokens_per_day",
                    field=conversations.models.limits.LimitField(blank=True, null=True, verbose_name="tokens per day"),
                ),
                migrations.AlterField(
                    model_name="plan",
                    name="tokens_per_minute",
                    field=conversations.models.limits.LimitField(
                        blank=True, null=True, verbose_name="tokens per minute"
                    ),
                ),
                migrations.AlterField(
                    model_name="plan",
                    name="tokens_per_month",
                    field=conversations.models.limits.LimitField(
                        blank=True, null=True, verbose_name="tokens per month"
                    ),
                ),
                migrations.AlterField(
                    model_name="preset",
                    name="model",
                    field=models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="conversations.chatmodel",
                        verbose_name="model",
                    ),
                ),
                migrations.AlterField(
                    model_name="preset",
                    name="name",
                    field=models.CharField(max_length=100, verbose_name="name"),
                ),
                migrations.AlterField(
                    model_name="preset",
                    name="owner",
                    field=models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="presets",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="owner",
                    ),
                ),
                migrations.AlterField(
                    model_name="preset",
                    name="parameters",
                    field=models.JSONField(blank=True, default=dict, verbose_name="parameters"),
                ),
                migrations.AlterField(
                    model_name="preset",
                    name="system_prompt",
                    field=models.TextField(blank=True, verbose_name="system prompt"),
                ),
            ],
        ),
    ]
