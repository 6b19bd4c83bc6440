"""Values that every page needs."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest

THEMES = ("light", "dark")


def page(request: HttpRequest) -> dict[str, Any]:
    """Give each template the nonce of its page, the chosen theme and whether one can sign up."""
    theme = request.COOKIES.get("theme", "")
    return {
        # Lazy: a page without scripts gets no nonce in its policy. Pages of Django's own tests have no middleware.
        "csp_nonce": getattr(request, "csp_nonce", ""),
        "theme": theme if theme in THEMES else "",
        "signup_open": settings.SIGNUP_OPEN,
    }
