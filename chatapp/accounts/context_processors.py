"""Values that every page needs."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest

THEMES = ("light", "dark")


def chosen_theme(request: HttpRequest) -> str:
    """Return the theme that the visitor has chosen, "" for that of the system."""
    theme = request.COOKIES.get("theme", "")
    return theme if theme in THEMES else ""


def list_is_hidden(request: HttpRequest) -> bool:
    """Whether the visitor has put the list of conversations away, on screens that have room for it."""
    return request.COOKIES.get("list") == "hidden"


def page(request: HttpRequest) -> dict[str, Any]:
    """Give each template the nonce of its page, the chosen theme and which ways to sign in there are."""
    return {
        # Lazy: a page without scripts gets no nonce in its policy. Pages of Django's own tests have no middleware.
        "csp_nonce": getattr(request, "csp_nonce", ""),
        "theme": chosen_theme(request),
        "list_is_hidden": list_is_hidden(request),
        "signup_open": settings.SIGNUP_OPEN,
        "mfa": settings.MFA != "off",
        "oidc": bool(settings.OIDC_ISSUER),
    }
