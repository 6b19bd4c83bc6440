"""The ASGI application: event streams go to their consumer, everything else to Django."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from typing import Any

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatapp.settings")
django_application = get_asgi_application()

from channels.routing import URLRouter  # noqa: E402 - needs Django to be set up
from django.urls import path, re_path  # noqa: E402

from conversations import dispatch  # noqa: E402
from conversations.consumers import StreamConsumer  # noqa: E402

logger = logging.getLogger(__name__)

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

router = URLRouter(
    [
        path("generations/<uuid:generation_id>/stream", StreamConsumer.as_asgi()),
        re_path(r"", django_application),  # type: ignore[arg-type] # an ASGI application, as URLRouter takes them
    ]
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
        await router({**scope, "server_send": send}, receive, watched_send)
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
