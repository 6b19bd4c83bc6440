"""Filters of the lists. Each goes by an index, or stops as soon as a page is full."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.db.models import Exists, OuterRef, QuerySet, Subquery, Sum
from django.http import HttpRequest
from django.utils.translation import gettext, gettext_lazy

from conversations import audit
from conversations.admin.base import user_of
from conversations.models import Conversation, Feedback, Flag, Generation, Message

Rows = QuerySet[Any]
LENGTHS = (10, 50, 200)
COSTS = ("0.01", "0.1", "1", "10")
COST_LOOKS_AT = 5_000  # of the newest conversations: what each has cost is added up anew


class OwnerFilter(admin.SimpleListFilter):
    """Asks for a user name: a list of all users would be as long as there are users."""

    title = gettext_lazy("user")
    parameter_name = "owner"
    template = "admin/conversations/text_filter.html"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002 - Django's
        """Nothing to choose from; not empty, because an empty filter is not shown."""
        return [("", "")]

    def choices(self, changelist: Any) -> Any:
        """Give the template what else is asked for, to keep it."""
        others = [(key, value) for key, values in changelist.filter_params.items() for value in values]
        kept = [(key, value) for key, value in others if key != self.parameter_name]
        yield {"others": kept, "value": self.value() or "", "clear": changelist.get_query_string(remove=["owner"])}

    def queryset(self, request: HttpRequest, queryset: Rows) -> Rows:  # noqa: ARG002 - Django's interface
        """Narrow down to one user."""
        name = (self.value() or "").strip()
        return queryset.filter(owner__username=name) if name else queryset


class ChoiceFilter(admin.SimpleListFilter):
    """A filter by one of a few choices, which a subclass names with what each asks for."""

    def options(self) -> Iterable[tuple[str, str, Callable[[Rows], Rows]]]:
        """Return value, label and what is left of the rows by it."""
        raise NotImplementedError

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002 - Django's
        """Return the choices."""
        return [(value, label) for value, label, _ in self.options()]

    def queryset(self, request: HttpRequest, queryset: Rows) -> Rows:
        """Narrow down by the choice, if there is one."""
        self.user = user_of(request)
        chosen = {value: narrow for value, _, narrow in self.options()}.get(self.value() or "")
        return chosen(queryset) if chosen is not None else queryset


class StatusFilter(ChoiceFilter):
    """By the states of answers in a conversation."""

    title = gettext_lazy("answers")
    parameter_name = "status"

    def options(self) -> Iterable[tuple[str, str, Callable[[Rows], Rows]]]:
        """Those that run, and each way to end that is not the usual one."""
        yield "running", gettext("being written"), lambda rows: rows.filter(pk__in=_places(Generation.ACTIVE))
        for status, label in (
            ("failed", gettext("failed")),
            ("interrupted", gettext("interrupted")),
            ("stopped", gettext("stopped")),
        ):
            yield status, label, lambda rows, status=status: rows.filter(pk__in=_places([status]))  # type: ignore[misc]


def _places(statuses: Iterable[str]) -> Rows:
    rows = Generation.objects.not_completed().filter(status__in=list(statuses))
    return rows.values("message__conversation")


class GenerationStatusFilter(ChoiceFilter):
    """By state; of those that are not complete by the index of these."""

    title = gettext_lazy("status")
    parameter_name = "status"

    def options(self) -> Iterable[tuple[str, str, Callable[[Rows], Rows]]]:
        """Each state but the usual one."""
        for status, label in Generation.Status.choices:
            if status != Generation.Status.COMPLETED:
                yield status, str(label), lambda rows, status=status: rows.not_completed().filter(status=status)  # type: ignore[misc]


class FeedbackFilter(ChoiceFilter):
    """By what the owner thinks of answers."""

    title = gettext_lazy("feedback")
    parameter_name = "feedback"

    def options(self) -> Iterable[tuple[str, str, Callable[[Rows], Rows]]]:
        """Good, bad, and with a word to it."""
        feedback = Feedback.objects.values("message__conversation")
        yield "good", gettext("good"), lambda rows: rows.filter(pk__in=feedback.filter(value=1))
        yield "bad", gettext("bad"), lambda rows: rows.filter(pk__in=feedback.filter(value=-1))
        yield "commented", gettext("with a comment"), lambda rows: rows.filter(pk__in=feedback.exclude(comment=""))


class FlagFilter(ChoiceFilter):
    """By flags."""

    title = gettext_lazy("flags")
    parameter_name = "flags"

    def options(self) -> Iterable[tuple[str, str, Callable[[Rows], Rows]]]:
        """Those that wait, and any."""
        flags = Flag.objects.all()
        pending = flags.pending().values("conversation")
        yield "pending", gettext("waiting for review"), lambda rows: rows.filter(pk__in=pending)
        yield "any", gettext("ever flagged"), lambda rows: rows.filter(pk__in=flags.values("conversation"))


class LengthFilter(ChoiceFilter):
    """By how many messages there are. Of each conversation no more are looked at than are asked for."""

    title = gettext_lazy("messages")
    parameter_name = "length"

    def options(self) -> Iterable[tuple[str, str, Callable[[Rows], Rows]]]:
        """At least so many."""
        for least in LENGTHS:
            label = gettext("%(count)d or more") % {"count": least}
            yield str(least), label, lambda rows, least=least: rows.filter(_has_messages(least))  # type: ignore[misc]


def _has_messages(least: int) -> Exists:
    return Exists(Message.objects.filter(conversation=OuterRef("pk")).order_by()[least - 1 : least])


class CostFilter(ChoiceFilter):
    """By what the answers have cost, among the newest conversations."""

    title = gettext_lazy("cost (of the 5,000 newest)")
    parameter_name = "cost"

    def options(self) -> Iterable[tuple[str, str, Callable[[Rows], Rows]]]:
        """At least so much."""
        for least in COSTS:
            yield least, f"≥ {least}", lambda rows, least=least: _that_cost(rows, Decimal(least))  # type: ignore[misc]


def _that_cost(rows: Rows, least: Decimal) -> Rows:
    newest = Conversation.objects.visible().order_by("-updated_at", "-pk").values("pk")[:COST_LOOKS_AT]
    # Grouped once: else PostgreSQL adds up the answers of every conversation, and only then looks which are new.
    answers = Generation.objects.filter(message__conversation__in=newest, cost__isnull=False).order_by()
    sums = answers.values("message__conversation").annotate(sum=Sum("cost")).filter(sum__gte=least)
    return rows.filter(pk__in=sums.values("message__conversation"))


def cost_of_conversation() -> Subquery:
    """Return what the answers of a conversation have cost together."""
    rows = Generation.objects.filter(message__conversation=OuterRef("pk"), cost__isnull=False).order_by()
    return Subquery(rows.values("message__conversation").annotate(sum=Sum("cost")).values("sum"))


class ActionFilter(admin.SimpleListFilter):
    """By what was done. Django's own filter would look through the whole trail for what there is."""

    title = gettext_lazy("action")
    parameter_name = "action"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002 - Django's
        """Return the actions that there are, by the words of the trail."""
        return [(action, action) for action in audit.actions()]

    def queryset(self, request: HttpRequest, queryset: Rows) -> Rows:  # noqa: ARG002 - Django's interface
        """Narrow down to one action."""
        return queryset.filter(action=self.value()) if self.value() else queryset


class AssignmentFilter(ChoiceFilter):
    """Whose flags, and which are late."""

    title = gettext_lazy("who")
    parameter_name = "who"

    def options(self) -> Iterable[tuple[str, str, Callable[[Rows], Rows]]]:
        """Mine, nobody's, and those whose time is over."""
        user = getattr(self, "user", None)
        yield "mine", gettext("mine"), lambda rows: rows.filter(assigned_to=user)
        yield "unassigned", gettext("unassigned"), lambda rows: rows.filter(assigned_to=None)
        yield "overdue", gettext("overdue"), lambda rows: rows.overdue()  # type: ignore[attr-defined] # flags


class StateFilter(ChoiceFilter):
    """By state: at first what waits."""

    title = gettext_lazy("state")
    parameter_name = "state"

    def options(self) -> Iterable[tuple[str, str, Callable[[Rows], Rows]]]:
        """Each state, and all of them."""
        for state, label in Flag.State.choices:
            yield state, str(label), lambda rows, state=state: rows.filter(state=state)  # type: ignore[misc]
        yield "all", gettext("all"), lambda rows: rows

    def queryset(self, request: HttpRequest, queryset: Rows) -> Rows:
        """Show what is pending unless something else is asked for."""
        if not self.value():
            return queryset.filter(state__in=Flag.PENDING)
        return super().queryset(request, queryset)

    def choices(self, changelist: Any) -> Any:
        """Call the first choice by what it shows."""
        found = list(super().choices(changelist))
        return [found[0] | {"display": gettext("open and in review")}, *found[1:]]
