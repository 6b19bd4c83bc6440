"""The exception to the Content-Security-Policy of `settings.py`; everything else has it whole."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse


def spare_admin(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware, within that of the policy: pages of Django's admin need no Trusted Types, which its jQuery lacks.

    The rest of the policy holds for them too: no inline script, none from elsewhere.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        match = request.resolver_match
        if match is not None and match.app_name == "admin":
            # What django-csp reads; `None` takes a directive out.
            response._csp_replace = {"require-trusted-types-for": None, "trusted-types": None}  # type: ignore[attr-defined]
        return response

    return middleware
