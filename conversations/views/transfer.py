"""Conversations on their way out and in, and all that a user has: pages and downloads."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator
from typing import IO

from allauth.core import ratelimit
from django.conf import settings
from django.contrib.auth import logout
from django.core.paginator import Paginator
from django.db.models import Count
from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.http import content_disposition_header
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from conversations import audit, turns
from conversations.forms import DeleteAccountForm, ExportForm, ImportForm, first_error
from conversations.models import Conversation, Job, JobResult
from conversations.reading import copies
from conversations.serving.bodies import takes_an_import
from conversations.threads import reader
from conversations.transfer.archives import EXTENSIONS, JSON, as_text, has_files, zip_of
from conversations.transfer.names import file_name
from conversations.turns import NotConfirmed, TurnRefused
from conversations.views.base import CONFLICT, UNPROCESSABLE, Request, owned_conversation

CHUNK_BYTES = 262_144
RESULTS_ON_A_PAGE = 100
RECENT_JOBS = 10
TOO_MANY = 429
ATTEMPTS_SECONDS = 60  # in which so many attempts count (allauth's `change_password`, 5/m/user)
CONTENT_TYPES = {"json": "application/json", "markdown": "text/markdown; charset=utf-8", "html": "text/html"}


@require_GET
@never_cache
def export(request: Request, conversation_id: uuid.UUID) -> HttpResponseBase:
    """Give a conversation as a file in the chosen format, or the choice."""
    conversation = owned_conversation(request, conversation_id)
    context = {"conversation": conversation}
    if "format" not in request.GET:
        return render(request, "conversations/export.html", context)
    form = ExportForm(request.GET)
    if not form.is_valid():
        return render(
            request, "conversations/export.html", context | {"error": first_error(form)}, status=UNPROCESSABLE
        )
    name = form.cleaned_data["format"]
    audit.record(request.user, "conversation.export", conversation_id=conversation.pk, format=name)
    whole = form.cleaned_data["whole"]
    if name == JSON and has_files(conversation):
        return _with_files(conversation, whole=whole)
    content = as_text(conversation, name, whole=whole).encode("utf-8", "replace")
    response = HttpResponse(content, content_type=CONTENT_TYPES[name])
    response["Content-Disposition"] = content_disposition_header(True, file_name(str(conversation), EXTENSIONS[name]))
    return response


def _with_files(conversation: Conversation, *, whole: bool) -> HttpResponseBase:
    """Give a zip with the JSON of a conversation and its images beside it."""
    return _zip(_pieces(zip_of(conversation, whole=whole)), file_name(str(conversation), "zip"))


@require_GET
@never_cache
def print_(request: Request, conversation_id: uuid.UUID) -> HttpResponse:
    """Show the whole branch as a page for paper."""
    conversation = owned_conversation(request, conversation_id)
    context = {"conversation": conversation, "thread": copies.copies(copies.shown(conversation))}
    return render(request, "conversations/print.html", context)


@require_GET
@never_cache
def data(request: Request) -> HttpResponse:
    """Show what one can do with all that one has."""
    return _data_page(request)


def _data_page(request: Request, error: str = "", status: int = 200) -> HttpResponse:
    jobs = request.user.jobs.exclude(kind=Job.Kind.ERASURE)[:RECENT_JOBS]
    megabytes = settings.IMPORT_BYTES // 10**6
    context = {"jobs": jobs, "error": error, "megabytes": megabytes}
    return render(request, "conversations/data.html", context, status=status)


@require_POST
def export_all(request: Request) -> HttpResponse:
    """Have all conversations put into a zip."""
    form = ExportForm(request.POST)
    if not form.is_valid():
        return _data_page(request, first_error(form), UNPROCESSABLE)
    try:
        job = turns.start_export(request.user, form=form.cleaned_data["format"])
    except TurnRefused as refusal:
        return _data_page(request, str(refusal), CONFLICT)
    return redirect("conversations:job", job.pk)


@require_POST
def download_everything(request: Request) -> HttpResponse:
    """Have all that is stored about this user put into a zip."""
    try:
        job = turns.start_download(request.user)
    except TurnRefused as refusal:
        return _data_page(request, str(refusal), CONFLICT)
    return redirect("conversations:job", job.pk)


@require_POST
@takes_an_import
def import_(request: Request) -> HttpResponse:
    """Take a file with conversations, and have them imported."""
    form = ImportForm(request.POST, request.FILES)
    if not form.is_valid():
        return _data_page(request, first_error(form), UNPROCESSABLE)
    try:
        job = turns.start_import(request.user, form.cleaned_data["file"])
    except TurnRefused as refusal:
        return _data_page(request, str(refusal), CONFLICT)
    return redirect("conversations:import", job.pk)


@require_GET
@never_cache
def job(request: Request, job_id: uuid.UUID) -> HttpResponse:
    """Show how far an import or export is, and what became of it; as a fragment for htmx, which asks again."""
    row = _owned_job(request, job_id)
    results = row.results.select_related("conversation")
    counts = dict(results.order_by().values_list("status").annotate(Count("pk")))
    page = Paginator(results, RESULTS_ON_A_PAGE).get_page(request.GET.get("page")) if not row.is_unfinished else None
    context = {
        "job": row,
        "counts": [(value, counts[value]) for value in JobResult.Status.values if value in counts],
        "page": page,
        "expired": row.status == Job.Status.COMPLETED and row.kind == Job.Kind.EXPORT and not row.file,
        "percent": 100 * row.done // row.total if row.total else None,
    }
    template = "conversations/_job.html" if request.htmx else "conversations/job.html"
    return render(request, template, context)


@require_GET
@never_cache
def job_file(request: Request, job_id: uuid.UUID) -> HttpResponseBase:
    """Give the zip that an export has made."""
    row = _owned_job(request, job_id)
    if row.status != Job.Status.COMPLETED or not row.file or row.kind != Job.Kind.EXPORT:
        raise Http404
    try:
        file = row.file.open("rb")
    except (OSError, ValueError):
        raise Http404 from None
    audit.record(request.user, "export.download", job=str(row.pk))
    day = timezone.localtime(row.created_at).date()
    what = gettext("everything") if row.parameters.get("everything") else row.parameters.get("format", "")
    response = _zip(_chunks(file), file_name(f"Stillwater {day} {what}", "zip"))
    response["Content-Length"] = str(row.file.size)
    return response


def _zip(content: AsyncIterator[bytes], name: str) -> StreamingHttpResponse:
    response = StreamingHttpResponse(content, content_type="application/zip")
    response["Content-Encoding"] = "identity"  # it is compressed already
    response["Content-Disposition"] = content_disposition_header(True, name)
    return response


async def _pieces(made: Iterator[bytes]) -> AsyncIterator[bytes]:
    while (piece := await reader.call(next, made, None)) is not None:
        yield piece


async def _chunks(file: IO[bytes]) -> AsyncIterator[bytes]:
    try:
        while chunk := await reader.call(file.read, CHUNK_BYTES):
            yield chunk
    finally:
        file.close()


@require_POST
def discard_job(request: Request, job_id: uuid.UUID) -> HttpResponse:
    """Forget an import or export, with its file."""
    turns.discard(_owned_job(request, job_id))
    return redirect("conversations:data")


@require_http_methods(["GET", "POST"])
@never_cache
def delete_account(request: Request) -> HttpResponse:
    """Ask whether one means it; then sign out and have everything erased."""
    if request.method == "GET":
        return _delete_page(request)
    # The same count as for a change of the password: both would tell somebody at an open screen what it is.
    if not ratelimit.consume(request, action="change_password"):
        sentence = gettext("These were too many attempts. Wait a minute and try again.")
        response = _delete_page(request, sentence, TOO_MANY)
        response["Retry-After"] = str(ATTEMPTS_SECONDS)
        return response
    form = DeleteAccountForm(request.POST)
    try:
        turns.delete_account(request.user, confirmation=form.cleaned_data["confirmation"] if form.is_valid() else "")
    except TurnRefused as refusal:
        return _delete_page(request, str(refusal), UNPROCESSABLE if isinstance(refusal, NotConfirmed) else CONFLICT)
    logout(request)
    return render(request, "conversations/account_deleted.html")


def _delete_page(request: Request, error: str = "", status: int = 200) -> HttpResponse:
    count = request.user.conversations.visible().count()
    return render(request, "conversations/delete_account.html", {"count": count, "error": error}, status=status)


def _owned_job(request: Request, job_id: uuid.UUID) -> Job:
    return get_object_or_404(request.user.jobs.exclude(kind=Job.Kind.ERASURE), pk=job_id)
