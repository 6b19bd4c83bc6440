"""The review queue: flags, who has them, what was noted and what became of them."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, gettext_lazy, ngettext
from django.views.decorators.http import require_POST

from chatapp.accounts.models import User
from conversations.admin.base import ReadOnlyAdmin, masked, reading_context, title_of, user_of, with_opened
from conversations.admin.forms import ReasonForm, StepForm
from conversations.admin.list_filters import AssignmentFilter, StateFilter
from conversations.models import Flag, Message
from conversations.reading import transcript
from conversations.review import flags


def _move_all(state: str) -> Any:
    def act(self: Any, request: HttpRequest, rows: QuerySet[Flag]) -> None:
        moved, left, again = 0, 0, ""
        for flag in rows.select_related(None)[: self.list_per_page]:
            if state == Flag.State.IN_REVIEW and flag.assigned_to_id is not None:
                flag.assigned_to_id = user_of(request).pk  # the list may be old: what others have is taken on its page
            try:
                flags.move(flag, state, by=user_of(request))
            except flags.RaisedAgain as refusal:
                again = str(refusal)
            except flags.FlagMoved:
                left += 1
            else:
                moved += 1
        sentence = ngettext("%(count)d flag was changed.", "%(count)d flags were changed.", moved)
        messages.success(request, sentence % {"count": moved})
        if left:
            sentence = ngettext(
                "%(count)d flag was left as it is: somebody else has it, or was faster.",
                "%(count)d flags were left as they are: somebody else has them, or was faster.",
                left,
            )
            messages.warning(request, sentence % {"count": left})
        if again:
            messages.warning(request, again)

    return act


@admin.register(Flag)
class FlagAdmin(ReadOnlyAdmin):
    list_display = ("why", "where", "source", "shown_state", "assigned_to", "raised_at", "due")
    list_filter = (StateFilter, AssignmentFilter, "source", "raised_at")
    ordering = ("-pk",)
    actions = ("take", "give_back", "resolve", "dismiss")

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Call it what it is to reviewers."""
        return super().changelist_view(request, {"list_title": gettext("Review queue"), **(extra_context or {})})

    take = admin.action(permissions=["review"], description=gettext_lazy("Take"))(_move_all(Flag.State.IN_REVIEW))
    give_back = admin.action(permissions=["review"], description=gettext_lazy("Give back"))(_move_all(Flag.State.OPEN))
    resolve = admin.action(permissions=["review"], description=gettext_lazy("Resolve"))(_move_all(Flag.State.RESOLVED))
    dismiss = admin.action(permissions=["review"], description=gettext_lazy("Dismiss"))(_move_all(Flag.State.DISMISSED))

    def has_review_permission(self, request: HttpRequest) -> bool:
        """Whether somebody may work on flags; others see how many there are, and in which state."""
        return user_of(request).has_perm("conversations.change_flag")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Flag]:
        """Leave out what its owner has deleted."""
        rows = Flag.objects.filter(conversation__deleted_at=None).select_related("conversation__owner", "assigned_to")
        return with_opened(rows, user_of(request), "conversation")

    def get_urls(self) -> list[URLPattern]:
        """Add the steps of one flag."""
        step = self.admin_site.admin_view(require_POST(self.step_view))
        return [path("<uuid:pk>/step/", step, name="conversations_flag_step"), *super().get_urls()]

    @admin.display(description=gettext_lazy("reason"))
    def why(self, flag: Flag) -> str:
        """Why it was raised."""
        return flags.reason_label(flag.reason)

    @admin.display(description=gettext_lazy("conversation"))
    def where(self, flag: Flag) -> str:
        """Where it was raised."""
        return title_of(flag, flag.conversation)

    @admin.display(description=gettext_lazy("state"))
    def shown_state(self, flag: Flag) -> SafeString:
        """The state as a badge."""
        return format_html('<span class="badge {}">{}</span>', flag.state, flag.get_state_display())

    @admin.display(description=gettext_lazy("in time"), boolean=True)
    def due(self, flag: Flag) -> bool | None:
        """Whether its time is not over yet; nothing to say of those that are closed."""
        return not flag.is_overdue if flag.is_pending else None

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",  # noqa: ARG002 - Django's interface
        extra_context: dict[str, Any] | None = None,  # noqa: ARG002 - as above
    ) -> HttpResponse:
        """Show a flag, the message that it is about, and what can be done."""
        if request.method != "GET" or not self.has_view_permission(request):
            raise PermissionDenied
        flag = self._found(request, object_id)
        return self._page(request, flag, StepForm(initial={"to": flag.assigned_to_id}))

    def _page(self, request: HttpRequest, flag: Flag, step: StepForm, status: int = 200) -> HttpResponse:
        user = user_of(request)
        reading = reading_context(user, flag.conversation_id, ReasonForm())
        opening = reading["opening"]
        context = {
            **self.admin_site.each_context(request),
            **reading,
            "opts": self.opts,
            "title": flags.reason_label(flag.reason),
            "flag": flag,
            "where": title_of(flag, flag.conversation) if opening else masked(flag.conversation_id),
            "may_review": self.has_review_permission(request),
            "step": step,
            "notes": flag.notes.select_related("author"),
            "thread": _around(flag) if opening else [],
            "may_replay": user.has_perm("conversations.view_generation"),
            "following": self._following(request, flag),
        }
        return TemplateResponse(request, "admin/conversations/flag.html", context, status=status)

    def step_view(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        """Change the state, note something or assign; whichever the form says."""
        if not self.has_review_permission(request):
            raise PermissionDenied
        flag, user = self._found(request, str(pk)), user_of(request)
        form = StepForm(request.POST)
        if not form.is_valid():
            messages.error(request, " ".join(str(error) for errors in form.errors.values() for error in errors))
            return redirect("admin:conversations_flag_change", pk)
        step = form.cleaned_data
        if "had" in request.POST:
            flag.assigned_to_id = step["had"]
        try:
            _take_step(flag, step, user)
        except flags.FlagMoved as refusal:
            messages.error(request, str(refusal))
            return self._too_late(request, pk, step["text"])
        return redirect("admin:conversations_flag_change", pk)

    def _too_late(self, request: HttpRequest, pk: uuid.UUID, text: str) -> HttpResponse:
        """Show the flag as it is now, with the note that was typed: it is not stored."""
        flag = self._found(request, str(pk))
        return self._page(request, flag, StepForm(initial={"to": flag.assigned_to_id, "text": text}), status=409)

    def _following(self, request: HttpRequest, flag: Flag) -> Flag | None:
        """Return what a reviewer looks at after a flag: of theirs and of nobody's the one that is due first."""
        waiting = Flag.objects.pending().filter(conversation__deleted_at=None).exclude(pk=flag.pk)
        mine = waiting.filter(Q(assigned_to=None) | Q(assigned_to=user_of(request)))
        after = mine.filter(due_at__gte=flag.due_at).order_by("due_at", "pk").first()
        return after or mine.order_by("due_at", "pk").first()

    def _found(self, request: HttpRequest, object_id: str) -> Flag:
        flag: Flag | None = self.get_object(request, object_id)
        if flag is None:
            raise Http404
        return flag


def _take_step(flag: Flag, step: dict[str, Any], user: User) -> None:
    """Do all that a form says, or, raising `FlagMoved`, nothing of it."""
    with transaction.atomic():
        if step["to"] is not None:
            flags.assign(flag, step["to"], by=user)
        if step["state"]:
            flags.move(flag, step["state"], by=user)
        if step["text"].strip():
            flags.add_note(flag, step["text"].strip(), by=user)


def _around(flag: Flag) -> list[transcript.MessageView]:
    """Return the question and the answer that a flag is about."""
    message = Message.objects.select_related("parent").get(pk=flag.message_id)
    return [transcript.single(row) for row in (message.parent, message) if row is not None]
