"""Conversations: a list without content, and transcripts as users saw them for those who have given a reason."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import PermissionDenied
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, gettext_lazy, ngettext
from django.views.decorators.http import require_POST

from conversations import audit, search, turns
from conversations.admin import exports, list_filters
from conversations.admin.base import ReadOnlyAdmin, masked, reading_context, title_of, user_of, with_opened
from conversations.admin.forms import FlagForm, ReasonForm
from conversations.models import Conversation, Flag, Generation, Message
from conversations.models.paths import newest_leaf
from conversations.reading import transcript
from conversations.reading.usage import money, spent
from conversations.review import flags, openings

MOST_FOUND = 1_000


@admin.register(Conversation)
class ConversationAdmin(ReadOnlyAdmin):
    list_display = ("conversation", "owner", "model", "message_count", "cost", "flag_count", "updated_at")
    list_filter = (
        list_filters.OwnerFilter,
        "model",
        "updated_at",
        list_filters.StatusFilter,
        list_filters.FeedbackFilter,
        list_filters.FlagFilter,
        list_filters.LengthFilter,
        list_filters.CostFilter,
    )
    list_select_related = ("model",)  # not the owner: an inner join lets SQLite begin with the users, and sort it all
    search_fields = ("pk",)  # what is searched is said in `get_search_results`
    search_help_text = gettext_lazy("An id, a user name, or, for reviewers, words of titles and messages.")
    ordering = ("-updated_at", "-pk")
    actions = ("export",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Conversation]:
        """Count, add up and unmask for the rows of a page alone: the database does it behind the limit."""
        count = Coalesce(Subquery(_count(Message.objects)), 0)
        pending = Coalesce(Subquery(_count(Flag.objects.pending())), 0)
        rows = (
            Conversation.objects.visible()
            .prefetch_related("owner")
            .annotate(message_count=count, pending=pending, spent=list_filters.cost_of_conversation())
        )
        return with_opened(rows, user_of(request), "pk")

    def get_urls(self) -> list[URLPattern]:
        """Add what reviewers do with one conversation."""
        views = {"open": self.open_view, "flag": self.flag_view, "stop": self.stop_view}
        own = [
            path(
                f"<uuid:pk>/{name}/",
                self.admin_site.admin_view(require_POST(view)),
                name=f"conversations_conversation_{name}",
            )
            for name, view in views.items()
        ]
        exporting = path(
            "export/", self.admin_site.admin_view(exports.export), name="conversations_conversation_export"
        )
        return [*own, exporting, *super().get_urls()]

    def has_export_permission(self, request: HttpRequest) -> bool:
        """Whether the action of exporting is offered, and done."""
        return exports.may_export(request)

    @admin.action(permissions=["export"], description=gettext_lazy("Export or open the selected conversations"))
    def export(self, request: HttpRequest, rows: QuerySet[Conversation]) -> HttpResponse:
        """Ask why, and as what."""
        return exports.ask_for_export(request, rows)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Search by id and user name; words are looked up in the index, by reviewers alone, and that is kept."""
        term, user = search_term.strip(), user_of(request)
        if not term:
            return queryset, False
        wanted = Q(owner__username=term)
        try:
            wanted |= Q(pk=uuid.UUID(term))
        except ValueError:
            if openings.may_open(user):
                found = search.found_anywhere(term, most=MOST_FOUND)
                audit.record(user, "transcripts.searched", found=len(found))
                wanted |= Q(pk__in=found)
        return queryset.filter(wanted), False

    def action_checkbox(self, obj: Conversation) -> SafeString:
        """Name the box by what the row shows; Django would take the title."""
        label = gettext("Select %(name)s") % {"name": title_of(obj, obj)}
        box = '<input type="checkbox" name="{}" value="{}" class="action-select" aria-label="{}">'
        return format_html(box, ACTION_CHECKBOX_NAME, obj.pk, label)

    @admin.display(description=gettext_lazy("conversation"))
    def conversation(self, row: Conversation) -> str:
        """The title for whoever may read it."""
        return title_of(row, row)

    @admin.display(description=gettext_lazy("messages"))
    def message_count(self, row: Any) -> int:
        """How many messages all branches have."""
        return int(row.message_count)

    @admin.display(description=gettext_lazy("cost"), empty_value="")
    def cost(self, row: Any) -> str | None:
        """What all its answers have cost."""
        return money(row.spent) if row.spent is not None else None

    @admin.display(description=gettext_lazy("flags"), empty_value="")
    def flag_count(self, row: Any) -> SafeString | None:
        """How many flags wait."""
        return format_html('<span class="badge bad">{}</span>', row.pending) if row.pending else None

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",  # noqa: ARG002 - Django's interface
        extra_context: dict[str, Any] | None = None,  # noqa: ARG002 - as above
    ) -> HttpResponse:
        """Show a transcript, or the question why one wants to read it."""
        if request.method != "GET":
            raise PermissionDenied
        return self.page(request, self._found(request, object_id), ReasonForm())

    def page(self, request: HttpRequest, row: Any, form: ReasonForm, status: int = 200) -> HttpResponse:
        """Render the page of a conversation; only what `opening` allows is read at all."""
        user = user_of(request)
        reading = reading_context(user, row.pk, form)
        opening = reading["opening"]
        context = {
            **self.admin_site.each_context(request),
            **reading,
            "opts": self.opts,
            "title": str(row) if opening else masked(row.pk),
            "row": row,
            "spent": spent(row),
            "running": Generation.objects.filter(message__conversation=row).active().count(),
            "may_stop": may_stop(request, row.pk),
            "may_replay": user.has_perm("conversations.view_generation"),
            "flags": [(flag, flags.reason_label(flag.reason)) for flag in row.flags.order_by("-pk")],
        }
        if opening is not None:
            context["thread"] = transcript.thread_to(_leaf(row, request.GET.get("at", "")))
            context["flag_form"] = FlagForm() if user.has_perm("conversations.add_flag") else None
        return TemplateResponse(request, "admin/conversations/transcript.html", context, status=status)

    def open_view(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        """Keep the reason and open the transcript."""
        row, user = self._found(request, str(pk)), user_of(request)
        if not openings.may_open(user):
            raise PermissionDenied
        form = ReasonForm(request.POST)
        if not form.is_valid():
            return self.page(request, row, form, status=422)
        openings.open_transcripts(user, [row.pk], reason=form.cleaned_data["reason"])
        return _back(request, row)

    def flag_view(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        """Flag a message by hand."""
        row, user = self._found(request, str(pk)), user_of(request)
        if not user.has_perm("conversations.add_flag") or openings.opening_of(user, row.pk) is None:
            raise PermissionDenied
        form = FlagForm(request.POST)
        message = row.messages.filter(pk=form.cleaned_data["message"]).first() if form.is_valid() else None
        if message is None:
            raise Http404
        flag = flags.raise_flag(message, source=Flag.Source.HAND, reason=form.cleaned_data["reason"], by=user)
        return redirect("admin:conversations_flag_change", flag.pk)

    def stop_view(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        """Stop what is being written in a conversation."""
        row = self._found(request, str(pk))
        if not may_stop(request, row.pk):
            raise PermissionDenied
        rows = Generation.objects.filter(message__conversation=row)
        count = turns.stop_generations(rows, actor=user_of(request))
        sentence = ngettext("%(count)d answer was told to stop.", "%(count)d answers were told to stop.", count)
        messages.success(request, sentence % {"count": count})
        return redirect("admin:conversations_conversation_change", row.pk)

    def _found(self, request: HttpRequest, object_id: str) -> Any:
        if not self.has_view_permission(request):
            raise PermissionDenied
        rows = self.get_queryset(request).select_related("owner", "model", "active_leaf")
        row = rows.filter(pk=object_id).first() if _is_id(object_id) else None
        if row is None:
            raise Http404
        return row


def _back(request: HttpRequest, row: Any) -> HttpResponse:
    """Return to the page that asked for the reason: that of a flag, of a replay, or of the conversation."""
    flag, generation = request.POST.get("flag", ""), request.POST.get("generation", "")
    if _is_id(flag) and row.flags.filter(pk=flag).exists():
        return redirect("admin:conversations_flag_change", flag)
    if _is_id(generation) and Generation.objects.filter(pk=generation, message__conversation=row).exists():
        return redirect("admin:conversations_generation_replay", generation)
    return redirect("admin:conversations_conversation_change", row.pk)


def may_stop(request: HttpRequest, conversation_id: uuid.UUID) -> bool:
    """Whether somebody may stop what is written here: operators, and reviewers who are reading it."""
    user = user_of(request)
    allowed = user.has_perm("conversations.stop_generations")
    return allowed or openings.opening_of(user, conversation_id) is not None


def _count(rows: Any) -> Any:
    found = rows.filter(conversation=OuterRef("pk")).order_by().values("conversation")
    return found.annotate(count=Count("pk")).values("count")


def _is_id(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


def _leaf(conversation: Conversation, at: str) -> Message | None:
    """Return the end of the branch that is asked for: the newest one through a message, else the owner's."""
    chosen = conversation.messages.filter(pk=at).first() if _is_id(at) else None
    return conversation.messages.get(pk=newest_leaf(chosen.pk)) if chosen is not None else conversation.active_leaf
