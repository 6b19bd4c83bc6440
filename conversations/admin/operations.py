"""What operators do: see what runs, by user and by model but without a word of it, and stop it."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, F, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext, ngettext

from conversations import turns
from conversations.admin.base import user_of
from conversations.admin.forms import StopForm
from conversations.measuring import figures
from conversations.models import Breaker, ChatModel, Generation, Worker

MOST_SHOWN = 100
LATE_SECONDS = 20  # an answer that waits so long to be begun is worth a word, and so is a worker that is silent so long


def operations(request: HttpRequest) -> HttpResponse:
    """Show what runs now; stop that of a user, of a model, or all of it."""
    if not user_of(request).has_perm("conversations.stop_generations"):
        raise PermissionDenied
    if request.method == "POST":
        return _stop(request)
    active = Generation.objects.active().order_by()
    count = Count("pk")
    users = (
        active.values(name=F("message__conversation__owner__username")).annotate(count=count).order_by("-count", "name")
    )
    models = active.values("model", "model__label").annotate(count=count).order_by("-count", "model__label")
    context = {
        **admin.site.each_context(request),
        "title": gettext("What runs now"),
        "users": users[:MOST_SHOWN],
        "models": models[:MOST_SHOWN],
        "total": active.count(),
        "out_of_service": ChatModel.objects.exclude(out_of_service_message=""),
        "breakers": [breaker for breaker in Breaker.objects.all() if breaker.state != Breaker.Mode.CLOSED],
        "failures": _failures(),
        "late": _waits_since(),
        "no_worker": settings.GENERATION_BACKEND == "celery" and not Worker.seen(LATE_SECONDS).exists(),
    }
    return TemplateResponse(request, "admin/conversations/operations.html", context)


def _failures() -> list[tuple[str, str, int]]:
    """Return model, error and number of what failed in this hour and the last one, most first."""
    counts: Counter[tuple[str, str]] = Counter()
    for row in figures.lately():
        for code, count in row.errors.items():
            counts[row.model, code] += count
    return [(model, code, count) for (model, code), count in counts.most_common(MOST_SHOWN)]


def _waits_since() -> datetime | None:
    """Return since when the oldest answer waits that nobody has begun for too long."""
    queued = Generation.objects.not_completed().filter(status=Generation.Status.QUEUED)
    rows = queued.filter(created_at__lt=timezone.now() - timedelta(seconds=LATE_SECONDS))
    return rows.order_by("created_at").values_list("created_at", flat=True).first()


def _stop(request: HttpRequest) -> HttpResponse:
    form = StopForm(request.POST)
    rows = _chosen(form.cleaned_data) if form.is_valid() else None
    if rows is None:
        messages.error(request, gettext("Nothing was stopped: say whose answers, or confirm that you mean all."))
    else:
        count = turns.stop_generations(rows, actor=user_of(request))
        sentence = ngettext("%(count)d answer was told to stop.", "%(count)d answers were told to stop.", count)
        messages.success(request, sentence % {"count": count})
    return redirect("operations")


def _chosen(asked: dict[str, Any]) -> Any:
    """Return the generations that a form asks for; None when it asks for none in particular and does not say all."""
    rows: QuerySet[Generation] = Generation.objects.all()
    if asked["user"]:
        return rows.filter(message__conversation__owner__username=asked["user"])
    if asked["model"] is not None:
        return rows.filter(model=asked["model"])
    return rows if asked["everything"] else None
