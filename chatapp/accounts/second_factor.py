"""The second factor of a sign-in: who must have one, and how its secrets are kept. The rest is django-allauth's."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Callable
from typing import Any

from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from allauth.mfa.utils import is_mfa_enabled
from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from chatapp.accounts.models import User

# Where somebody who must have a second factor can go without one.
OPEN = {
    *("account_logout", "account_reauthenticate", "account_set_password"),
    *("set_language", "theme", "manifest", "service_worker", "offline"),
}


def must_have(user: User | AnonymousUser) -> bool:
    """Whether the setting `MFA` demands a second factor of this user."""
    demanded = settings.MFA == "all" or (settings.MFA == "staff" and user.is_staff)
    return demanded and user.is_authenticated


class MfaAdapter(DefaultMFAAdapter):
    """Keeps secrets encrypted by `SECRET_KEY`, so that a copy of the database alone makes no codes."""

    def encrypt(self, text: str) -> str:
        return _fernet().encrypt(text.encode()).decode("ascii")

    def decrypt(self, encrypted_text: str) -> str:
        """Return the secret, or one that nobody knows when it was encrypted by another key."""
        try:
            return _fernet().decrypt(encrypted_text.encode()).decode()
        except InvalidToken:
            return base64.b32encode(secrets.token_bytes(20)).decode("ascii")

    def is_mfa_enabled(self, user: Any, types: Any = None) -> bool:
        return settings.MFA != "off" and bool(super().is_mfa_enabled(user, types))

    def can_delete_authenticator(self, authenticator: Authenticator) -> bool:
        return not must_have(authenticator.user)


def _fernet() -> Fernet:
    key = hashlib.sha256(b"chatapp.accounts.second_factor" + settings.SECRET_KEY.encode()).digest()
    return Fernet(base64.urlsafe_b64encode(key))


class DemandSecondFactor:
    """Middleware: who must have a second factor and has none comes no further than to where one is set up."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, _view: Any, _args: Any, _kwargs: Any) -> HttpResponse | None:
        """Let the request pass, or send a page to the set-up and refuse everything else."""
        name = (request.resolver_match and request.resolver_match.url_name) or ""
        if not must_have(request.user) or name in OPEN or name.startswith("mfa_") or is_mfa_enabled(request.user):
            return None
        if request.method != "GET" or "HX-Request" in request.headers:
            raise PermissionDenied
        return redirect("mfa_activate_totp")
