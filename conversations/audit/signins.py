"""Notes who signs in and out, who fails to, and what changes an account, as Django and allauth tell of it.

What was typed is never noted: it may be a password in the wrong field. A name that belongs to an account is noted as
the id of that account.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from allauth.account import signals as accounts
from django.contrib.auth import get_user_model
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db.models import Q
from django.dispatch import Signal

from chatapp.accounts.addresses import client_network
from chatapp.accounts.models import User
from conversations import audit

OF_ACCOUNTS: dict[str, Signal] = {
    "account.sign_up": accounts.user_signed_up,
    "account.password_set": accounts.password_set,
    "account.password_change": accounts.password_changed,
    "account.password_reset": accounts.password_reset,
    "account.email_add": accounts.email_added,
    "account.email_remove": accounts.email_removed,
    "account.email_change": accounts.email_changed,
    "account.email_confirm": accounts.email_confirmed,
}


def note_sign_ins() -> None:
    """Listen; called once, at the start."""
    user_logged_in.connect(_signed_in, dispatch_uid="audit: signed in")
    user_logged_out.connect(_signed_out, dispatch_uid="audit: signed out")
    user_login_failed.connect(_failed, dispatch_uid="audit: sign-in failed")
    for action, signal in OF_ACCOUNTS.items():
        signal.connect(_changes(action), weak=False, dispatch_uid=f"audit: {action}")


def _signed_in(user: User, **_kwargs: Any) -> None:
    audit.record(user, "sign_in", network=client_network.get())


def _signed_out(user: User | None, **_kwargs: Any) -> None:
    if user is not None:
        audit.record(user, "sign_out")


def _failed(credentials: Mapping[str, Any], **_kwargs: Any) -> None:
    """Note an attempt. Only what the sign-in form lets through comes here: attempts are limited before."""
    meant = credentials.get("username") or credentials.get("email") or credentials.get("login")
    found = None
    if isinstance(meant, str) and meant:
        found = get_user_model().objects.filter(Q(username__iexact=meant) | Q(email__iexact=meant)).first()
    audit.record(None, "sign_in.failed", network=client_network.get(), user_id=found.pk if found is not None else 0)


def _changes(action: str) -> Any:
    def note(user: User | None = None, email_address: Any = None, **_kwargs: Any) -> None:
        audit.record(user or getattr(email_address, "user", None), action)

    return note
