"""Puts what staff change in the admin into the audit trail too.

Django notes each change in its own log, which is no chain: rows of it can be changed. Whatever goes through the admin,
ours and that of other applications, goes through `log_actions`, of which no signal tells.
"""

from __future__ import annotations

import json
from functools import wraps
from typing import Any

from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry, LogEntryManager
from django.db import transaction

from chatapp.accounts.models import User
from conversations import audit

ACTIONS = {ADDITION: "admin.add", CHANGE: "admin.change", DELETION: "admin.delete"}

_log_actions = LogEntryManager.log_actions


def changed_fields(message: str) -> str:
    """Return the names of the fields that a message of Django's log tells of, without any content."""
    try:
        changes = json.loads(message or "[]")
    except ValueError:  # a sentence, which may say anything
        return ""
    names = [str(name) for change in changes for what in change.values() for name in what.get("fields", ())]
    return ", ".join(names)[:500]


@wraps(_log_actions)
def _recorded(manager: LogEntryManager, user_id: int, *args: Any, **kwargs: Any) -> Any:
    with transaction.atomic():
        made = _log_actions(manager, user_id, *args, **kwargs)
        actor = User.objects.filter(pk=user_id).first()
        for entry in [made] if isinstance(made, LogEntry) else made or ():
            audit.record(
                actor,
                ACTIONS[entry.action_flag],
                model=entry.content_type.model if entry.content_type else "",
                object=str(entry.object_id),
                fields=changed_fields(entry.change_message),
            )
    return made


LogEntryManager.log_actions = _recorded  # type: ignore[assignment, method-assign] # the one way in
