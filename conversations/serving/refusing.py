"""Refusing new work before Django is asked, when the machine is full.

Whoever is refused costs one small query at most, shared by all who are refused within a moment: no thread, no session,
no form. Only requests by htmx are answered here; without it they get the page that `views.limits` makes.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Any

from django.http import HttpRequest, parse_cookie
from django.template.loader import render_to_string
from django.urls import Resolver404, resolve
from django.utils.translation import get_language_from_request, override

from conversations.limits.admission import Full, gate
from conversations.threads import DatabaseThreads

Application = Callable[[dict[str, Any], Any, Any], Awaitable[None]]

_threads = DatabaseThreads("admission")


class EarlyRefusal:
    """Wraps Django: passes on what there is room for."""

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Serve one request."""
        reason = await _threads.call(gate.full) if _makes_a_model_write(scope) else ""
        if reason:
            await _refuse(Full(reason), scope, send)
        else:
            await self._application(scope, receive, send)


def _makes_a_model_write(scope: dict[str, Any]) -> bool:
    if scope["method"] != "POST" or (b"hx-request", b"true") not in scope["headers"]:
        return False
    try:
        return getattr(resolve(scope["path"]).func, "needs_room", False)
    except Resolver404:
        return False


async def _refuse(full: Full, scope: dict[str, Any], send: Any) -> None:
    headers = dict(scope["headers"])
    request = HttpRequest()
    request.COOKIES = parse_cookie(headers.get(b"cookie", b"").decode("latin-1"))
    request.META["HTTP_ACCEPT_LANGUAGE"] = headers.get(b"accept-language", b"").decode("latin-1")
    with override(get_language_from_request(request)):
        body = render_to_string("conversations/_refused.html", {"error": full.sentence()}).encode()
    answer = [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"retry-after", str(math.ceil(full.retry_after_seconds)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        (b"x-frame-options", b"DENY"),
        (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    ]
    await send({"type": "http.response.start", "status": 503, "headers": answer})
    await send({"type": "http.response.body", "body": body})
