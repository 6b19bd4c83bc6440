"""The sentences about limits."""

from __future__ import annotations

import math
from datetime import datetime

from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.translation import gettext, gettext_lazy, ngettext

SHORT_SECONDS = 3600  # up to here a wait is told as a duration, then as a day

LABELS = {
    "requests_per_minute": gettext_lazy("Answers asked for in this minute"),
    "tokens_per_minute": gettext_lazy("Tokens in this minute"),
    "tokens_per_day": gettext_lazy("Tokens today"),
    "tokens_per_month": gettext_lazy("Tokens this month"),
    "generations": gettext_lazy("Answers being written at once"),
}
SPENT = {
    "requests_per_minute": gettext_lazy("You have asked for as many answers as you may in a minute."),
    "tokens_per_minute": gettext_lazy("You have used the tokens that you may use in a minute."),
    "tokens_per_day": gettext_lazy("You have used your tokens of today."),
    "tokens_per_month": gettext_lazy("You have used your tokens of this month."),
    "generations": gettext_lazy("As many answers are being written for you as may be at once."),
}
SPENT_TOGETHER = {
    "requests_per_minute": gettext_lazy("From your network as many answers were asked for as may be in a minute."),
    "tokens_per_day": gettext_lazy("The tokens that you share with others are used up for today."),
    "tokens_per_month": gettext_lazy("The tokens that you share with others are used up for this month."),
    "generations": gettext_lazy("As many answers are being written as you and others may have at once."),
}


def duration(seconds: float) -> str:
    """Return a time to wait, rounded up, so that nobody comes too early."""
    whole = max(1, math.ceil(seconds))
    if whole < 2 * 60:
        return ngettext("%(count)d second", "%(count)d seconds", whole) % {"count": whole}
    minutes = math.ceil(whole / 60)
    if minutes < 2 * 60:
        return ngettext("%(count)d minute", "%(count)d minutes", minutes) % {"count": minutes}
    hours = math.ceil(minutes / 60)
    return ngettext("%(count)d hour", "%(count)d hours", hours) % {"count": hours}


def day(at: datetime) -> str:
    """Return the day of a time: windows that last longer than a minute begin with one."""
    return date_format(timezone.localtime(at), "DATE_FORMAT")


def number(value: int) -> str:
    """Return a number with its thousands apart, as the language has it."""
    return number_format(value, use_l10n=True, force_grouping=True)


def spent(limit: str, *, shared: bool, wait_seconds: float, back_at: datetime | None) -> str:
    """Say that a limit is reached, that the text is kept, and when to come again."""
    what = str((SPENT_TOGETHER if shared else SPENT)[limit])
    if back_at is None:
        when = gettext("Your text is kept: send it again when one of them has ended.")
    elif wait_seconds <= SHORT_SECONDS:
        when = gettext("Your text is kept: send it again in %(duration)s.") % {"duration": duration(wait_seconds)}
    else:
        when = gettext("Your text is kept: send it again on %(day)s.") % {"day": day(back_at)}
    return f"{what} {when}"


def too_much(needed: int, limit: int) -> str:
    """Say that one request would take more than a whole window has."""
    return gettext(
        "This would take about %(needed)s tokens, and you may use %(limit)s at a time. "
        "Shorten it, or start a new conversation."
    ) % {"needed": number(needed), "limit": number(limit)}


def too_long(limit: int) -> str:
    """Say that a message is longer than the plan allows."""
    return gettext("This message is too long: at most %(limit)s characters. Shorten or split it.") % {
        "limit": number(limit)
    }


def too_many_files(limit: int) -> str:
    """Say how many files a message may have."""
    return ngettext(
        "A message may have at most %(count)d file.", "A message may have at most %(count)d files.", limit
    ) % {"count": limit}


def too_large_file(limit_bytes: int) -> str:
    """Say how large a file may be."""
    return gettext("A file may have at most %(megabytes)s MB.") % {"megabytes": f"{limit_bytes / 1_000_000:g}"}
