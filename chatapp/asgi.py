"""The ASGI application: event streams go to their consumer, static files from memory, everything else to Django."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from types import FrameType
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

from chatapp import logs, startup  # noqa: E402
from conversations import dispatch, turns  # noqa: E402
from conversations.consumers import StreamConsumer  # noqa: E402
from conversations.live.flow import Flow, flow_of  # noqa: E402
from conversations.live.streams import end_streams  # noqa: E402
from conversations.process.exiting import exit_soon  # noqa: E402
from conversations.serving import health, scraping  # noqa: E402
from conversations.serving.bodies import form_bytes, longest_body  # noqa: E402
from conversations.serving.refusing import EarlyRefusal  # noqa: E402

startup.refuse_what_cannot_work()

logger = logging.getLogger(__name__)

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Application = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]

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


class KeepingPace:
    """Wraps Django: a response in pieces, such as a large file, is sent as fast as its client reads and no faster."""

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Serve one request."""
        flow: Flow | None = None

        async def paced_send(message: dict[str, Any]) -> None:
            nonlocal flow
            more = message.get("more_body", False)
            if flow is not None and not more:
                flow.close()
            await send(message)
            if more:
                flow = flow or flow_of(scope["server_send"])
                await flow.drain()

        await self._application(scope, receive, paced_send)


def _static_headers(headers: Any, _path: str, _url: str) -> None:
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Cross-Origin-Resource-Policy"] = "same-origin"


router = URLRouter(
    [
        path("healthz", health.alive),  # type: ignore[arg-type] # an ASGI application, as URLRouter takes them
        path("readyz", health.ready),  # type: ignore[arg-type] # as above
        path("metrics", scraping.metrics_page),  # type: ignore[arg-type] # as above
        path("drip", health.drip),  # type: ignore[arg-type] # as above
        path("generations/<uuid:generation_id>/stream", StreamConsumer.as_asgi()),
        re_path(r"", EarlyRefusal(KeepingPace(OneThreadHandler()))),  # type: ignore[arg-type] # an ASGI application, as URLRouter takes them
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
        turns.attach()
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "http":
            with logs.about(request_id=logs.new_request_id()):
                await _http(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})


class Refused(Exception):
    """A request is not read to its end."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status)
        self.status = status


def _bounded(scope: dict[str, Any], receive: Receive) -> Receive:
    """Return a `receive` that takes no body of any length, and waits for no piece of one without end.

    Raises `Refused`: at once when the request itself says how long it is, else when it has become too long or too slow.
    """
    longest = longest_body(scope["path"]) if scope["method"] == "POST" else form_bytes()
    received, complete = 0, False
    if int(dict(scope["headers"]).get(b"content-length", b"0")) > longest:
        raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)

    async def bounded_receive() -> dict[str, Any]:
        nonlocal received, complete
        try:
            async with asyncio.timeout(None if complete else settings.REQUEST_SECONDS):
                message = await receive()
        except TimeoutError:
            raise Refused(HTTPStatus.REQUEST_TIMEOUT) from None
        received += len(message.get("body", b""))
        complete = not message.get("more_body", False)
        if received > longest:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        return message

    return bounded_receive


async def _http(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    started = False

    async def watched_send(message: dict[str, Any]) -> None:
        nonlocal started
        started = started or message["type"] == "http.response.start"
        await send(message)

    try:
        await site({**scope, "server_send": send}, _bounded(scope, receive), watched_send)
    except asyncio.CancelledError:
        if started:  # the server is going down: a body that ends is a stream that its client resumes elsewhere
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        raise
    except Refused as refusal:
        await _end(send, refusal.status, started)
    except Exception:
        logger.exception("A request ended in an exception")
        await _end(send, 500, started)


async def _end(send: Send, status: int, started: bool) -> None:
    if not started:
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _lifespan(receive: Receive, send: Send) -> None:
    await receive()
    _end_streams_on_signals()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    exit_soon()
    await dispatch.detach()
    await send({"type": "lifespan.shutdown.complete"})


def _end_streams_on_signals() -> None:
    """End streams when the process is told to end: a server with a lifespan would wait for them first, for minutes."""
    if threading.current_thread() is not threading.main_thread():
        return
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        before = signal.getsignal(number)

        def handle(number: int, frame: FrameType | None, before: Any = before) -> None:
            loop.call_soon_threadsafe(end_streams)
            if callable(before):
                before(number, frame)

        signal.signal(number, handle)


application = Guard()
