"""What browsers report of themselves: when the first text of an answer was on the screen."""

from __future__ import annotations

import re
import time
import uuid
from collections import OrderedDict

from django.conf import settings
from django.http import Http404, HttpResponse, HttpResponseBadRequest
from django.utils import timezone
from django.views.decorators.http import require_POST

from conversations import metrics
from conversations.models import Generation
from conversations.views.base import Request

MOST_MS = 600_000
LATE_MS = 2_000  # a browser's clock runs differently, and a report is under way for a while
REPORTS_PER_MINUTE = 60  # of one user, in this process
MOST_USERS = 10_000
MINUTE = 60
_DIGITS = re.compile("[0-9]{1,6}")

_reports: OrderedDict[int, tuple[int, int]] = OrderedDict()  # user: minute, reports in it


@require_POST
def painted(request: Request, generation_id: uuid.UUID) -> HttpResponse:
    """Take one report about a generation of one's own: `ms` from pressing Send to the first text.

    It cannot be longer than the generation is old, and only the first report counts.
    """
    if not settings.METRICS or _too_many(request.user.pk):
        return HttpResponse(status=429 if settings.METRICS else 204)
    owned = Generation.objects.filter(pk=generation_id, message__conversation__owner=request.user)
    row = owned.values("created_at", "arm").first()
    if row is None:
        raise Http404
    given = request.POST.get("ms", "")
    age_ms = (timezone.now() - row["created_at"]).total_seconds() * 1000
    if not _DIGITS.fullmatch(given) or int(given) > min(MOST_MS, age_ms + LATE_MS):
        return HttpResponseBadRequest()
    if Generation.objects.filter(pk=generation_id, painted_ms=None).update(painted_ms=int(given)):
        metrics.painted.labels(metrics.arm_label(row["arm"])).observe(int(given) / 1000)
    return HttpResponse(status=204)


def _too_many(user_id: int) -> bool:
    minute = int(time.monotonic() // MINUTE)
    before, count = _reports.pop(user_id, (minute, 0))
    _reports[user_id] = minute, count + 1 if before == minute else 1
    if len(_reports) > MOST_USERS:
        _reports.popitem(last=False)
    return _reports[user_id][1] > REPORTS_PER_MINUTE
