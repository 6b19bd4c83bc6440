"""The event stream of one generation: who may see it, what they lack, until it ends.

The answer is always `200 text/event-stream`, also for a generation that is finished, unknown or somebody else's: htmx
would reconnect for ever on anything else. It never writes and never asks a provider; closing it stops nothing.
"""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Awaitable, Callable, Iterable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from channels.generic.http import AsyncHttpConsumer
from django.conf import settings
from django.http import HttpRequest, parse_cookie
from django.http.request import split_domain_port, validate_host
from django.utils.html import format_html
from django.utils.translation import activate, get_language_from_request, gettext, gettext_noop, override

from chatapp.accounts.addresses import forwarded_address, network
from conversations import metrics
from conversations.live import deliveries, sse, streams
from conversations.live.document import LiveDocument, watch
from conversations.live.flow import Flow, flow_of
from conversations.live.sse import Position
from conversations.live.state import dom_id
from conversations.models import Delivery, Message
from conversations.reading.transcript import footer_html
from conversations.serving.sessions import Access, access, ended
from conversations.threads import reader

GONE = gettext_noop("This answer cannot be shown here any more. Reload the page; you may have to sign in again.")
TOO_MANY = gettext_noop(
    "You have many answers open at once. This one goes on being written; it is shown when you have closed another one."
)
RETRY_MS = 500
TOO_MANY_RETRY_MS = 10_000
MOST_TURNED_AWAY = 10_000
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


_turned_away: dict[tuple[str, uuid.UUID], None] = {}  # sessions that read `TOO_MANY` at an answer


class Unread(Exception):
    """The client has not read what it was sent for so long that its connection is of no use."""


class StreamConsumer(AsyncHttpConsumer):
    """Serves `GET /generations/<id>/stream?from=<position>`."""

    channel_layer_alias = None  # no message of a layer ever comes here: the bus only wakes live documents

    async def __call__(self, scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Any) -> None:
        """Stream until the end or until the client has gone, whichever is first."""
        self.scope, self.base_send = scope, send
        self.headers = _headers(scope["headers"])
        self.begun = False
        self.unread_at: float | None = None
        self.delivery: Delivery | None = None
        self.flow: Flow = flow_of(scope.get("server_send", send))
        streaming = asyncio.ensure_future(self.handle(b""))
        streams.opened(streaming)
        leaving = asyncio.ensure_future(_disconnected(receive))
        try:
            await asyncio.wait({streaming, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if streaming.done() and not streaming.cancelled():
                if isinstance(streaming.exception(), Unread):
                    self._delivered(Delivery.End.UNREAD)
                    self.flow.abort()
                else:
                    streaming.result()
            elif streaming.done():
                revoked = streams.is_revoked(streaming)
                self._delivered(Delivery.End.REVOKED if revoked else Delivery.End.SHUTDOWN)
                await self._break_off(revoked=revoked)
        finally:
            for task in (streaming, leaving):
                task.cancel()
            self.flow.close()
            try:
                await asyncio.gather(streaming, leaving, return_exceptions=True)
            finally:
                self._delivered(Delivery.End.LEFT)

    async def handle(self, body: bytes) -> None:  # noqa: ARG002 - Channels' interface
        """Check the request and stream."""
        refusal = self._refusal()
        if refusal is not None:
            status, text = refusal
            await self.send_response(status, text, headers=[(b"content-type", b"text/plain"), (b"allow", b"GET")])
            return
        self.language = _language(self.headers)
        activate(self.language)  # for this stream's task alone
        await self.send_headers(headers=HEADERS)
        self.begun = True
        metrics.streams_opened.inc()
        if "last-event-id" in self.headers:
            metrics.reconnects.inc()
        await self._write(sse.HEARTBEAT)  # the headers go out at once
        generation_id: uuid.UUID = self.scope["url_route"]["kwargs"]["generation_id"]
        found, chosen = await reader.call(access, generation_id, self._cookies(), self._network())
        if chosen:
            self.language = chosen
            activate(chosen)
        if found is None:
            await self._end(_gone())
        elif await self._enter(generation_id, found):
            async with watch(generation_id) as document:
                if document is None:
                    await self._end(_gone())
                else:
                    await self._follow(document, found)

    async def _enter(self, generation_id: uuid.UUID, found: Access) -> bool:
        """Take a place among the open streams; without a free one say so, and have the client try again later."""
        stream = asyncio.current_task()
        assert stream is not None  # noqa: S101 - this runs in one
        entered = streams.enter(stream, found.watcher, most=found.most_streams, elsewhere=found.elsewhere, check=ended)
        place, key = f"#{dom_id(found.message_id)}-stream", (found.watcher.session_key, generation_id)
        if not entered:
            _turned_away[key] = None
            if len(_turned_away) > MOST_TURNED_AWAY:
                del _turned_away[next(iter(_turned_away))]
            waiting = format_html('<p class="notice">{}</p>', gettext(TOO_MANY))
            await self._write(
                sse.message(sse.partial(place, waiting, "innerHTML"), retry_ms=TOO_MANY_RETRY_MS), more=False
            )
        elif key in _turned_away:
            del _turned_away[key]
            await self._write(sse.message(sse.partial(place, "", "innerHTML"), retry_ms=RETRY_MS))
        return entered

    async def _follow(self, document: LiveDocument, found: Access) -> None:
        position = self._position()
        retry_ms: int | None = RETRY_MS  # once is enough
        loop = asyncio.get_running_loop()
        rotate_at = loop.time() + settings.STREAM_SECONDS
        clock = metrics.FrameClock(document.state.arm)
        self.unread_at = rotate_at + 2 * settings.HEARTBEAT_SECONDS
        while not await document.reach(position):  # the database is away
            await self._write(sse.HEARTBEAT)
            await asyncio.sleep(settings.POLL_SECONDS)
        began = document.state.characters_at(position)
        self.delivery = deliveries.begin(document.generation_id, found.watcher.user_id, began, found.viewer)
        while True:
            version = document.version
            frame = document.frame(position)
            if frame is not None and not document.gone:
                if frame.data:  # the end of a block shows nothing
                    await self._write(sse.message(frame.data, event_id=str(frame.position), retry_ms=retry_ms))
                    retry_ms = None
                    clock.frame()
                position, self.delivery.to_character = frame.position, frame.characters
            if document.ended:
                await self._finish(document, found)
                self._delivered(Delivery.End.LEFT if document.gone else Delivery.End.FINISHED)
                return
            if loop.time() >= rotate_at:
                await self._write(b"", more=False)  # the client comes back with its last event id
                self._delivered(Delivery.End.ROTATED)
                return
            if not await document.changed(version, settings.HEARTBEAT_SECONDS):
                await self._write(sse.HEARTBEAT)

    async def _finish(self, document: LiveDocument, found: Access) -> None:
        """Send what makes the page equal to a reload: the healed body if it differs, the footer, the end."""
        if document.gone or await reader.call(was_deleted, found.message_id):
            await self._end(_gone())
            return
        renderer = document.state.renderer
        footer = await reader.call(footer_html, found.message_id, self._nonce(), self.language, found.footer_template)
        await self._end(await document.healing_data() + sse.partial(f"#{renderer.prefix}footer", footer, "outerHTML"))

    async def _end(self, data: str) -> None:
        """Send the last message and the event that closes the stream."""
        await self._write(sse.message(data, retry_ms=RETRY_MS) + sse.message("end", event="done"), more=False)

    async def _break_off(self, *, revoked: bool) -> None:
        """End the body, whatever it holds: the client comes back with its last event id, unless its session is over."""
        if not self.begun:
            await self.send_headers(headers=HEADERS)
        if revoked:
            with override(self.language):
                await self._end(_gone())
        else:
            await self._write(b"", more=False)

    def _delivered(self, end: Delivery.End) -> None:
        """Note what was delivered; the first end that is told counts."""
        if self.delivery is not None:
            deliveries.end(self.delivery, end)
            self.delivery = None

    async def _write(self, data: bytes, *, more: bool = True) -> None:
        if not more:
            self.flow.close()
        try:
            async with asyncio.timeout_at(self.unread_at):
                await self.send_body(data, more_body=more)
                if more:
                    await self.flow.drain()
        except TimeoutError:
            raise Unread from None

    def _refusal(self) -> tuple[int, bytes] | None:
        """Return status and text for a request that gets no stream; Django's middleware does not run here."""
        if self.scope["method"] != "GET":
            return 405, b"Only GET.\n"
        domain, _ = split_domain_port(self.headers.get("host", ""))
        if not domain or not validate_host(domain, settings.ALLOWED_HOSTS):
            return 400, b"This host is not served here.\n"
        origin = self.headers.get("origin")
        foreign = origin is not None and _netloc(origin) != self.headers["host"]
        if foreign or self.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
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

    def _network(self) -> str:
        peer = (self.scope.get("client") or [""])[0]
        address = forwarded_address(peer, self.headers.get("x-forwarded-for", ""))
        return network(address) if address else ""


def _netloc(origin: str) -> str:
    """Return host and port of an origin; nothing of what is none."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def _headers(pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return the request's headers; HTTP/2 may split its cookies over several."""
    headers: dict[str, str] = {}
    for name, value in pairs:
        key, text = name.decode("latin-1"), value.decode("latin-1")
        headers[key] = f"{headers[key]}; {text}" if key == "cookie" and key in headers else text
    return headers


def _language(headers: dict[str, str]) -> str:
    """Return the language that the page of this stream has: Django's middleware chose it from the same headers."""
    request = HttpRequest()
    request.COOKIES = parse_cookie(headers.get("cookie", ""))
    request.META["HTTP_ACCEPT_LANGUAGE"] = headers.get("accept-language", "")
    return get_language_from_request(request)


def _gone() -> str:
    return format_html('<p class="notice error" role="alert">{}</p>', gettext(GONE))


async def _disconnected(receive: Callable[[], Awaitable[Any]]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def was_deleted(message_id: uuid.UUID) -> bool:
    """Whether the conversation of a message was deleted, which ends its streams. Blocks on the database."""
    return not Message.objects.filter(pk=message_id, conversation__deleted_at=None).exists()
