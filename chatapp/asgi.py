"""The ASGI application: event streams go to their consumer, static files from memory, everything else to Django."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatapp.settings")
django.setup(set_prefix=False)

from asgiref.sync import sync_to_async  # noqa: E402 - what follows needs Django to be set up
from channels.routing import URLRouter  # noqa: E402
from django.conf import settings  # noqa: E402
from django.core.handlers.asgi import ASGIHandler  # noqa: E402
from django.core.handlers.base import BaseHandler  # noqa: E402
from django.http import HttpRequest  # noqa: E402
from django.http.response import HttpResponseBase  # noqa: E402
from django.urls import path, re_path  # noqa: E402
from servestatic import ServeStaticASGI  # noqa: E402

from conversations import dispatch  # noqa: E402
from conversations.consumers import StreamConsumer  # noqa: E402

logger = logging.getLogger(__name__)

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

HASHED_NAME = r"^.+\.[0-9a-f]{12}\..+$"


class OneThreadHandler(ASGIHandler):
    """Django's handler, with middleware and view of a request in one thread.

    Our views and middleware are synchronous; the handler as it comes changes to a thread and back for each middleware.
    """

    def __init__(self) -> None:
        BaseHandler.__init__(self)
        self.load_middleware(is_async=False)

    async def get_response_async(self, request: HttpRequest) -> HttpResponseBase:
        """Answer in the thread of this request."""
        return await sync_to_async(self.get_response, thread_sensitive=True)(request)


def _static_headers(headers: Any, _path: str, _url: str) -> None:
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Cross-Origin-Resource-Policy"] = "same-origin"


router = URLRouter(
    [
        path("generations/<uuid:generation_id>/stream", StreamConsumer.as_asgi()),
        re_path(r"", OneThreadHandler()),  # type: ignore[arg-type] # an ASGI application, as URLRouter takes them
    ]
)
site = ServeStaticASGI(
    router,
    root=str(settings.STATIC_ROOT),
    prefix=settings.STATIC_URL,
    immutable_file_test=HASHED_NAME,
    add_headers_function=_static_headers,
    allow_all_origins=False,
)


class Guard:
    """The outermost application: makes the event loop known, and lets no exception reach the server.

    An exception after the response has begun would stop Daphne's clean-up of dead requests for good; here it ends the
    body, and the log has it once.
    """

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Serve one request, or the lifespan of servers that have one."""
        dispatch.attach()
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "http":
            await _http(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})


async def _http(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    started = False

    async def watched_send(message: dict[str, Any]) -> None:
        nonlocal started
        started = started or message["type"] == "http.response.start"
        await send(message)

    try:
        await site({**scope, "server_send": send}, receive, watched_send)
    except asyncio.CancelledError:
        if started:  # the server is going down: a body that ends is a stream that its client resumes elsewhere
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        raise
    except Exception:
        logger.exception("A request ended in an exception")
        if not started:
            headers = [(b"content-type", b"text/plain; charset=utf-8")]
            await send({"type": "http.response.start", "status": 500, "headers": headers})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _lifespan(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await dispatch.detach()
    await send({"type": "lifespan.shutdown.complete"})


application = Guard()
