"""The event stream of one generation: who may see it, what they lack, until it ends.

The answer is always `200 text/event-stream`, also for a generation that is finished, unknown or somebody else's: htmx
would reconnect for ever on anything else. It never writes and never asks a provider; closing it stops nothing.
"""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any
from urllib.parse import parse_qs

from channels.generic.http import AsyncHttpConsumer
from django.conf import settings
from django.contrib.auth import get_user
from django.http import HttpRequest, parse_cookie
from django.http.request import split_domain_port, validate_host

from conversations.live import sse
from conversations.live.document import LiveDocument, watch
from conversations.live.flow import Flow, flow_of
from conversations.live.sse import Position
from conversations.models import Generation
from conversations.threads import reader
from conversations.transcript import footer_html

GONE = (
    '<p class="notice error" role="alert">This answer cannot be shown here any more. '
    "Reload the page; you may have to sign in again.</p>"
)
RETRY_MS = 500
_NONCE = re.compile(r"[A-Za-z0-9_\-+/=]{16,64}", re.ASCII)
HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store, no-transform"),
    (b"x-accel-buffering", b"no"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
]


class StreamConsumer(AsyncHttpConsumer):
    """Serves `GET /generations/<id>/stream?from=<position>`."""

    channel_layer_alias = None  # no message of a layer ever comes here: the bus only wakes live documents

    async def __call__(self, scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Any) -> None:
        """Stream until the end or until the client has gone, whichever is first."""
        self.scope, self.base_send = scope, send
        self.headers: dict[str, str] = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        self.flow: Flow = flow_of(scope.get("server_send", send))
        streaming = asyncio.ensure_future(self.handle(b""))
        leaving = asyncio.ensure_future(_disconnected(receive))
        try:
            await asyncio.wait({streaming, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if streaming.done():
                streaming.result()
        finally:
            self.flow.close()
            for task in (streaming, leaving):
                task.cancel()
            await asyncio.gather(streaming, leaving, return_exceptions=True)

    async def handle(self, body: bytes) -> None:  # noqa: ARG002 - Channels' interface
        """Check the request and stream."""
        refusal = self._refusal()
        if refusal is not None:
            status, text = refusal
            await self.send_response(status, text, headers=[(b"content-type", b"text/plain"), (b"allow", b"GET")])
            return
        await self.send_headers(headers=HEADERS)
        await self._write(sse.HEARTBEAT)  # the headers go out at once
        generation_id: uuid.UUID = self.scope["url_route"]["kwargs"]["generation_id"]
        message_id = await reader.call(visible_message, generation_id, self._cookies())
        if message_id is None:
            await self._end(GONE)
            return
        async with watch(generation_id) as document:
            if document is None:
                await self._end(GONE)
            else:
                await self._follow(document, message_id)

    async def _follow(self, document: LiveDocument, message_id: uuid.UUID) -> None:
        position = self._position()
        loop = asyncio.get_running_loop()
        rotate_at = loop.time() + settings.STREAM_SECONDS
        while True:
            version = document.version
            frame = document.frame(position)
            if frame is not None and not document.gone:
                await self._write(sse.message(frame.data, event_id=str(frame.position), retry_ms=RETRY_MS))
                position = frame.position
            if document.ended:
                await self._finish(document, message_id)
                return
            if loop.time() >= rotate_at:
                await self._write(b"", more=False)  # the client comes back with its last event id
                return
            if not await document.changed(version, settings.HEARTBEAT_SECONDS):
                await self._write(sse.HEARTBEAT)

    async def _finish(self, document: LiveDocument, message_id: uuid.UUID) -> None:
        """Send what makes the page equal to a reload: the healed body if it differs, the footer, the end."""
        if document.gone:
            await self._end(GONE)
            return
        renderer = document.state.renderer
        footer = await reader.call(footer_html, message_id, self._nonce())
        await self._end(await document.healing_data() + sse.partial(f"{renderer.prefix}footer", footer, "outerHTML"))

    async def _end(self, data: str) -> None:
        """Send the last message and the event that closes the stream."""
        await self._write(sse.message(data, retry_ms=RETRY_MS) + sse.message("end", event="done"), more=False)

    async def _write(self, data: bytes, *, more: bool = True) -> None:
        if not more:
            self.flow.close()
        await self.send_body(data, more_body=more)
        if more:
            await self.flow.drain()

    def _refusal(self) -> tuple[int, bytes] | None:
        """Return status and text for a request that gets no stream; Django's middleware does not run here."""
        if self.scope["method"] != "GET":
            return 405, b"Only GET.\n"
        domain, _ = split_domain_port(self.headers.get("host", ""))
        if not domain or not validate_host(domain, settings.ALLOWED_HOSTS):
            return 400, b"This host is not served here.\n"
        if self.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
            return 403, b"Streams are for this site's own pages.\n"
        return None

    def _position(self) -> Position | None:
        """Return where the client is: its last event id, else the start named in the URL, which it came with."""
        last = self.headers.get("last-event-id")
        if last is None:
            query = parse_qs(self.scope["query_string"].decode("latin-1"))
            last = query.get("from", [""])[0]
        return Position.parse(last)

    def _nonce(self) -> str:
        """Return the nonce of the page that asks: what is stamped with it, the page's htmx accepts."""
        nonce = self.headers.get("stillwater-nonce", "")
        return nonce if _NONCE.fullmatch(nonce) else ""

    def _cookies(self) -> str:
        return self.headers.get("cookie", "")


async def _disconnected(receive: Callable[[], Awaitable[Any]]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def visible_message(generation_id: uuid.UUID, cookies: str) -> uuid.UUID | None:
    """Return the message that a generation writes if the session in `cookies` may see it. Blocks on the database."""
    session_key = parse_cookie(cookies).get(settings.SESSION_COOKIE_NAME)
    if not session_key:
        return None
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(session_key)
    user = get_user(request)
    if not user.is_authenticated:
        return None
    visible = Generation.objects.filter(pk=generation_id, message__conversation__owner=user)
    return visible.values_list("message_id", flat=True).first()
