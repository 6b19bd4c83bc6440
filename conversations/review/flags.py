"""Flags: raised by feedback, by rules and by hand; worked off in the admin. Each step is in the audit trail.

`raise_flag` is the hook for whatever looks at messages. Nothing here decides what deserves a flag.
"""

from __future__ import annotations

import contextlib
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext, gettext_noop

from chatapp.accounts.models import User
from conversations import audit
from conversations.models import Flag, FlagNote, Message

BAD_ANSWER = "bad_answer"
REASONS = {
    BAD_ANSWER: gettext_noop("Bad answer"),
    "harmful": gettext_noop("Harmful content"),
    "personal_data": gettext_noop("Personal data"),
    "abuse": gettext_noop("Abuse of the service"),
    "wrong": gettext_noop("Wrong or misleading"),
    "other": gettext_noop("Something else"),
}
BEFORE = {  # from which states one comes to a state
    Flag.State.OPEN: (Flag.State.IN_REVIEW, Flag.State.RESOLVED, Flag.State.DISMISSED),
    Flag.State.IN_REVIEW: Flag.PENDING,
    Flag.State.RESOLVED: Flag.PENDING,
    Flag.State.DISMISSED: Flag.PENDING,
}


class FlagMoved(Exception):
    """Somebody else was faster: the flag is not in a state from which this can be done."""

    def __init__(self) -> None:
        super().__init__(gettext("Somebody else was faster: nothing was changed."))


class RaisedAgain(FlagMoved):
    """A closed flag cannot be opened: the message was flagged anew since, for the same reason."""

    def __init__(self) -> None:
        sentence = gettext("The message was flagged again since, so this flag stays closed. Work on the new one.")
        Exception.__init__(self, sentence)


def raise_flag(message: Message, *, source: str, reason: str, by: User | None = None) -> Flag:
    """Have a reviewer look at a message; the flag that already waits for the same reason is returned as it is.

    `source` is one of `Flag.Source`; `reason` one of `REASONS` or a rule's own word of at most 100 characters, which
    quotes nothing of the message: operators see it too.
    """
    with transaction.atomic():
        flag, created = Flag.objects.get_or_create(
            message=message,
            source=source,
            reason=reason,
            state__in=Flag.PENDING,
            defaults={
                "conversation_id": message.conversation_id,
                "state": Flag.State.OPEN,
                "due_at": timezone.now() + timedelta(hours=settings.REVIEW_DUE_HOURS),
            },
        )
        if created:
            _record(by, "flag.raised", flag, source=source, reason=reason)
    return flag


def move(flag: Flag, state: str, *, by: User) -> None:
    """Bring a flag into another state: `open` gives it back, `in_review` takes it. Raises `FlagMoved`, `RaisedAgain`.

    It is taken only from whom `flag` says that it has: somebody who took it meanwhile would not know that it is gone.
    """
    fields: dict[str, object] = {"state": state, "closed_at": None}
    if state == Flag.State.OPEN:
        fields["assigned_to"] = None
    elif state == Flag.State.IN_REVIEW:
        fields["assigned_to"] = by
    else:
        fields["closed_at"] = timezone.now()
    try:
        with transaction.atomic():
            rows = _as_seen(flag) if state == Flag.State.IN_REVIEW else Flag.objects.filter(pk=flag.pk)
            if not rows.filter(state__in=BEFORE[Flag.State(state)]).update(**fields):
                raise FlagMoved
            _record(by, "flag.state", flag, state=state)
    except IntegrityError as error:  # one flag of a reason waits, never two: see the constraint
        raise RaisedAgain from error
    if "assigned_to" in fields:
        flag.assigned_to = by if state == Flag.State.IN_REVIEW else None


def assign(flag: Flag, to: User, *, by: User) -> None:
    """Give a flag to a reviewer, who has it in review from then on; of whom it is taken as in `move`.

    Raises `FlagMoved`.
    """
    with transaction.atomic():
        rows = _as_seen(flag).filter(state__in=Flag.PENDING)
        if not rows.update(state=Flag.State.IN_REVIEW, assigned_to=to):
            raise FlagMoved
        _record(by, "flag.assigned", flag, to=to.pk)
    flag.assigned_to = to


def add_note(flag: Flag, text: str, *, by: User) -> FlagNote:
    """Note something about a flag."""
    with transaction.atomic():
        note = FlagNote.objects.create(flag=flag, author=by, text=text.replace("\0", ""))
        _record(by, "flag.note", flag)
    return note


def withdraw(message: Message, *, source: str, reason: str, by: User) -> None:
    """Dismiss what was flagged and does not hold any more, unless a reviewer has taken it up already."""
    for flag in Flag.objects.filter(message=message, source=source, reason=reason, state=Flag.State.OPEN):
        with contextlib.suppress(FlagMoved):
            move(flag, Flag.State.DISMISSED, by=by)


def reason_label(reason: str) -> str:
    """Return how a page calls a reason."""
    return gettext(REASONS[reason]) if reason in REASONS else reason


def _as_seen(flag: Flag) -> QuerySet[Flag]:
    return Flag.objects.filter(pk=flag.pk, assigned_to=flag.assigned_to_id)


def _record(by: User | None, action: str, flag: Flag, **data: Any) -> None:
    audit.record(by, action, conversation_id=flag.conversation_id, flag=str(flag.pk), **data)
