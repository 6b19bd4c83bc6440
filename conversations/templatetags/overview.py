"""What the first page of the admin says: what waits for a review, and what runs now. Numbers only."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import template
from django.db.models import Min
from django.http import HttpRequest
from django.utils import timezone

from chatapp.accounts.models import User
from conversations.measuring import figures
from conversations.models import Breaker, ChatModel, Flag, Generation
from conversations.review import flags

register = template.Library()

MOST_FLAGS = 5
WEEK = timedelta(days=7)


@register.simple_tag
def overview(request: HttpRequest) -> dict[str, Any]:
    """Return the numbers that this user may see; each is counted by an index of the few rows it is about."""
    user = request.user
    found: dict[str, Any] = {}
    if not isinstance(user, User):
        return found
    if user.has_perm("conversations.view_flag"):
        pending = Flag.objects.pending().filter(conversation__deleted_at=None)
        found["review"] = {
            "pending": pending.count(),
            "mine": pending.filter(assigned_to=user).count(),
            "unassigned": pending.filter(assigned_to=None).count(),
            "overdue": pending.overdue().count(),
            "week_ago": timezone.localdate() - WEEK,
        }
        oldest = pending.select_related("assigned_to").order_by("due_at")[:MOST_FLAGS]
        found["oldest"] = [(flag, flags.reason_label(flag.reason)) for flag in oldest]
    if user.has_perm("conversations.view_generation"):
        found["running"] = {
            "all": Generation.objects.active().count(),
            "waiting": Generation.objects.active().filter(status=Generation.Status.QUEUED).count(),
            "oldest": Generation.objects.active().aggregate(oldest=Min("created_at"))["oldest"],
        }
        found["failed"] = sum(row.failed for row in figures.lately())
    if user.has_perm("conversations.view_chatmodel"):
        found["out_of_service"] = list(ChatModel.objects.exclude(out_of_service_message="").only("label"))
        found["broken"] = [breaker for breaker in Breaker.objects.all() if breaker.state != "closed"]
    return found
