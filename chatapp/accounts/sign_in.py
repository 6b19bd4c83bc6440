"""Where somebody goes who is not signed in, and whereto after that."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.utils.http import url_has_allowed_host_and_scheme


class DemandSignIn(LoginRequiredMiddleware):
    """Leads to the page for signing in; from there back to the page on which a form was sent, never to its action."""

    def handle_no_permission(
        self, request: HttpRequest, view_func: Callable[..., HttpResponseBase]
    ) -> HttpResponseRedirect:
        if request.method in {"GET", "HEAD"}:
            return super().handle_no_permission(request, view_func)
        login_url, field = self.get_login_url(view_func), self.get_redirect_field_name(view_func)
        return redirect_to_login(_sending_page(request), login_url, field)


def _sending_page(request: HttpRequest) -> str:
    """Return the path of the page of ours that sent this request, as far as the browser tells."""
    address = request.headers.get("Referer", "")
    if not url_has_allowed_host_and_scheme(address, {request.get_host()}, require_https=request.is_secure()):
        return "/"
    parts = urlsplit(address)
    return f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
