"""Takes a selection of conversations along: one reason for all of them, then a stream that holds one at a time."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator

from asgiref.sync import sync_to_async
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext
from django.views.decorators.http import require_POST

from conversations import audit
from conversations.admin.base import user_of
from conversations.admin.forms import MOST_EXPORTED, ExportForm
from conversations.models import Conversation
from conversations.review import openings
from conversations.transfer.selections import FORMS


def ask_for_export(request: HttpRequest, rows: QuerySet[Conversation]) -> HttpResponse:
    """Ask why, and as what."""
    ids = list(rows.values_list("pk", flat=True)[:MOST_EXPORTED])
    return _page(request, ExportForm(initial={"ids": ",".join(map(str, ids))}), len(ids))


@require_POST
def export(request: HttpRequest) -> HttpResponseBase:
    """Open what is exported, for the same reason, and stream it."""
    if not may_export(request):
        raise PermissionDenied
    form = ExportForm(request.POST)
    if not form.is_valid():
        return _page(request, form, len(request.POST.get("ids", "").split(",")), status=422)
    rows = Conversation.objects.visible().filter(pk__in=form.cleaned_data["ids"])
    ids = list(rows.order_by("-updated_at", "-pk").values_list("pk", flat=True))
    openings.open_transcripts(user_of(request), ids, reason=form.cleaned_data["reason"])
    if form.cleaned_data["form"] == "open":
        return redirect("admin:conversations_conversation_changelist")
    write, content_type, ending = FORMS[form.cleaned_data["form"]]
    audit.record(user_of(request), "transcripts.exported", conversations=len(ids), form=ending)
    response = StreamingHttpResponse(_chunks(write(_one_by_one(ids))), content_type=content_type)
    name = f"conversations-{timezone.localdate()}.{ending}"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Cache-Control"] = "no-store"
    response["Content-Encoding"] = "identity"  # compression would gather it first
    return response


def may_export(request: HttpRequest) -> bool:
    """Whether this is a reviewer who may also take along what they may read."""
    user = user_of(request)
    return openings.may_open(user) and user.has_perm("conversations.export_transcripts")


def _page(request: HttpRequest, form: ExportForm, count: int, status: int = 200) -> HttpResponse:
    context = {**admin.site.each_context(request), "title": gettext("Export or open conversations"), "form": form}
    context |= {"count": count, "opts": Conversation._meta}
    return TemplateResponse(request, "admin/conversations/export.html", context, status=status)


def _one_by_one(ids: list[uuid.UUID]) -> Iterator[Conversation]:
    rows = Conversation.objects.visible().select_related("owner", "model").prefetch_related("tags")
    for pk in ids:
        row = rows.filter(pk=pk).first()
        if row is not None:  # deleted since
            yield row


async def _chunks(lines: Iterator[str]) -> AsyncIterator[bytes]:
    def step() -> str | None:
        return next(lines, None)

    while (line := await sync_to_async(step)()) is not None:
        yield line.encode()
