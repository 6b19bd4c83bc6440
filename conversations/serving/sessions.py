"""Who may watch a stream, and whether they still may. Django's middleware does not run where streams are served."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY, get_user, get_user_model
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models.signals import post_delete, post_save
from django.http import HttpRequest, parse_cookie
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from chatapp.accounts.language import language_of
from chatapp.accounts.models import User
from conversations import dispatch, limits
from conversations.live.streams import PROCESS, Watcher
from conversations.models import Delivery, Generation
from conversations.reading.transcript import OWN_FOOTER
from conversations.review import openings


@dataclass(frozen=True, slots=True)
class Access:
    """The message that a generation writes, who watches it, how many streams they may watch, and do elsewhere.

    Both by subject, as in `Watcher.subjects`; what has no limit is left out. `footer_template` shows the end as this
    viewer may see it.
    """

    message_id: uuid.UUID
    watcher: Watcher
    most_streams: dict[str, int]
    elsewhere: dict[str, int]
    footer_template: str
    viewer: Delivery.Viewer


def access(generation_id: uuid.UUID, cookies: str, network: str) -> tuple[Access | None, str]:
    """Return what the session in `cookies` may see of a generation, None for nothing, and its user's language.

    Owners see theirs, reviewers those of conversations that they have opened, until that expires. Blocks on the
    database.
    """
    session_key = parse_cookie(cookies).get(settings.SESSION_COOKIE_NAME)
    if not session_key:
        return None, ""
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(session_key)
    user = get_user(request)
    if not isinstance(user, User):
        return None, ""
    rows = Generation.objects.filter(pk=generation_id, message__conversation__deleted_at=None)
    found = rows.values_list("message_id", "message__conversation_id", "message__conversation__owner_id").first()
    footer = _footer_for(user, found[1], found[2]) if found is not None else ""
    if found is None or not footer:
        return None, language_of(user)
    opened = None if footer == OWN_FOOTER else found[1]
    watcher = Watcher(user.pk, session_key, request.session.get(HASH_SESSION_KEY, ""), network, opened)
    most = dict(zip(watcher.subjects, (limits.limits_of(user).streams, settings.ADDRESS_STREAMS), strict=False))
    bounded = {subject: limit for subject, limit in most.items() if limit}
    elsewhere = limits.streams_elsewhere(PROCESS, bounded) if settings.BUS_URL and bounded else {}
    viewer = Delivery.Viewer.OWNER if footer == OWN_FOOTER else Delivery.Viewer.STAFF
    return Access(found[0], watcher, bounded, elsewhere, footer, viewer), language_of(user)


def _footer_for(user: User, conversation_id: uuid.UUID, owner_id: int) -> str:
    """Return the template of a message's end as this user may see it; empty for whoever may see nothing."""
    if owner_id == user.pk:
        return OWN_FOOTER
    return "conversations/_transcript_footer.html" if openings.opening_of(user, conversation_id) else ""


def ended(watchers: Iterable[Watcher]) -> set[Watcher]:
    """Return those whose session, or whose leave to read what somebody else has, is over. Blocks on the database.

    Two queries for all, and a few for each reviewer among them.
    """
    everybody = set(watchers)
    keys = {watcher.session_key for watcher in everybody}
    alive = set(
        Session.objects.filter(pk__in=keys, expire_date__gt=timezone.now()).values_list("session_key", flat=True)
    )
    users = get_user_model().objects.filter(is_active=True).in_bulk({watcher.user_id for watcher in everybody})
    proofs = {pk: _proofs(user) for pk, user in users.items()}
    over = {w for w in everybody if w.session_key not in alive or not _is_one_of(w.proof, proofs.get(w.user_id, []))}
    return over | _closed({watcher for watcher in everybody - over if watcher.opened is not None}, users)


def _closed(readers: Iterable[Watcher], users: dict[int, User]) -> set[Watcher]:
    """Return those whose opening has run out, or whose role was taken away."""
    open_to = {
        pk: set(openings.opened_by(users[pk]).values_list("conversation_id", flat=True))
        for pk in {reader.user_id for reader in readers}
    }
    return {reader for reader in readers if reader.opened not in open_to[reader.user_id]}


def _proofs(user: User) -> list[str]:
    return [user.get_session_auth_hash(), *user.get_session_auth_fallback_hash()]


def _is_one_of(proof: str, proofs: list[str]) -> bool:
    return any([constant_time_compare(proof, other) for other in proofs])  # noqa: C419 - always as long


def tell_of_ends() -> None:
    """Have every process look soon when sessions end or accounts change; called once, at the start."""
    post_delete.connect(_may_have_ended, sender=Session, dispatch_uid="session deleted")
    post_delete.connect(_may_have_ended, sender=User, dispatch_uid="user deleted")
    post_delete.connect(_forget, sender=User, dispatch_uid="user deleted: limits")
    post_save.connect(_may_have_ended, sender=User, dispatch_uid="user changed")


def _forget(instance: User, **_kwargs: Any) -> None:
    limits.forget(instance.pk)


def _may_have_ended(update_fields: frozenset[str] | None = None, created: bool = False, **_kwargs: Any) -> None:
    if not created and (update_fields is None or update_fields & {"password", "is_active"}):
        transaction.on_commit(dispatch.hint_revoked)
